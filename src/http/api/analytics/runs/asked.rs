//! The parameters of lists of runs.

use crate::http::api::analytics::cells::CellsNow;
use crate::http::api::analytics::questions::{SINCE, TZ, UNTIL, filter_within};
use crate::http::route::parameter::{OneOf, Parameter, ParameterKind, Schema, Text};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::run::RunOutcome;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::runs::RunFilter;

pub(super) const PROJECT: Parameter<Text> =
    Parameter::query("project", Text, "Only runs whose first session was started in this project.").several();
pub(super) const WORKFLOW: Parameter<Text> =
    Parameter::query("workflow", Text, "Only runs of this workflow.").several();
pub(super) const SESSION: Parameter<Text> =
    Parameter::query("session", Text, "Only runs in which the session with this id was.").several();
pub(super) const BRANCH: Parameter<Text> =
    Parameter::query("branch", Text, "Only runs with a turn on this git branch.").several();
pub(super) const MODEL: Parameter<Text> =
    Parameter::query("model", Text, "Only runs with a turn or sub-agent that asked this model, by its canonical name.")
        .several();
pub(super) const AGENT: Parameter<Text> = Parameter::query(
    "agent",
    Text,
    "Only runs with a turn of the `main` thread, a sub-agent of this type, or one of an `unknown` type.",
)
.several();
pub(super) const TOOL: Parameter<Text> =
    Parameter::query("tool", Text, "Only runs with a turn or sub-agent that called this tool.").several();
pub(super) const ORIGIN: Parameter<Text> = Parameter::query(
    "origin",
    Text,
    "Only runs with a turn that was asked for by `human`, `sdk`, `task_notification` or `teammate`.",
)
.several();
pub(super) const ENTRYPOINT: Parameter<Text> =
    Parameter::query("entrypoint", Text, "Only runs with a turn of a client that was started this way.").several();
pub(super) const LABEL: Parameter<Label> = Parameter::query(
    "label",
    Label,
    "Only runs that have this label: `name=value`, or `name` with any value. Given several times, all of them.",
)
.several();
pub(super) const OUTCOME: Parameter<OneOf<RunOutcome>> =
    Parameter::query("outcome", OneOf(&OUTCOMES), "Only runs that ended like this.").several();

const OUTCOMES: [(&str, RunOutcome); 7] = [
    (RunOutcome::Success.name(), RunOutcome::Success),
    (RunOutcome::MaxTurns.name(), RunOutcome::MaxTurns),
    (RunOutcome::DuringExecution.name(), RunOutcome::DuringExecution),
    (RunOutcome::ApiError.name(), RunOutcome::ApiError),
    (RunOutcome::Interrupted.name(), RunOutcome::Interrupted),
    (RunOutcome::Killed.name(), RunOutcome::Killed),
    (RunOutcome::Running.name(), RunOutcome::Running),
];

/// A label with its value, or with any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label;

impl ParameterKind for Label {
    type Value<'a> = (&'a str, Option<&'a str>);

    fn read<'a>(&self, text: &'a str) -> Option<(&'a str, Option<&'a str>)> {
        Some(text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value))))
    }

    fn takes(&self) -> String {
        "`name=value` or `name`".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Text
    }
}

/// The runs that a request asks for, and what one of their turns or sub-agents has to be.
pub(super) struct Asked {
    runs: RunFilter,
    turns: Filter,
}

impl Asked {
    /// The filters of a request. Fails if a parameter is bad.
    pub(super) fn of(request: &Request) -> Result<Self, Problem> {
        let all = |parameter: &Parameter<Text>| -> Result<Vec<String>, Problem> {
            Ok(request.all(parameter)?.into_iter().map(str::to_owned).collect())
        };
        let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
        let runs = RunFilter {
            window: filter_within(request.given(&SINCE)?, request.given(&UNTIL)?, request.value(&TZ)?)?,
            workflow: all(&WORKFLOW)?,
            project: all(&PROJECT)?,
            labels: request.all(&LABEL)?.into_iter().map(owned).collect(),
            outcome: request.all(&OUTCOME)?,
            session: all(&SESSION)?,
            among: None,
        };
        let turns = Filter {
            branch: all(&BRANCH)?,
            model: all(&MODEL)?,
            agent: all(&AGENT)?,
            tool: all(&TOOL)?,
            origin: all(&ORIGIN)?,
            entrypoint: all(&ENTRYPOINT)?,
            ..Filter::default()
        };
        Ok(Self { runs, turns })
    }

    /// The filter of runs, once it is known which of them have a turn that is asked for.
    pub(super) fn among(self, cells: &CellsNow<'_>) -> RunFilter {
        RunFilter { among: cells.cube().runs_with(&self.turns), ..self.runs }
    }
}
