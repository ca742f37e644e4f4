//! The cache had a conversation and was not used: another model went on with it, or its beginning changed.

use super::cache::Why;
use super::cache_expired::rebuilt;
use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;

const TOKENS: Limit = Limit {
    name: "tokens",
    default: 10_000.0,
    range: (1.0, 10_000_000.0),
    help: "Least tokens that one request had to write to the cache again.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "cache_rebuilt",
        title: "Cache rebuilt in the middle of work",
        severity: Severity::Cost,
        basis: Basis::Measured,
        recommendation: "Switch models at the beginning of a session, not within it: each model has a cache of its own. If \
                         no model was switched, the beginning of the prompt changed: connect MCP servers, and change tools, \
                         instructions and output styles before the first prompt.",
        method: "For each request that went on while the cache still had the conversation and did not read it: the tokens \
                 that the request before it had left in the cache and that this one paid for again, at what it paid for \
                 them minus what reading them from the cache would have cost.",
        limits: &[TOKENS],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    rebuilt(seen, settings.whole(&RULE.text, &TOKENS), names, |why| why != Why::Expired)
}

fn sentence(sum: &Sum) -> String {
    let switches = sum.named("model_switch");
    let why = match (switches, sum.count - switches) {
        (_, 0) => "another model went on".to_owned(),
        (0, _) => "the beginning of the prompt was another one, or the cache was lost".to_owned(),
        (switches, other) => format!(
            "another model went on ({switches}), or the beginning of the prompt was another one or the cache was lost \
             ({other})"
        ),
    };
    format!(
        "{} in {} wrote {} tokens to the cache again that it still had: {why}. Reading them would have cost {} less.",
        counted(sum.count, "request"),
        counted(sum.sessions, "session"),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("rebuilds", Figure::Count(sum.count)),
        ("model_switches", Figure::Count(sum.named("model_switch"))),
        ("other", Figure::Count(sum.named("other"))),
        ("sessions", Figure::Count(sum.sessions)),
        ("tokens", Figure::Count(sum.amount)),
        ("largest_tokens", Figure::Count(sum.largest)),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    let why = if name == "model_switch" { "another model" } else { "no reason is told" };
    format!("{} tokens written again: {why}", short(finding.amount))
}
