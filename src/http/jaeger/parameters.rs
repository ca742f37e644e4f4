//! What a search asks for, in v1's words and in v3's.

use serde_json::{Map, Value};

use crate::http::route::problem::Problem;
use crate::http::route::query::Query;
use crate::transcript::time::Timestamp;
use crate::views::traces::jaeger::{Filter, parse_go_duration};

/// Parameters of v1's search.
pub const SEARCH_PARAMETERS: &[&str] =
    &["service", "operation", "tag", "tags", "minDuration", "maxDuration", "limit", "start", "end", "traceID"];

/// Parameters of v3's search and summaries.
pub const SEARCH_V3_PARAMETERS: &[&str] = &[
    "query.serviceName",
    "query.service_name",
    "query.operationName",
    "query.operation_name",
    "query.attributes",
    "query.durationMin",
    "query.duration_min",
    "query.durationMax",
    "query.duration_max",
    "query.searchDepth",
    "query.search_depth",
    "query.num_traces",
    "query.startTimeMin",
    "query.start_time_min",
    "query.startTimeMax",
    "query.start_time_max",
];

/// Parameters of the lists of operations, v1's and v3's.
pub const OPERATIONS_PARAMETERS: &[&str] = &["service", "spanKind", "span_kind"];

/// Traces of v1's search unless `limit` says otherwise.
const LIMIT: usize = 20;
/// Traces of v3's search unless `query.searchDepth` says otherwise.
const LIMIT_V3: usize = 100;
/// Traces of any search at most; a larger limit is this one.
const LIMIT_MAX: usize = 1_000;

/// A search, read from a query.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) service: Option<String>,
    pub(super) filter: Filter,
    pub(super) limit: usize,
}

impl Search {
    /// v1: times in microseconds, no time means any time.
    pub(super) fn v1(query: &Query) -> Result<Self, Problem> {
        let mut tags = json_tags(query, "tags")?;
        for tag in query.texts("tag") {
            let takes = "a name and a value with a colon between";
            let (key, text) = tag.split_once(':').ok_or_else(|| Problem::bad_parameter("tag", takes, tag))?;
            tags.push((key.to_owned(), text.to_owned()));
        }
        let filter = Filter {
            operation: query.text("operation").map(str::to_owned),
            tags,
            shortest_ns: duration(query, "minDuration")?,
            longest_ns: duration(query, "maxDuration")?,
            from_us: microseconds(query, "start")?.unwrap_or(i64::MIN),
            until_us: microseconds(query, "end")?.unwrap_or(i64::MAX),
        };
        Ok(Self {
            service: query.text("service").map(str::to_owned),
            filter: consistent(filter, "start", "end")?,
            limit: limit(query, &["limit"])?.unwrap_or(LIMIT),
        })
    }

    /// v3: times in RFC 3339, both of them required; every name also in snake case.
    pub(super) fn v3(query: &Query) -> Result<Self, Problem> {
        let either = |name, old| if query.text(name).is_some() { name } else { old };
        let text = |name, old| query.text(either(name, old)).map(str::to_owned);
        let from = time(query, either("query.startTimeMin", "query.start_time_min"))?;
        let until = time(query, either("query.startTimeMax", "query.start_time_max"))?;
        let (Some(from_us), Some(until_us)) = (from, until) else {
            return Err(Problem::bad_request("query.startTimeMin and query.startTimeMax are required"));
        };
        let filter = Filter {
            operation: text("query.operationName", "query.operation_name"),
            tags: json_tags(query, "query.attributes")?,
            shortest_ns: duration(query, either("query.durationMin", "query.duration_min"))?,
            longest_ns: duration(query, either("query.durationMax", "query.duration_max"))?,
            from_us,
            until_us,
        };
        let limit = limit(query, &["query.searchDepth", "query.search_depth", "query.num_traces"])?;
        Ok(Self {
            service: text("query.serviceName", "query.service_name"),
            filter: consistent(filter, "query.startTimeMin", "query.startTimeMax")?,
            limit: limit.unwrap_or(LIMIT_V3),
        })
    }
}

fn consistent(filter: Filter, from: &str, until: &str) -> Result<Filter, Problem> {
    if filter.from_us > filter.until_us {
        return Err(Problem::bad_request(format!("`{from}` must not be after `{until}`")));
    }
    if filter.shortest_ns.zip(filter.longest_ns).is_some_and(|(shortest, longest)| shortest > longest) {
        return Err(Problem::bad_request("the longest duration must not be below the shortest"));
    }
    Ok(filter)
}

/// The first of `names` that is given.
fn limit(query: &Query, names: &[&str]) -> Result<Option<usize>, Problem> {
    let Some(name) = names.iter().find(|name| query.text(name).is_some()) else { return Ok(None) };
    let number = query.number(name, 1..=u64::MAX)?;
    Ok(number.map(|number| usize::try_from(number).unwrap_or(LIMIT_MAX).min(LIMIT_MAX)))
}

fn duration(query: &Query, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let takes = "a duration such as 100ms, 1.5s or 1m30s";
    parse_go_duration(text).map(Some).ok_or_else(|| Problem::bad_parameter(name, takes, text))
}

fn microseconds(query: &Query, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let takes = "microseconds since 1970-01-01 UTC";
    text.parse().map(Some).map_err(|_| Problem::bad_parameter(name, takes, text))
}

/// In microseconds since 1970-01-01 UTC; what is below a millisecond is cut off, and spans have none.
fn time(query: &Query, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = query.text(name) else { return Ok(None) };
    // Grafana leaves the `+` of an offset as it is, and so it arrives as a space.
    let time = Timestamp::parse(&text.replace(' ', "+"));
    let takes = "a time in RFC 3339 (2026-01-31T09:30:00Z)";
    time.map(|time| Some(time.0.saturating_mul(1000))).ok_or_else(|| Problem::bad_parameter(name, takes, text))
}

/// Every parameter `name`, each a JSON object; a value that is no text is taken as it is written.
fn json_tags(query: &Query, name: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut tags = Vec::new();
    for text in query.texts(name) {
        let takes = "a JSON object of names and texts";
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| Problem::bad_parameter(name, takes, text))?;
        tags.extend(object.into_iter().map(|(key, value)| match value {
            Value::String(text) => (key, text),
            other => (key, other.to_string()),
        }));
    }
    Ok(tags)
}
