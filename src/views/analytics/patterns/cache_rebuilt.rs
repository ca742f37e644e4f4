//! The cache had a conversation and was not used: another model went on with it, or its beginning changed.

use super::cache::Why;
use super::cache_expired::{TOKENS, rebuilt};
use super::finding::{Finding, Sum};
use super::rule::{Basis, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;

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
        saves: true,
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
    rebuilt(seen, settings.whole(&RULE.text, &TOKENS), names, |why| !why.is_expired())
}

fn sentence(sum: &Sum) -> String {
    let why: Vec<String> = [
        (Why::Model, "another model went on"),
        (Why::Tools, "tools came or went"),
        (Why::Fork, "a fork began"),
        (Why::Other, "the beginning of the prompt was another one, or the cache was lost"),
    ]
    .into_iter()
    .map(|(why, text)| (sum.named(why.word()), text))
    .filter(|(count, _)| *count > 0)
    .map(|(count, text)| format!("{text} ({count})"))
    .collect();
    let why = why.join("; ");
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
        ("model_switches", Figure::Count(sum.named(Why::Model.word()))),
        ("tools_changed", Figure::Count(sum.named(Why::Tools.word()))),
        ("forks", Figure::Count(sum.named(Why::Fork.word()))),
        ("other", Figure::Count(sum.named(Why::Other.word()))),
        ("sessions", Figure::Count(sum.sessions)),
        ("tokens", Figure::Count(sum.amount)),
        ("largest_tokens", Figure::Count(sum.largest)),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    let why = match name {
        name if name == Why::Model.word() => "another model",
        name if name == Why::Tools.word() => "tools came or went",
        name if name == Why::Fork.word() => "a fork began",
        _ => "no reason is told",
    };
    format!("{} tokens written again: {why}", short(finding.amount))
}
