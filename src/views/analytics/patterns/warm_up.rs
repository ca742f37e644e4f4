//! Sub-agents that did so little that building their prompts cost most of what they cost.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Seen, Thread};
use super::session_rule::{Figure, SessionRule, saves};
use super::settings::PatternSettings;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;

const RESPONSES: Limit = Limit {
    name: "responses",
    default: 3.0,
    range: (1.0, 1000.0),
    help: "Most responses of a sub-agent that does little.",
};

const USD: Limit = Limit {
    name: "usd",
    default: 0.01,
    range: (0.0, 1e6),
    help: "Least US dollars that all of them together would have saved.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "sub_agent_warm_up",
        title: "Sub-agents that did little",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "Let the main thread do what takes one or two calls. Sub-agents pay off when they read much and \
                         answer little.",
        method: "For each sub-agent with few responses: what it cost, minus what the thread that called it would have paid \
                 for the same: the same generated tokens, the same results written to its cache, and its own prompt read \
                 from the cache for each response but the last. What those results would have cost later is left out.",
        saves: true,
        limits: &[RESPONSES, USD],
    },
    find,
    keep: None,
    is_told: |sum, settings| saves(sum, settings, &RULE.text, &USD),
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let most = settings.whole(&RULE.text, &RESPONSES);
    let little = seen
        .threads
        .iter()
        .filter(|thread| thread.agent.is_some() && thread.undated == 0 && thread.requests.len() as u64 <= most);
    let mut found = Vec::new();
    for thread in little {
        if let Some(finding) = overhead(seen, thread, names) {
            found.push(finding);
        }
    }
    found
}

fn overhead(seen: &Seen<'_>, thread: &Thread<'_>, names: &mut Names) -> Option<Finding> {
    let (unit, call) = (thread.agent?, thread.waited_for_by?);
    let first = thread.requests.first()?;
    let caller = seen.caller(call)?.response;
    let mut paid = 0u64;
    let (mut output, mut results) = (0u64, 0u64);
    for (position, request) in thread.requests.iter().enumerate() {
        let response = request.response;
        paid = paid.saturating_add(response.picousd?);
        output = output.saturating_add(response.tokens.output);
        if position > 0 {
            let Tokens { input, cache_write_5m, cache_write_1h, .. } = response.tokens;
            results = results.saturating_add(input).saturating_add(cache_write_5m).saturating_add(cache_write_1h);
        }
    }
    caller.picousd?;
    // The last response only told the caller what the caller would have seen itself.
    let read = caller.tokens.prompt().saturating_mul(thread.requests.len().saturating_sub(1) as u64);
    // New results would be written the way the caller writes.
    let instead = Tokens { output, cache_read: read, ..caller.tokens.written_like(results) };
    let picousd = paid.saturating_sub(seen.price(caller, &instead));
    let amount = first.response.tokens.prompt();
    (picousd > 0).then_some(Finding { picousd, amount, name: seen.agent(unit), ..first.finding(names) })
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} in {} did little more than read their own prompts. The main thread would have done the same for about {} less.",
        counted(sum.count, "sub-agent"),
        counted(sum.sessions, "session"),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("sub_agents", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("first_prompt_tokens", Figure::Count(sum.amount)),
        ("by_type", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    let saved = money(Money::from_picousd(finding.picousd.into()));
    format!("{name}: a first prompt of {} tokens, {saved} more than needed", short(finding.amount))
}
