//! One table, to a file or to standard output.

use std::io::{self, IsTerminal};

use super::args::{ExportArgs, FormatName};
use super::error::ExportError;
use super::place::{into_file, pass_on};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::Source;
use crate::cli::report::range::{Present, Range};
use crate::sidecar::clock;
use crate::views::analytics::period::Zone;

/// Writes the table that the arguments ask for.
pub(super) fn run(args: &ExportArgs, question: &Question, source: &Source) -> Result<(), ExportError> {
    let Some(path) = args.output.as_ref().filter(|path| path.as_os_str() != "-") else {
        return to_stdout(args, source, question);
    };
    into_file(path, |sink| Ok(source.write(question, None, sink).map(|_| ())?))
}

fn to_stdout(args: &ExportArgs, source: &Source, question: &Question) -> Result<(), ExportError> {
    let mut out = io::stdout().lock();
    if args.format() == Some(FormatName::Parquet) && out.is_terminal() {
        return Err(ExportError::Usage("Parquet is nothing for a terminal: --output names a file".to_owned()));
    }
    pass_on(source, question, &mut out)
}

/// What the arguments ask for. Fails if they are wrong.
pub(super) fn question(args: &ExportArgs) -> Result<Question, ExportError> {
    let usage = ExportError::Usage;
    let zone = match &args.tz {
        Some(name) => Zone::named(name)
            .ok_or_else(|| usage(format!("--tz is {name:?}: expected a time zone like Europe/Berlin")))?,
        None => Zone::UTC,
    };
    let present = Present { now: clock::now(), zone };
    let range = Range::of(present, (args.since.as_deref(), "all"), args.until.as_deref(), args.on.as_deref());
    let (since, until) = range.map_err(usage)?.bounds();
    let (table, format) = (args.table.map_or("", |table| table.name()), args.format().map_or("", FormatName::name));
    let question = Question::export(table, format).with("tz", zone.name()).within(since, until);
    let question = question.with_some("host", args.host.as_deref());
    Ok(args.filters.pairs().fold(question, |question, (name, value)| question.with(name, value)))
}
