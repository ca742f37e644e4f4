//! The flags of `tailspan stream`, and the run that they tell of.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::teller::Teller;
use crate::config::{Env, Flags};
use crate::streams::folder::random;
use crate::streams::run::{LABELS_MAX, checked_label, traceparent};
use crate::streams::{Caller, CallerError, Run, RunId};

/// The end of `tailspan stream --help`.
const HELP: &str = "\
In a script, so that the exit code is that of the client:
  set -o pipefail
  claude -p 'Fix the tests' --output-format stream-json --verbose | tailspan stream --workflow nightly | jq ...

Without a sidecar, events wait below the state and are handed over later: docs/stream.md.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct StreamArgs {
    /// Name of the workflow that the run belongs to; one that is no name is said and passed over [default:
    /// $TAILSPAN_WORKFLOW]
    #[arg(long, value_name = "NAME")]
    workflow: Option<OsString>,
    /// Label of the run, like team=search; repeatable, with one value for each name. One that is wrong is said and left out
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<OsString>,
    /// Make the run a span of its own, below that of $TRACEPARENT if there is one
    #[arg(long)]
    span: bool,
    /// Address of the sidecar [default: 127.0.0.1:9719]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Directory of the state, below which events wait without a sidecar [default: $XDG_STATE_HOME/tailspan, else
    /// ~/.local/state/tailspan]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl StreamArgs {
    pub(in crate::cli) fn flags(&self, common: Flags) -> Flags {
        Flags { listen: self.listen.clone(), state: self.state.clone(), offline: true, ..common }
    }

    /// The run. What is wrong with a name or a label is said and passed over, so that the pipe goes on: in CI both hold what
    /// somebody called a branch. Fails if the system has no random numbers.
    pub(super) fn run(&self, env: &Env, teller: &Teller) -> io::Result<Run> {
        let mut caller = Caller { span: self.span, ..Caller::default() };
        let flag = self.workflow.as_deref().map(|name| ("--workflow", name));
        let variable = env.get("TAILSPAN_WORKFLOW").map(|name| ("TAILSPAN_WORKFLOW", name));
        for (place, name) in flag.into_iter().chain(variable) {
            match caller.set_workflow(&name.to_string_lossy()) {
                Ok(()) => break,
                Err(error) => teller.say(&format!("{place}: {error}; it is passed over")),
            }
        }
        for label in &self.labels {
            if let Err(reason) = add_label(&mut caller, &label.to_string_lossy()) {
                teller.say(&format!("--label: {reason}; it is left out"));
            }
        }
        caller.traceparent = env.get("TRACEPARENT").and_then(|text| traceparent(text.to_str()?));
        Ok(Run { id: RunId::of_random(random()?), caller })
    }
}

/// Adds a label, or says why not. The first value of a name stays: either may be meant.
fn add_label(caller: &mut Caller, text: &str) -> Result<(), String> {
    let (name, value) = checked_label(text).map_err(|error| error.to_string())?;
    match caller.labels.get(&name) {
        Some(first) if *first != value => Err(format!("{name} is {first:?} already, not {value:?} as well")),
        Some(_) => Ok(()),
        None if caller.labels.len() >= LABELS_MAX => Err(format!("{}, and {name} is one more", CallerError::TooMany)),
        None => {
            caller.labels.insert(name, value);
            Ok(())
        }
    }
}
