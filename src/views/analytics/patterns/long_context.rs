//! Requests with very long prompts.

use std::collections::BTreeMap;

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
    default: 150_000.0,
    range: (1.0, 10_000_000.0),
    help: "Tokens of a prompt that are not too many.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "long_context",
        title: "Very long contexts",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "Compact or start a new session when one piece of work is done. Keep long reading out of the main \
                         thread: let a sub-agent do it.",
        method: "For each request: the tokens above the limit that it read from the cache, at what it paid for them. One \
                 finding is all requests of one turn or sub-agent.",
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
    let limit = settings.whole(&RULE.text, &TOKENS);
    let mut found: BTreeMap<u32, Finding> = BTreeMap::new();
    for request in seen.threads.iter().flat_map(|thread| &thread.requests) {
        let tokens = &request.response.tokens;
        let beyond = tokens.prompt().saturating_sub(limit).min(tokens.cache_read);
        if beyond == 0 {
            continue;
        }
        let picousd = seen.price(request.response, &Tokens { cache_read: beyond, ..Tokens::default() });
        let own = request.finding(names);
        let finding = found.entry(request.unit).or_insert(own);
        if finding.amount < tokens.prompt() {
            let (saved, first) = (finding.picousd, finding.at);
            *finding = Finding { picousd: saved, at: first, amount: tokens.prompt(), ..own };
        }
        finding.picousd = finding.picousd.saturating_add(picousd);
        finding.name = seen.agent(request.unit);
    }
    found.into_values().collect()
}

fn sentence(sum: &Sum) -> String {
    format!(
        "Turns and sub-agents went on with prompts of up to {3} tokens, {0} in {1}. What was above the limit cost {2} to \
         read again and again.",
        counted(sum.count, "time"),
        counted(sum.sessions, "session"),
        money(sum.saving),
        short(sum.largest)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("turns_and_sub_agents", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("largest_prompt_tokens", Figure::Count(sum.largest)),
        ("by_agent", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name}: a prompt of {} tokens", short(finding.amount))
}
