//! The flags of `tailspan stream`, and the run that they tell of.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::event::StreamError;
use super::teller::Teller;
use crate::config::{Env, Flags};
use crate::streams::folder::random;
use crate::streams::run::{LABELS_MAX, checked_label, checked_workflow, traceparent};
use crate::streams::{Caller, Run, RunId};

/// The end of `tailspan stream --help`.
const HELP: &str = "\
In a script, so that the exit code is that of the client:
  set -o pipefail
  claude -p 'Fix the tests' --output-format stream-json --verbose | tailspan stream --workflow nightly | jq ...

Without a sidecar, events wait below the state and are handed over later: docs/stream.md.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct StreamArgs {
    /// Name of the workflow that the run belongs to [default: $TAILSPAN_WORKFLOW]
    #[arg(long, value_name = "NAME", value_parser = workflow)]
    workflow: Option<String>,
    /// Label of the run, like team=search; repeatable, with one value for each name
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<String>,
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

fn workflow(text: &str) -> Result<String, String> {
    checked_workflow(text).map_err(|error| error.to_string())
}

fn label(text: &str) -> Result<String, String> {
    checked_label(text).map(|(name, value)| format!("{name}={value}")).map_err(|error| error.to_string())
}

impl StreamArgs {
    pub(in crate::cli) fn flags(&self, common: Flags) -> Flags {
        Flags { listen: self.listen.clone(), state: self.state.clone(), offline: true, ..common }
    }

    /// Refuses two values of one label: each may be meant.
    pub(super) fn check(&self) -> Result<(), StreamError> {
        let mut values = BTreeMap::new();
        for (name, value) in self.labels.iter().filter_map(|label| label.split_once('=')) {
            let first = *values.entry(name).or_insert(value);
            if first != value {
                let [label, first, second] = [name, first, value].map(str::to_owned);
                return Err(StreamError::TwoValues { label, first, second });
            }
        }
        Ok(())
    }

    /// The run. What is wrong with a variable is said and passed over, so that the pipe goes on. Fails if the system has no
    /// random numbers.
    pub(super) fn run(&self, env: &Env, teller: &Teller) -> io::Result<Run> {
        let mut caller = Caller { span: self.span, ..Caller::default() };
        caller.workflow.clone_from(&self.workflow);
        if let (None, Some(name)) = (&self.workflow, env.get("TAILSPAN_WORKFLOW"))
            && let Err(error) = caller.set_workflow(&name.to_string_lossy())
        {
            teller.say(&format!("TAILSPAN_WORKFLOW: {error}; the run has no workflow"));
        }
        for label in &self.labels {
            if let Err(error) = caller.add_label(label) {
                teller.say(&format!("--label: {error}; only {LABELS_MAX} of them are kept"));
                let name = label.split('=').next().unwrap_or_default();
                caller.labels.remove(name);
                break;
            }
        }
        caller.traceparent = env.get("TRACEPARENT").and_then(|text| traceparent(text.to_str()?));
        Ok(Run { id: RunId::of_random(random()?), caller })
    }
}
