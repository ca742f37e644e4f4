//! Small tasks that a dear model did.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Seen, Thread};
use super::session_rule::{Figure, SessionRule, saves};
use super::settings::PatternSettings;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::views::analytics::figures::{counted, money};
use crate::views::analytics::names::Names;

const RESPONSES: Limit =
    Limit { name: "responses", default: 4.0, range: (1.0, 1000.0), help: "Most responses of a small task." };
const OUTPUT: Limit = Limit {
    name: "output_tokens",
    default: 1_500.0,
    range: (1.0, 1e6),
    help: "Most generated tokens of a small task.",
};
const CALLS: Limit =
    Limit { name: "calls", default: 3.0, range: (0.0, 1000.0), help: "Most tool calls of a small task." };
const PROMPT: Limit = Limit {
    name: "prompt_tokens",
    default: 60_000.0,
    range: (1.0, 1e7),
    help: "Most tokens of a prompt of a small task.",
};
const USD: Limit = Limit {
    name: "usd",
    default: 0.1,
    range: (0.0, 1e6),
    help: "Least US dollars that all of them together would have saved.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "dear_model",
        title: "A dear model for small tasks",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "Start short questions with a cheaper model (`/model`, `--model`), and give simple sub-agents one of \
                         their own (`model:` in their files).",
        method: "Whole sessions and whole sub-agents that are small, because a cheaper model within a longer session would \
                 have to write its prompt to a cache of its own: what they cost minus the list price of the same tokens at \
                 the cheaper model (`cheaper_model`, claude-haiku-4-5 by default), which would have had to write what the first response read from the cache. It would use other tokens, and may do worse.",
        saves: true,
        limits: &[RESPONSES, OUTPUT, CALLS, PROMPT, USD],
    },
    find,
    keep: None,
    is_told: |sum, settings| saves(sum, settings, &RULE.text, &USD),
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let found = seen.threads.iter().filter_map(|thread| small(seen, thread, settings, names));
    found.collect()
}

fn small(seen: &Seen<'_>, thread: &Thread<'_>, settings: &PatternSettings, names: &mut Names) -> Option<Finding> {
    let whole = |limit| settings.whole(&RULE.text, limit);
    let requests = &thread.requests;
    let output: u64 = requests.iter().map(|request| request.response.tokens.output).sum();
    let is_small = thread.undated == 0
        && requests.len() as u64 <= whole(&RESPONSES)
        && thread.calls.len() as u64 <= whole(&CALLS)
        && output <= whole(&OUTPUT)
        && requests.iter().all(|request| request.response.tokens.prompt() <= whole(&PROMPT));
    let first = requests.first().filter(|_| is_small)?;
    let (mut paid, mut cheaper) = (0u64, 0u64);
    for (position, request) in requests.iter().enumerate() {
        let response = request.response;
        paid = paid.saturating_add(response.picousd?);
        // What another session, fork or run left in the cache of this model, the other one would have had to write.
        let read = if position == 0 { response.tokens.cache_read } else { 0 };
        let written = response.tokens.written_like(read);
        let tokens = response.tokens.minus(Tokens { cache_read: read, ..Tokens::default() }) + written;
        let list = seen.prices.list(&settings.cheaper_model, response.start, &tokens)?;
        cheaper = cheaper.saturating_add(list);
    }
    let picousd = paid.saturating_sub(cheaper);
    let own = first.finding(names);
    (picousd > 0).then_some(Finding { picousd, amount: 1, name: own.model, ..own })
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} in {} took few responses and tokens, most of them of {}. At the cheaper model the same tokens would have cost {} \
         less.",
        counted(sum.count, "small task"),
        counted(sum.sessions, "session"),
        sum.most_common().unwrap_or("another model"),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("tasks", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("tasks_by_model", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name}: {} more than at the cheaper model", money(Money::from_picousd(finding.picousd.into())))
}
