//! The parameters of a search, in v1 and in v3.

use crate::http::jaeger::kinds::{GoDuration, JaegerTime, JsonTags, Microseconds, Tag};
use crate::http::route::parameter::{Described, Name, Parameter, Text, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::traces::jaeger::Filter;

/// Most traces in the answer to a search; a larger limit is lowered to this one.
const LIMIT_MAX: usize = 1_000;

/// The usual forms of ids: of a trace, and of a session, which is a UUID; neither is 0.
const TRACE_FORMS: &str = "^((?!0+$)[0-9a-fA-F]{1,32}|(?![0-]+$)[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$";

/// Which trace is asked for.
pub(super) const TRACE: Parameter<Name> = Parameter::path(
    "id",
    Name { pattern: TRACE_FORMS },
    "The id of a trace in up to 32 hexadecimal digits, or the id of a session, which is shown as one trace.",
);

/// The service whose operations are asked for, in the path.
pub(super) const SERVICE_OF: Parameter<Text> =
    Parameter::path("service", Text, "The name of a service; there is one, and others have no operations.");

/// The service whose operations are asked for, in the query.
pub(super) const OPERATIONS_SERVICE: Parameter<Text> =
    Parameter::query("service", Text, "The name of a service; there is one, and others have no operations.");
pub(super) const SPAN_KIND: Parameter<Text> =
    Parameter::query("spanKind", Text, "Only operations whose spans are of this kind, for example `client`.");
/// [`SPAN_KIND`] in v3, which has two names for it.
pub(super) const SPAN_KIND_V3: Parameter<Text> = SPAN_KIND.also(&["span_kind"]);

pub(super) const TRACE_ID: Parameter<Text> = Parameter::query(
    "traceID",
    Text,
    "The id of a trace that is asked for; if there is one, what else is searched for does not count.",
)
.several();
const SERVICE: Parameter<Text> =
    Parameter::query("service", Text, "Only traces of the service with this name; there is one.");
const OPERATION: Parameter<Text> =
    Parameter::query("operation", Text, "Only traces with a span of the operation with this name.");
const TAG: Parameter<Tag> =
    Parameter::query("tag", Tag, "Only traces with a span that has this attribute, as `name:value`.").several();
const TAGS: Parameter<JsonTags> =
    Parameter::query("tags", JsonTags, "Only traces with a span that has all of these attributes.").several();
const MIN_DURATION: Parameter<GoDuration> =
    Parameter::query("minDuration", GoDuration, "Only traces with a span that lasts as long as this or longer.");
const MAX_DURATION: Parameter<GoDuration> =
    Parameter::query("maxDuration", GoDuration, "Only traces with a span that does not last longer than this.");
const START: Parameter<Microseconds> = Parameter::query(
    "start",
    Microseconds,
    "Only traces that started at this time or later, in microseconds since 1970-01-01 UTC.",
);
const END: Parameter<Microseconds> = Parameter::query(
    "end",
    Microseconds,
    "Only traces that started at this time or earlier, in microseconds since 1970-01-01 UTC.",
);
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::from(1), "How many traces are answered at most; more than 1000 is 1000.").or("20");

const SERVICE_V3: Parameter<Text> =
    Parameter::query("query.serviceName", Text, SERVICE.about.meaning).also(&["query.service_name"]);
const OPERATION_V3: Parameter<Text> =
    Parameter::query("query.operationName", Text, OPERATION.about.meaning).also(&["query.operation_name"]);
const ATTRIBUTES_V3: Parameter<JsonTags> = Parameter::query("query.attributes", JsonTags, TAGS.about.meaning).several();
const MIN_DURATION_V3: Parameter<GoDuration> =
    Parameter::query("query.durationMin", GoDuration, MIN_DURATION.about.meaning).also(&["query.duration_min"]);
const MAX_DURATION_V3: Parameter<GoDuration> =
    Parameter::query("query.durationMax", GoDuration, MAX_DURATION.about.meaning).also(&["query.duration_max"]);
const LIMIT_V3: Parameter<Whole> = Parameter::query("query.searchDepth", Whole::from(1), LIMIT.about.meaning)
    .also(&["query.search_depth", "query.num_traces"])
    .or("100");
const START_V3: Parameter<JaegerTime> =
    Parameter::query("query.startTimeMin", JaegerTime, "Only traces that started at this time or later.")
        .also(&["query.start_time_min"])
        .required();
const END_V3: Parameter<JaegerTime> =
    Parameter::query("query.startTimeMax", JaegerTime, "Only traces that started at this time or earlier.")
        .also(&["query.start_time_max"])
        .required();

/// All parameters of a search in v1.
pub(super) const SEARCH: &[&dyn Described] =
    &[&SERVICE, &OPERATION, &TAG, &TAGS, &MIN_DURATION, &MAX_DURATION, &LIMIT, &START, &END, &TRACE_ID];

/// All parameters of a search in v3.
pub(super) const SEARCH_V3: &[&dyn Described] =
    &[&SERVICE_V3, &OPERATION_V3, &ATTRIBUTES_V3, &MIN_DURATION_V3, &MAX_DURATION_V3, &LIMIT_V3, &START_V3, &END_V3];

/// A search, read from a query.
#[derive(Debug)]
pub(super) struct TraceSearch {
    pub(super) service: Option<String>,
    pub(super) filter: Filter,
    pub(super) limit: usize,
}

impl TraceSearch {
    /// Reads a search of v1: times are in microseconds, and without a time any time matches.
    pub(super) fn v1(request: &Request) -> Result<Self, Problem> {
        let mut tags: Vec<_> = request.all(&TAGS)?.into_iter().flatten().collect();
        tags.extend(request.all(&TAG)?);
        let filter = Filter {
            operation: request.given(&OPERATION)?.map(str::to_owned),
            tags,
            shortest_ns: request.given(&MIN_DURATION)?,
            longest_ns: request.given(&MAX_DURATION)?,
            from_us: request.given(&START)?.unwrap_or(i64::MIN),
            until_us: request.given(&END)?.unwrap_or(i64::MAX),
        };
        Ok(Self {
            service: request.given(&SERVICE)?.map(str::to_owned),
            filter: consistent(filter, START.about.name, END.about.name)?,
            limit: limited(request.value(&LIMIT)?),
        })
    }

    /// Reads a search of v3: times are in RFC 3339, and both are required; every name may also be in snake case.
    pub(super) fn v3(request: &Request) -> Result<Self, Problem> {
        let (Some(from_us), Some(until_us)) = (request.given(&START_V3)?, request.given(&END_V3)?) else {
            return Err(Problem::bad_request("query.startTimeMin and query.startTimeMax are required"));
        };
        let filter = Filter {
            operation: request.given(&OPERATION_V3)?.map(str::to_owned),
            tags: request.all(&ATTRIBUTES_V3)?.into_iter().flatten().collect(),
            shortest_ns: request.given(&MIN_DURATION_V3)?,
            longest_ns: request.given(&MAX_DURATION_V3)?,
            from_us,
            until_us,
        };
        let limit = request.value(&LIMIT_V3)?;
        Ok(Self {
            service: request.given(&SERVICE_V3)?.map(str::to_owned),
            filter: consistent(filter, START_V3.about.name, END_V3.about.name)?,
            limit: limited(limit),
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

fn limited(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(LIMIT_MAX).min(LIMIT_MAX)
}
