//! The parameters of lists of runs.

use crate::http::api::analytics::questions::{SINCE, TZ, UNTIL, filter_within};
use crate::http::route::parameter::{OneOf, Parameter, ParameterKind, Schema, Text};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::run::RunOutcome;
use crate::views::analytics::runs::RunFilter;

pub(super) const PROJECT: Parameter<Text> =
    Parameter::query("project", Text, "Only runs whose first session was started in this project.").several();
pub(super) const WORKFLOW: Parameter<Text> =
    Parameter::query("workflow", Text, "Only runs of this workflow.").several();
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

/// The runs that a request asks for by when they began, project and labels. Fails if a parameter is bad.
pub(super) fn filter_of(request: &Request) -> Result<RunFilter, Problem> {
    let window = filter_within(request.given(&SINCE)?, request.given(&UNTIL)?, request.value(&TZ)?)?;
    let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
    Ok(RunFilter {
        window,
        project: request.all(&PROJECT)?.into_iter().map(str::to_owned).collect(),
        labels: request.all(&LABEL)?.into_iter().map(owned).collect(),
        ..RunFilter::default()
    })
}
