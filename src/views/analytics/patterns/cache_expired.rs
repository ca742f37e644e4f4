//! A conversation went on after the cache had forgotten it.

use super::cache::Why;
use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::ledger::tokens::Tokens;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;

pub(super) const TOKENS: Limit = Limit {
    name: "tokens",
    default: 10_000.0,
    range: (1.0, 10_000_000.0),
    help: "Least tokens that one request had to write to the cache again.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "cache_expired",
        title: "Cache rebuilt after it expired",
        severity: Severity::Cost,
        basis: Basis::Measured,
        recommendation: "Finish a piece of work before a break. After a longer one start a new session, or compact before \
                         it: then the next request writes a short prompt instead of the whole conversation. Let calls \
                         that take longer than five minutes run in the background.",
        method: "For each request that came longer after the one before than the cache keeps a prompt (five minutes, or an hour if \
                 the conversation was written for an hour): the tokens that the request before it had left in the cache and \
                 that this one paid for again, at what it paid for them minus what reading them from the cache would have \
                 cost.",
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
    rebuilt(seen, settings.whole(&RULE.text, &TOKENS), names, Why::is_expired)
}

/// Rebuilds of some kinds as findings: `amount` is the tokens, `name` the word for the reason.
pub(super) fn rebuilt(
    seen: &Seen<'_>,
    tokens_min: u64,
    names: &mut Names,
    is_meant: impl Fn(Why) -> bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for thread in &seen.threads {
        for rebuild in thread.rebuilds(tokens_min).into_iter().filter(|rebuild| is_meant(rebuild.why)) {
            let tokens = rebuild.again.prompt();
            let read = Tokens { cache_read: tokens, ..Tokens::default() };
            let price = |tokens: &Tokens| seen.price(rebuild.request.response, tokens);
            found.push(Finding {
                name: names.number(Some(rebuild.why.word())),
                picousd: price(&rebuild.again).saturating_sub(price(&read)),
                ms: 0,
                amount: tokens,
                ..rebuild.request.finding(names)
            });
        }
    }
    found
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} in {} came after the cache had forgotten the conversation ({} after a break, {} after a call that took so \
         long), and wrote {} tokens to it again. Reading them from the cache would have cost {} less.",
        counted(sum.count, "request"),
        counted(sum.sessions, "session"),
        sum.named(Why::Break.word()),
        sum.named(Why::LongCall.word()),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("rebuilds", Figure::Count(sum.count)),
        ("after_breaks", Figure::Count(sum.named(Why::Break.word()))),
        ("after_long_calls", Figure::Count(sum.named(Why::LongCall.word()))),
        ("sessions", Figure::Count(sum.sessions)),
        ("tokens", Figure::Count(sum.amount)),
        ("largest_tokens", Figure::Count(sum.largest)),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    let after = if name == Why::LongCall.word() { "a long call" } else { "a break" };
    format!("{} tokens written again after {after}", short(finding.amount))
}
