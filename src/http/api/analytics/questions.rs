//! The parameters that all questions about sums share.

use std::fmt::Debug;

use crate::http::route::parameter::{OneOf, Parameter, ParameterKind, Schema, TIME, Text, Whole, read_time};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::{Day, Zone};

/// Most rows of a page.
pub(in crate::http::api) const ROWS_MAX: u64 = 1000;

pub(in crate::http::api) const SINCE: Parameter<Moment> = Parameter::query(
    "since",
    Moment,
    "Only what happened at this time or later; a date is its first moment in the time zone.",
);
pub(in crate::http::api) const UNTIL: Parameter<Moment> = Parameter::query(
    "until",
    Moment,
    "Only what happened before this time; of a date, the whole day in the time zone belongs to the range.",
);
pub(in crate::http::api) const TZ: Parameter<ZoneName> =
    Parameter::query("tz", ZoneName, "The time zone of dates, hours, days, weeks and months.").or("UTC");
pub(in crate::http::api) const PROJECT: Parameter<Text> =
    Parameter::query("project", Text, "Only this project, as the answers tell it.").several();
pub(in crate::http::api) const BRANCH: Parameter<Text> =
    Parameter::query("branch", Text, "Only this git branch.").several();
pub(in crate::http::api) const MODEL: Parameter<Text> =
    Parameter::query("model", Text, "Only this model, by its canonical name.").several();
pub(in crate::http::api) const AGENT: Parameter<Text> =
    Parameter::query("agent", Text, "Only the `main` thread, sub-agents of this type, or those of an `unknown` type.")
        .several();
pub(in crate::http::api) const TOOL: Parameter<Text> = Parameter::query(
    "tool",
    Text,
    "Only turns and sub-agents that called this tool; of texts, only its inputs and results.",
)
.several();
pub(in crate::http::api) const WORKFLOW: Parameter<Text> = Parameter::query(
    "workflow",
    Text,
    "Only runs of this workflow, of which streams tell; session files alone tell of none.",
)
.several();
pub(in crate::http::api) const ORIGIN: Parameter<Text> = Parameter::query(
    "origin",
    Text,
    "Only turns that were asked for by `human`, `sdk`, `task_notification` or `teammate`.",
)
.several();
pub(in crate::http::api) const SESSION: Parameter<Text> =
    Parameter::query("session", Text, "Only the session with this id.").several();
pub(in crate::http::api) const ENTRYPOINT: Parameter<Text> =
    Parameter::query("entrypoint", Text, "Only sessions of clients that were started this way.").several();
pub(in crate::http::api) const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(1, ROWS_MAX), "How many rows a page has at most.").or("1000");
pub(in crate::http::api) const CURSOR: Parameter<Text> = Parameter::query(
    "cursor",
    Text,
    "Where the page begins: the `next_cursor` of an answer to the same question in the same order.",
);

/// A time, or a date, which is a day of the time zone that is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::api) struct Moment;

/// A value of [`Moment`].
#[derive(Debug, Clone, Copy)]
pub(in crate::http::api) enum TimeOrDate {
    Time(Timestamp),
    Date(Day),
}

impl ParameterKind for Moment {
    type Value<'a> = TimeOrDate;

    fn read(&self, text: &str) -> Option<TimeOrDate> {
        Day::parse(text).map(TimeOrDate::Date).or_else(|| read_time(text).map(TimeOrDate::Time))
    }

    fn takes(&self) -> String {
        format!("{TIME} or a date (2026-01-31)")
    }

    fn schema(&self) -> Schema {
        Schema::TimeOrDate
    }
}

/// Most properties by which rows are told apart.
const GROUPS_MAX: usize = 2;

/// Some of these words, with commas between them.
#[derive(Debug)]
pub(in crate::http::api) struct Groups<T: 'static>(pub(in crate::http::api) &'static [(&'static str, T)]);

impl<T: Copy + Sync + Debug> ParameterKind for Groups<T> {
    type Value<'a> = Vec<T>;

    fn read(&self, text: &str) -> Option<Vec<T>> {
        text.split(',').map(|word| OneOf(self.0).read(word.trim())).collect()
    }

    fn takes(&self) -> String {
        format!("{} or two of them with a comma between", OneOf(self.0).takes())
    }

    fn schema(&self) -> Schema {
        Schema::ListOf { words: self.0.iter().map(|(word, _)| *word).collect(), max: GROUPS_MAX }
    }
}

impl<T: Copy + PartialEq> Groups<T> {
    /// The word of a value.
    pub(in crate::http::api) fn word(&self, value: T) -> &'static str {
        self.0.iter().find(|(_, own)| *own == value).map_or("", |(word, _)| word)
    }
}

/// The properties that a request names in a parameter, at most two. Fails if one is unknown or named twice.
pub(in crate::http::api) fn groups<T: Copy + Sync + Debug + PartialEq>(
    request: &Request,
    parameter: &Parameter<Groups<T>>,
) -> Result<Vec<T>, Problem> {
    let groups: Vec<T> = request.all(parameter)?.into_iter().flatten().collect();
    match *groups.as_slice() {
        [] | [_] => Ok(groups),
        [first, second] if first != second => Ok(groups),
        [_, _] => Err(Problem::bad_request("`group_by` is given twice with the same value")),
        _ => Err(Problem::bad_request("`group_by` may be given twice at most")),
    }
}

/// A time zone by its name.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::api) struct ZoneName;

impl ParameterKind for ZoneName {
    type Value<'a> = Zone;

    fn read(&self, text: &str) -> Option<Zone> {
        Zone::named(text)
    }

    fn takes(&self) -> String {
        "a time zone of the IANA database (Europe/Berlin)".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::TimeZone
    }
}

/// What counts, by the parameters of a request. Fails if one is bad, or if the range has no time in it.
pub(in crate::http::api) fn filter_of(request: &Request, zone: Zone) -> Result<Filter, Problem> {
    let all = |parameter: &Parameter<Text>| -> Result<Vec<String>, Problem> {
        Ok(request.all(parameter)?.into_iter().map(str::to_owned).collect())
    };
    Ok(Filter {
        window: filter_within(request.given(&SINCE)?, request.given(&UNTIL)?, zone)?,
        session: all(&SESSION)?,
        project: all(&PROJECT)?,
        branch: all(&BRANCH)?,
        entrypoint: all(&ENTRYPOINT)?,
        model: all(&MODEL)?,
        agent: all(&AGENT)?,
        origin: all(&ORIGIN)?,
        tool: all(&TOOL)?,
        workflow: all(&WORKFLOW)?,
    })
}

/// The time that a request asks about. Fails if it ends before it begins, or is in no calendar.
pub(in crate::http::api) fn window_of(request: &Request, zone: Zone) -> Result<Window, Problem> {
    filter_within(request.given(&SINCE)?, request.given(&UNTIL)?, zone)
}

/// The window from one moment to another. Fails if there is no time in it.
pub(in crate::http::api) fn filter_within(
    since: Option<TimeOrDate>,
    until: Option<TimeOrDate>,
    zone: Zone,
) -> Result<Window, Problem> {
    let window = Window {
        since: moment(since, |day| zone.midnight(day))?,
        until: moment(until, |day| zone.midnight(day.next()?))?,
    };
    match window {
        Window { since: Some(since), until: Some(until) } if since >= until => {
            Err(Problem::bad_request("`since` must be before `until`"))
        }
        _ => Ok(window),
    }
}

/// Most rows of an answer with all of its pages in which single calls and responses are told: to link to one, its session is
/// read.
pub(in crate::http::api) const LINKED_ROWS_MAX: usize = 100;

/// Days that a question looks back if it does not say since when.
pub(in crate::http::api) const DAYS: i64 = 30;

pub(in crate::http::api) const MINUTE_MS: i64 = 60_000;

/// A window with a beginning and an end: without an end it ends now, and without a beginning it begins [`DAYS`] days of 24
/// hours before its end, at a full minute.
pub(in crate::http::api) fn last_days(window: Window, now: Timestamp) -> Window {
    let until = window.until.unwrap_or(now);
    let begin = until.0.saturating_sub(DAYS * 24 * 60 * MINUTE_MS);
    let since = window.since.unwrap_or(Timestamp(begin.div_euclid(MINUTE_MS) * MINUTE_MS));
    Window { since: Some(since), until: window.until }
}

/// A time, or what a day stands for.
fn moment(
    given: Option<TimeOrDate>,
    of_day: impl FnOnce(Day) -> Option<Timestamp>,
) -> Result<Option<Timestamp>, Problem> {
    match given {
        None => Ok(None),
        Some(TimeOrDate::Time(time)) => Ok(Some(time)),
        Some(TimeOrDate::Date(day)) => {
            let beyond = || Problem::bad_request(format!("{day} is beyond the calendar"));
            of_day(day).map(Some).ok_or_else(beyond)
        }
    }
}
