//! The limits of the account: `/api/v1/limits` takes what a status line was told, and `/api/v1/analytics/limits` tells what is
//! known of them and when a window will be full.

pub mod kept;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::kept::{HasLimits, LimitNow};
use crate::http::api::analytics::questions::{SINCE, TZ, UNTIL, window_of};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, BodyForm, Description, JSON, PROBLEM};
use crate::http::route::parameter::{Parameter, Text, Whole};
use crate::http::route::problem::{Problem, UNCHANGED};
use crate::http::route::request::Request;
use crate::transcript::time::Timestamp;
use crate::views::analytics::limits::forecast::{CONFIDENCE, LimitForecast, METHOD, NoForecast};
use crate::views::analytics::limits::history::NotTaken;
use crate::views::analytics::limits::sample::{LimitSample, NAME_CHARS_MAX, told};

const WINDOW: Parameter<Text> =
    Parameter::query("window", Text, "Only this window, by its name: `five_hour`, `seven_day` or another.").several();
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(0, 10_000), "How many rows of the history there are at most, the latest.")
        .or("1000");

/// Most windows of which an answer names why they do not count.
const REFUSED_MAX: usize = 16;

/// Description of [`answer`].
pub static LIMITS: Description = Description {
    summary: "Tells how much of the account's limits is used, when a window will be full, and what was told earlier.",
    parameters: &[&TZ, &SINCE, &UNTIL, &WINDOW, &LIMIT],
    answers: &[AnswerForm::json::<Limits>(
        "Limits",
        "Every window with its forecast, and the latest rows of the history.",
    )],
    refusal: PROBLEM,
};

/// Description of [`take`].
pub static TAKE: Description = Description {
    summary: "Takes what the client tells its status line of the limits.",
    parameters: &[],
    answers: &[AnswerForm::json::<Taken>(
        "LimitsTaken",
        "How many windows told something that is not older than what was known.",
    )],
    refusal: PROBLEM,
};

/// What [`take`] takes.
pub static TOLD: BodyForm = BodyForm {
    form: AnswerForm::json::<ToldLimits>(
        "LimitsTold",
        "What the client writes for a status line, or its `rate_limits` alone.",
    ),
    bytes_max: 64 << 10,
};

/// What a status line was told. Whatever else stands beside it is not read.
#[derive(Debug, Deserialize, JsonSchema)]
struct ToldLimits {
    /// The windows by their names, each with `used_percentage` and `resets_at`; what cannot be read is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rate_limits: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Taken {
    /// How many windows of those that were told count: they can be read, and are not older than what was known.
    accepted: usize,
    /// Why the others do not count, by their names, of which long ones are cut; at most 16.
    refused: BTreeMap<String, &'static str>,
    /// How many others are not named.
    refused_omitted: usize,
    /// Every window as it is known now.
    windows: Vec<WindowForm>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Limits {
    /// Every window as it is known now, by name.
    windows: Vec<WindowForm>,
    /// Rows of the history: by window, then by time.
    history: Vec<LookForm>,
    /// How many earlier rows of what was asked for are left out.
    history_omitted: usize,
    /// How forecasts are made, in words.
    method: &'static str,
}

/// A window at this moment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitWindow")]
struct WindowForm {
    /// Its name, as the client has it.
    window: String,
    /// What is used, as a share of the limit; `null` once the window has begun anew without a further look.
    used_ratio: Option<f64>,
    /// When it begins anew, RFC 3339 UTC; `null` if the client does not tell.
    resets_at: Option<String>,
    /// When that was told last, RFC 3339 UTC.
    sampled_at: String,
    /// When it will be full; `null` if that is not known.
    forecast: Option<ForecastForm>,
    /// Why there is no forecast; `null` if there is one.
    forecast_reason: Option<String>,
}

/// When a window will be full.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitForecast")]
struct ForecastForm {
    /// When it will be full, as likely earlier as later, RFC 3339 UTC; `null` if that is not before it begins anew.
    full_at: Option<String>,
    /// The earliest moment with `confidence`; `null` if it is not full before it begins anew even then.
    earliest: Option<String>,
    /// The latest moment with `confidence`; `null` if it may begin anew before it is full.
    latest: Option<String>,
    /// What will be used when it begins anew, as a share of the limit and as if there were none.
    used_ratio_at_reset: f64,
    /// The least of it, with `confidence`.
    used_ratio_at_reset_low: f64,
    /// The most of it, with `confidence`.
    used_ratio_at_reset_high: f64,
    /// The share of such intervals that hold what comes.
    confidence: f64,
    /// Earlier looks that it was learned from; 0 of a window that is full.
    looks: usize,
}

/// A row of the history.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitLook")]
struct LookForm {
    /// The name of the window.
    window: String,
    /// When it was told, RFC 3339 UTC.
    at: String,
    /// What was used, as a share of the limit.
    used_ratio: f64,
    /// When the window was to begin anew, RFC 3339 UTC; `null` if the client did not tell.
    resets_at: Option<String>,
}

/// Takes what a client tells. Fails if the body is no JSON object with an object `rate_limits`.
pub fn take<C: HasLimits>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let unread = |error: serde_json::Error| Problem::bad_request(format!("the body cannot be read: {error}"));
    // An object first: a list would be read as its fields in order.
    let body: serde_json::Map<String, Value> = serde_json::from_slice(&request.body).map_err(unread)?;
    let body: ToldLimits = serde_json::from_value(Value::Object(body)).map_err(unread)?;
    let (now, body) = (context.now(), json!({"rate_limits": body.rate_limits}));
    let (mut accepted, mut refused, mut refused_omitted) = (0, BTreeMap::new(), 0);
    for (name, look) in told(&body, now) {
        match look.and_then(|look| context.limits().take(look).map_err(NotTaken::reason)) {
            Ok(()) => accepted += 1,
            Err(reason) => {
                let is_named = refused.len() < REFUSED_MAX && refused.insert(shortened(name), reason).is_none();
                refused_omitted += usize::from(!is_named);
            }
        }
    }
    Answer::json(&Taken { accepted, refused, refused_omitted, windows: windows(context, now, &[]) })
}

/// A name as long as that of a window can be, with `…` behind it if it goes on.
fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(NAME_CHARS_MAX).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// Answers with the windows and their history. Fails if a parameter is bad.
pub fn answer<C: HasLimits>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (asked, names) = (window_of(request, request.value(&TZ)?)?, request.all(&WINDOW)?);
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let windows = windows(context, context.now(), &names);
    let (history, history_omitted) = context.limits().rows(|history| {
        let is_asked = |row: &&LimitSample| {
            asked.since.is_none_or(|since| row.at >= since) && asked.until.is_none_or(|until| row.at < until)
        };
        let rows = windows.iter().flat_map(|window| history.rows(&window.window)).filter(is_asked);
        latest(rows.collect(), limit)
    });
    tagged(&Limits { windows, history, history_omitted, method: METHOD }, request)
}

/// The latest of some rows of several windows, and how many earlier ones there are.
fn latest(mut rows: Vec<&LimitSample>, limit: usize) -> (Vec<LookForm>, usize) {
    rows.sort_by_key(|row| row.at);
    let omitted = rows.len().saturating_sub(limit);
    let mut rows = rows.split_off(omitted);
    rows.sort_by(|a, b| (&a.window, a.at).cmp(&(&b.window, b.at)));
    (rows.into_iter().map(LookForm::of).collect(), omitted)
}

fn windows<C: HasLimits>(context: &C, now: Timestamp, names: &[&str]) -> Vec<WindowForm> {
    let all = context.limits().now(now).into_iter();
    all.filter(|window| names.is_empty() || names.contains(&&*window.look.window)).map(WindowForm::of).collect()
}

/// The answer with a tag of what it says; or that it is as it was, to a client that has it.
fn tagged(limits: &Limits, request: &Request) -> Result<Answer, Problem> {
    let body = serde_json::to_vec(limits).map_err(|error| Problem::internal(error.to_string()))?;
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let known = request.header(&IF_NONE_MATCH).unwrap_or_default();
    let is_known = known.split(',').any(|known| [tag.as_str(), "*"].contains(&known.trim()));
    let answer = if is_known { Answer::empty(UNCHANGED) } else { Answer::bytes(JSON, body)? };
    Ok(match HeaderValue::from_str(&tag) {
        Ok(tag) => answer.with_header(ETAG, tag),
        Err(_) => answer,
    })
}

/// A share to six decimals.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

impl WindowForm {
    fn of(LimitNow { look, is_over, forecast }: LimitNow) -> Self {
        let reason = forecast.err().map(NoForecast::reason);
        Self {
            window: look.window.to_string(),
            used_ratio: (!is_over).then(|| look.used()),
            resets_at: look.resets_at.map(Timestamp::to_rfc3339),
            sampled_at: look.at.to_rfc3339(),
            forecast: forecast.ok().map(ForecastForm::of),
            forecast_reason: reason,
        }
    }
}

impl ForecastForm {
    fn of(forecast: LimitForecast) -> Self {
        let text = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        let [low, middle, high] = forecast.used_at_reset.map(rounded);
        Self {
            full_at: text(forecast.full_at),
            earliest: text(forecast.earliest),
            latest: text(forecast.latest),
            used_ratio_at_reset: middle,
            used_ratio_at_reset_low: low,
            used_ratio_at_reset_high: high,
            confidence: CONFIDENCE,
            looks: forecast.looks,
        }
    }
}

impl LookForm {
    fn of(look: &LimitSample) -> Self {
        Self {
            window: look.window.to_string(),
            at: look.at.to_rfc3339(),
            used_ratio: look.used(),
            resets_at: look.resets_at.map(Timestamp::to_rfc3339),
        }
    }
}
