//! One table, to a file or to standard output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::args::{ExportArgs, FormatName};
use super::error::ExportError;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};
use crate::cli::report::range::{Present, Range};
use crate::sidecar::clock;
use crate::views::analytics::period::Zone;

/// Writes the table that the arguments ask for.
pub(super) fn run(args: &ExportArgs, question: &Question, source: &Source) -> Result<(), ExportError> {
    let Some(path) = args.output.as_ref().filter(|path| path.as_os_str() != "-") else {
        return to_stdout(args, source, question);
    };
    let failed = |source| ExportError::Write { path: path.clone(), source };
    let metadata = fs::metadata(path).ok();
    // A pipe or a device is written to, and not replaced.
    if metadata.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let mut file = File::options().write(true).open(path).map_err(failed)?;
        source.write(question, None, &mut file)?;
        return file.flush().map_err(failed);
    }
    // What a link leads to is replaced, and not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    // The file is there when it is whole.
    let unfinished = unfinished(path);
    let written = File::create(&unfinished).map_err(failed).and_then(|file| {
        let mut sink = BufWriter::new(file);
        source.write(question, None, &mut sink)?;
        let file = sink.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        if let Some(metadata) = metadata {
            file.set_permissions(metadata.permissions()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, path).map_err(failed)
    });
    if written.is_err() {
        // It may never have been made.
        drop(fs::remove_file(&unfinished));
    }
    written
}

/// The name of a file beside another, for what is not whole yet.
fn unfinished(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

fn to_stdout(args: &ExportArgs, source: &Source, question: &Question) -> Result<(), ExportError> {
    let mut out = io::stdout().lock();
    if args.format() == Some(FormatName::Parquet) && out.is_terminal() {
        return Err(ExportError::Usage("Parquet is nothing for a terminal: --output names a file".to_owned()));
    }
    let written = source.write(question, None, &mut out);
    let written = written.and_then(|_| out.flush().map_err(AskError::Sink));
    match written {
        // It is no error if the reader closes the pipe early, as `head` does.
        Err(AskError::Sink(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(AskError::Sink(error)) => Err(ExportError::Output(error)),
        written => written.map(|_| ()).map_err(ExportError::Ask),
    }
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
