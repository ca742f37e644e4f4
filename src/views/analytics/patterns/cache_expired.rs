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

const TOKENS: Limit = Limit {
    name: "tokens",
    default: 10_000.0,
    range: (1.0, 10_000_000.0),
    help: "Least tokens that one request had to write to the cache again.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "cache_expired",
        title: "Cache rebuilt after a break",
        severity: Severity::Cost,
        basis: Basis::Measured,
        recommendation: "Finish a piece of work before a break. After a longer one start a new session, or compact before \
                         it: then the next request writes a short prompt instead of the whole conversation.",
        method: "For each request after a break that was longer than the cache keeps a prompt (five minutes, or an hour if \
                 the conversation was written for an hour): the tokens that the request before it had left in the cache and \
                 that this one paid for again, at what it paid for them minus what reading them from the cache would have \
                 cost.",
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
    rebuilt(seen, settings.whole(&RULE.text, &TOKENS), names, |why| why == Why::Expired)
}

/// Rebuilds of some kinds as findings: `amount` is the tokens, `ms` stays 0, `name` is the model before.
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
                name: names.number(Some(match rebuild.why {
                    Why::Expired => "expired",
                    Why::Model => "model_switch",
                    Why::Other => "other",
                })),
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
        "{} in {} came after the cache had forgotten the conversation, and wrote {} tokens to it again. Reading them from \
         the cache would have cost {} less.",
        counted(sum.count, "request"),
        counted(sum.sessions, "session"),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("rebuilds", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("tokens", Figure::Count(sum.amount)),
        ("largest_tokens", Figure::Count(sum.largest)),
    ]
}

fn detail(finding: &Finding, _: &str) -> String {
    format!("{} tokens written again", short(finding.amount))
}
