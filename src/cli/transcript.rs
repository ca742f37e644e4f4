//! `tailspan transcript`: a whole session as one file, as the API writes it.

use std::fs::{self, Metadata};
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::ask::answer::{list, text};
use super::ask::args::SourceArgs;
use super::ask::question::Question;
use super::ask::source::Source;
use super::tables::error::ExportError;
use super::tables::place::{into_private_file, pass_on};
use crate::config::{Config, Env, Flags};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::log;
use crate::sidecar::settings;
use crate::text::percent_encoded;
use crate::views::analytics::figures::size;
use crate::views::transcripts::form::FormKind;
use crate::views::transcripts::level::Level;

/// The name of the session with the latest row.
const LATEST: &str = "latest";

/// Examples at the end of `tailspan transcript --help`.
const EXAMPLES: &str = "\
The form follows from how the name of the output ends:
  .md .markdown                        Markdown
  .html .htm                           one page
  .json                                one document
  .perfetto-trace .pftrace .perfetto   a trace for ui.perfetto.dev
  .cast                                a recording for asciinema

  tailspan transcript --output session.html              the session that went on last
  tailspan transcript latest --output session.perfetto-trace
  tailspan transcript 5fb3d16f --level no_results > review.md
  tailspan transcript 5fb3d16f --format json | jq '.events[].kind'

Secrets are taken out of every text and name, unless --no-scrub is given.

Exit codes: 0, 1 if nobody answers, there is no such session or a file cannot be written, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TranscriptArgs {
    /// Id of the session, or its first characters (4 at least), or `latest`
    #[arg(value_name = "SESSION", default_value = LATEST, value_parser = super::values::session)]
    session: String,
    /// How the session is written: Markdown, one HTML page, JSON, a trace of Perfetto, or a recording of a terminal [default: as the name of the output ends, else md]
    #[arg(long, value_name = "FORMAT", value_parser = one_of(FormKind::NAMES))]
    format: Option<FormKind>,
    /// How much is told: everything, everything but the texts of tool results, or prompts alone
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = one_of(Level::NAMES))]
    level: Level,
    /// Leave secrets in
    #[arg(long)]
    no_scrub: bool,
    /// The file to write to, which is replaced if it exists [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

/// Takes one of some names, each with what it stands for.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    names: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let values = PossibleValuesParser::new(names.map(|(name, _)| name));
    values.try_map(move |given| {
        let found = names.iter().find(|(name, _)| *name == given);
        found.map(|(_, value)| *value).ok_or_else(|| format!("there is no {given}"))
    })
}

impl TranscriptArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }

    /// The form that is asked for, or that the name of the output tells. Fails if its ending tells none.
    fn form(&self) -> Result<FormKind, ExportError> {
        if let Some(form) = self.format {
            return Ok(form);
        }
        let Some(ending) = self.output.as_ref().and_then(|output| output.extension()) else {
            return Ok(FormKind::Markdown);
        };
        let ending = ending.to_string_lossy();
        FormKind::of_ending(&ending).ok_or_else(|| {
            let known: Vec<String> = FormKind::ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
            ExportError::Usage(format!(".{ending} tells no form: expected {}, or --format", known.join(", ")))
        })
    }

    /// What the name of the output tells, if it is something else than what is written.
    fn contradiction(&self, form: FormKind) -> Option<String> {
        let output = self.output.as_ref()?;
        let told = FormKind::of_ending(output.extension()?.to_str()?).filter(|told| *told != form)?;
        let (form, told) = (name_of(FormKind::NAMES, form), name_of(FormKind::NAMES, told));
        Some(format!("--format says {form}, so {} is written as {form} and not as {told}", output.display()))
    }
}

/// Writes a session as the arguments ask for it. Fails if they are wrong, if nobody answers, if there is no such session, or
/// if a file cannot be written.
pub fn run(args: &TranscriptArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), ExportError> {
    let form = args.form()?;
    let file = args.output.as_ref().filter(|path| path.as_os_str() != "-");
    if file.is_none() && form.is_binary() && io::stdout().is_terminal() {
        return Err(ExportError::Usage("this form is nothing for a terminal: --output names a file".to_owned()));
    }
    let roots = settings::root_env(env);
    let source = Source::of(Rules { config, env: &roots, prices, at: None }, args.source.scan)?;
    let session = match args.session.as_str() {
        LATEST => latest(&source)?,
        session => session.to_owned(),
    };
    let scrub = if args.no_scrub { "false" } else { "true" };
    let question = Question::of(&format!("sessions/{}/transcript", percent_encoded(&session)))
        .with("format", name_of(FormKind::NAMES, form))
        .with("level", args.level.name())
        .with("scrub", scrub);
    match file {
        Some(path) => {
            args.contradiction(form).iter().for_each(|told| log::say(&format!("tailspan: {told}")));
            into_private_file(path, |sink| Ok(source.write(&question, None, sink).map(|_| ())?))?;
            // A pipe or a device has no size.
            let written = fs::metadata(path).ok().filter(Metadata::is_file);
            written.iter().for_each(|file| log::say(&format!("wrote {} ({})", path.display(), size(file.len()))));
            Ok(())
        }
        None => pass_on(&source, &question, &mut io::stdout().lock()),
    }
}

fn name_of<const N: usize>(names: [(&'static str, FormKind); N], form: FormKind) -> &'static str {
    names.iter().find(|(_, known)| *known == form).map_or("", |(name, _)| name)
}

/// The id of the session with the latest row. Fails if there is none.
fn latest(source: &Source) -> Result<String, ExportError> {
    let answer = source.ask(&Question::of("sessions").with("limit", "1"))?;
    let session = list(&answer.json, "/sessions").iter().find_map(|session| text(session, "/id"));
    session.map(str::to_owned).ok_or(ExportError::Nothing)
}
