//! `/api/v1/analytics/patterns`: what could be done better, and what that would save.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::cells::HasCells;
use super::place::{Place, Sought};
use super::places::places;
use super::questions::{
    AGENT, BRANCH, ENTRYPOINT, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL, WORKFLOW, filter_of, last_days,
};
use super::usage::{UsageForm, sought_of};
use crate::http::api::page_address::page_address;
use crate::http::api::sessions::CURRENCY;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::ids::SessionId;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::filter::Filter;
use crate::views::analytics::patterns::answer::{Evidence, Pattern, patterns};
use crate::views::analytics::patterns::finding::Step;
use crate::views::analytics::patterns::history_rule::{Asked, by_hour};
use crate::views::analytics::patterns::session_rule::Figure;
use crate::views::analytics::patterns::usage::usage;
use crate::views::analytics::period::Quarter;
use crate::views::traces::finish::SpanRules;

/// Description of [`answer`].
pub static PATTERNS: Description = Description {
    summary: "Tells what could be done better and what that would save, and when and how much people work.",
    parameters: &[
        &TZ,
        &SINCE,
        &UNTIL,
        &PROJECT,
        &BRANCH,
        &MODEL,
        &AGENT,
        &TOOL,
        &WORKFLOW,
        &ORIGIN,
        &SESSION,
        &ENTRYPOINT,
    ],
    answers: &[AnswerForm::json::<PatternList>(
        "Patterns",
        "What the rules found, what could save most first, and what is usual.",
    )],
    refusal: PROBLEM,
};

/// Answers with what the rules found. Fails if a parameter is bad or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let zone = request.value(&TZ)?;
    let asked = filter_of(request, zone)?;
    let now = Quarter::of(context.now()).start();
    // Sums are those of quarter hours.
    let window = last_days(asked.window.in_whole_quarters(), now).in_whole_quarters();
    let filter = Filter { window, ..asked };

    let cells = context.cells().now(context.reader())?;
    // Working hours, budgets and ranges without a beginning move on with time, a quarter hour at a time. The settings of the
    // client may change at any time.
    let files_kept_ms = context.cells().files_kept_ms();
    let besides = format!("-{}-{files_kept_ms}", now.0);
    if let Some(answer) = cells.not_modified(request, &besides) {
        return Ok(answer);
    }
    let told = cells.budgets(context.now());
    let budgets: Vec<_> = told.iter().filter_map(|(budget, now)| Some((budget, now?))).collect();
    let (cube, settings) = (cells.cube(), cells.patterns());
    let hours = by_hour(cube, &filter, zone);
    let asked = Asked { cube, filter: &filter, zone, hours: &hours, now, settings, files_kept_ms, budgets: &budgets };
    let (found, usage) = (patterns(&asked), usage(&asked));
    let seen = found.iter().flat_map(|pattern| &pattern.evidence);
    let edited = usage.files.iter().map(sought_of);
    let steps: Vec<(SessionId, Sought)> = seen.filter_map(sought).chain(edited).collect();
    let places = places(context.reader(), &cells, context.span_rules(), &steps)?;
    let answer = PatternList {
        tz: zone.name(),
        since: window.since.map(Timestamp::to_rfc3339),
        until: window.until.map(Timestamp::to_rfc3339),
        patterns: found.into_iter().map(|pattern| PatternForm::of(pattern, &places, context.span_rules())).collect(),
        usage: UsageForm::of(&usage, &places),
        hour_usd: settings.hour_usd,
        complete: cells.is_complete(),
        currency: CURRENCY,
    };
    Ok(cells.tagged(Answer::json(&answer)?, &besides))
}

fn sought(evidence: &Evidence) -> Option<(SessionId, Sought)> {
    let (unit, step) = evidence.step?;
    let Step { is_call, mark, end } = step;
    Some((evidence.session.clone()?, Sought { unit, is_call, mark, end }))
}

#[derive(Serialize, JsonSchema)]
struct PatternList {
    /// The time zone of dates, hours and weekdays.
    tz: &'static str,
    /// The first moment that counts, at a full quarter hour.
    since: Option<String>,
    /// The first moment that does not count any more, at a full quarter hour; `null` if there is none.
    until: Option<String>,
    /// What the rules found. What could save most comes first: in money, with each hour of waiting for `hour_usd`. Savings
    /// of two rules may overlap.
    patterns: Vec<PatternForm>,
    /// When and how much people work.
    usage: UsageForm,
    /// What an hour of waiting counts for in the order of `patterns`. It is in no sum of money.
    hour_usd: f64,
    /// False while sums are being made for a state of an older version.
    complete: bool,
    /// The currency of all amounts: `USD`.
    currency: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Pattern")]
struct PatternForm {
    /// The name of the rule, as in the configuration.
    id: &'static str,
    /// What the rule sees, in a few words.
    title: &'static str,
    /// `cost` if it costs money, `warn` if something goes wrong or soon will, else `info`.
    severity: &'static str,
    /// What was found, in a sentence or two.
    finding: String,
    /// What to do.
    recommendation: &'static str,
    /// What was found, in figures; each rule has its own.
    #[serde(serialize_with = "as_object")]
    #[schemars(with = "Map<String, Value>")]
    figures: Vec<(&'static str, Figure)>,
    /// What could have been saved; 0 if the rule is not about money.
    saving_usd: String,
    /// Time that could have been saved; 0 if the rule is not about time.
    saving_seconds: f64,
    /// `measured` if the saving follows from what session files tell, `estimated` if it needs an assumption as well.
    basis: &'static str,
    /// How the saving was worked out.
    method: &'static str,
    /// When it was seen first; `null` if it is not about times.
    since: Option<String>,
    /// When it was seen last; `null` if it is not about times.
    until: Option<String>,
    /// What shows it, the most telling first; at most five.
    evidence: Vec<EvidenceForm>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PatternEvidence")]
struct EvidenceForm {
    /// The session; `null` if it is not about one.
    #[schemars(with = "Option<String>")]
    session: Option<SessionId>,
    /// The turn, from 1; `null` if it is not about one.
    turn: Option<usize>,
    /// Position in the replay of the event that shows it, from 0; `null` if none does.
    event: Option<usize>,
    /// Its trace, 32 hexadecimal digits; not there if no response or call shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// Its span, 16 hexadecimal digits; not there if no response or call shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    /// The address of that event on the page of its session, or of that page; not there if it is not about a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// When: of a turn its prompt, else when the request or call began; `null` if it is not about a time.
    at: Option<String>,
    /// What it shows.
    detail: String,
}

impl PatternForm {
    fn of(pattern: Pattern, places: &HashMap<Sought, Place>, rules: &SpanRules) -> Self {
        let Pattern { rule, sentence, figures, saving, saving_ms, seen, evidence } = pattern;
        let evidence = evidence.into_iter().map(|evidence| EvidenceForm::of(evidence, places, rules));
        Self {
            id: rule.id,
            title: rule.title,
            severity: rule.severity.word(),
            finding: sentence,
            recommendation: rule.recommendation,
            figures,
            saving_usd: saving.to_string(),
            saving_seconds: seconds(saving_ms),
            basis: rule.basis.word(),
            method: rule.method,
            since: seen.map(|(first, _)| first.to_rfc3339()),
            until: seen.map(|(_, last)| last.to_rfc3339()),
            evidence: evidence.collect(),
        }
    }
}

impl EvidenceForm {
    fn of(evidence: Evidence, places: &HashMap<Sought, Place>, rules: &SpanRules) -> Self {
        let place = sought(&evidence).and_then(|(_, sought)| places.get(&sought));
        let page = place.map(|place| place.page.to_string());
        let session = || evidence.session.as_ref().map(|session| page_address(rules, &session.0, None));
        Self {
            page: page.or_else(session),
            session: evidence.session,
            turn: place.and_then(|place| place.turn).or(evidence.turn.and_then(|turn| usize::try_from(turn).ok())),
            event: place.and_then(|place| place.event),
            trace_id: place.map(|place| place.span.trace.to_string()),
            span_id: place.map(|place| place.span.span.to_string()),
            at: evidence.at.map(Timestamp::to_rfc3339),
            detail: evidence.detail,
        }
    }
}

fn as_object<S: Serializer>(figures: &[(&'static str, Figure)], serializer: S) -> Result<S::Ok, S::Error> {
    let object: Map<String, Value> = figures.iter().map(|(name, figure)| ((*name).to_owned(), value(figure))).collect();
    object.serialize(serializer)
}

fn value(figure: &Figure) -> Value {
    match figure {
        Figure::Count(count) => json!(count),
        Figure::Seconds(ms) => json!(seconds(*ms)),
        Figure::Share(share) => json!(share),
        Figure::Usd(money) => json!(money.to_string()),
        Figure::Counts(counts) => counts.iter().map(|(name, count)| (name.clone(), json!(count))).collect(),
        Figure::Amounts(sums) => sums.iter().map(|(name, sum)| (name.clone(), json!(sum.to_string()))).collect(),
    }
}
