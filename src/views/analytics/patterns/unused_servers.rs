//! MCP servers that every prompt tells of and that nobody calls.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Found, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Seen, Thread};
use super::session_rule::{Around, Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::{Name, Names};

/// Bytes of a token of a list of tools or of instructions.
const BYTES_PER_TOKEN: u64 = 4;

const SESSIONS: Limit = Limit {
    name: "sessions",
    default: 3.0,
    range: (1.0, 1e6),
    help: "Least sessions that a server was offered in and in none of which it was called.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "unused_servers",
        title: "MCP servers that are never used",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "Disconnect them (`/mcp`, `claude mcp remove`), or connect them only in the projects that need them.",
        method: "Of servers that are offered in at least so many sessions of the range and called in none: the bytes of their \
                 tools and instructions that the client told the model, four to a token, written to the cache once in each \
                 thread and read by every later response until the conversation is compacted. Schemas do not count.",
        saves: true,
        limits: &[SESSIONS],
    },
    find,
    keep: Some(never_called),
    is_told: any,
    sentence,
    figures,
    detail,
};

/// Whether one of these tools is one of a server: `mcp__github__create_issue` of `github`.
fn is_called(tools: &BTreeSet<String>, server: &str) -> bool {
    let prefix = format!("mcp__{server}__");
    tools.range(prefix.clone()..).next().is_some_and(|tool| tool.starts_with(&prefix))
}

fn find(seen: &Seen<'_>, _: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let calls = || seen.threads.iter().flat_map(|thread| &thread.calls);
    if seen.threads.iter().all(|thread| thread.offers.is_empty()) {
        return Vec::new();
    }
    let called: BTreeSet<String> = calls().map(|called| called.call.tool.to_string()).collect();
    let mut found: BTreeMap<Name, Finding> = BTreeMap::new();
    for thread in &seen.threads {
        let read = Read::of(seen, thread);
        for (unit, offer) in thread.offers.iter().filter(|(_, offer)| !is_called(&called, &offer.server)) {
            let tokens = offer.bytes / BYTES_PER_TOKEN;
            if tokens == 0 {
                continue;
            }
            let (requests, picousd) = read.carried(seen, thread, offer.at, tokens);
            let name = names.number(Some(&offer.server));
            let finding = found.entry(name).or_insert(Finding {
                rule: 0,
                at: offer.at,
                unit: *unit,
                model: Name::NONE,
                name,
                picousd: 0,
                ms: 0,
                amount: 0,
                step: None,
            });
            finding.picousd = finding.picousd.saturating_add(picousd);
            finding.amount = finding.amount.saturating_add(tokens.saturating_mul(requests));
        }
    }
    found.into_values().collect()
}

/// What the requests of a thread paid for a million tokens that they read from the cache, added up from the first on, in
/// picodollars: one sum more than there are requests.
struct Read(Vec<u128>);

const MILLION: u64 = 1_000_000;

impl Read {
    fn of(seen: &Seen<'_>, thread: &Thread<'_>) -> Self {
        let mut sums = vec![0u128];
        if !thread.offers.is_empty() {
            let mut sum = 0;
            sums.extend(thread.requests.iter().map(|request| {
                let million = Tokens { cache_read: MILLION, ..Tokens::default() };
                sum += u128::from(seen.price(request.response, &million));
                sum
            }));
        }
        Self(sums)
    }

    /// How many responses had so many tokens in their prompts, from a time on until the conversation was compacted, and
    /// what they paid for them, in picodollars: the first wrote them, all others read them.
    fn carried(&self, seen: &Seen<'_>, thread: &Thread<'_>, from: Timestamp, tokens: u64) -> (u64, u64) {
        let first = thread.requests.partition_point(|request| request.response.start < from);
        let after = thread.compactions.partition_point(|(_, wait)| wait.end <= from);
        let last = thread.compactions.get(after).map_or(thread.requests.len(), |(_, wait)| {
            thread.requests.partition_point(|request| request.response.start < wait.end)
        });
        let Some(request) = thread.requests.get(first).filter(|_| first < last) else { return (0, 0) };
        let written = seen.price(request.response, &request.response.tokens.written_like(tokens));
        let sum = |count: usize| self.0.get(count).copied().unwrap_or(0);
        let read = sum(last).saturating_sub(sum(first + 1)).saturating_mul(tokens.into()) / u128::from(MILLION);
        let picousd = u64::try_from(read).unwrap_or(u64::MAX).saturating_add(written);
        ((last - first) as u64, picousd)
    }
}

/// The findings about servers that were offered in enough sessions and called in no session of the range.
fn never_called<'c>(around: &Around<'_>, found: Vec<Found<'c>>) -> Vec<Found<'c>> {
    if found.is_empty() {
        return found;
    }
    let called = (around.called)();
    let mut sessions: BTreeMap<Name, BTreeSet<&str>> = BTreeMap::new();
    for found in &found {
        sessions.entry(found.finding.name).or_default().insert(&found.session.0);
    }
    let least = around.settings.whole(&RULE.text, &SESSIONS);
    let is_enough = |name: Name| sessions.get(&name).is_some_and(|sessions| sessions.len() as u64 >= least);
    let wanted: BTreeSet<Name> = sessions
        .keys()
        .copied()
        .filter(|name| is_enough(*name) && (around.shown)(*name).is_some_and(|server| !is_called(&called, &server)))
        .collect();
    found.into_iter().filter(|found| wanted.contains(&found.finding.name)).collect()
}

fn sentence(sum: &Sum) -> String {
    let servers = sum.names.len() as u64;
    let named: Vec<&str> = sum.names.keys().map(String::as_str).take(3).collect();
    format!(
        "{} ({}{}) told the model of tools in {} and were called in none: {} tokens of prompts, for about {}.",
        counted(servers, "MCP server"),
        named.join(", "),
        if servers > 3 { " and others" } else { "" },
        counted(sum.sessions, "session"),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("servers", Figure::Count(sum.names.len() as u64)),
        ("sessions", Figure::Count(sum.sessions)),
        ("carried_tokens_estimate", Figure::Count(sum.amount)),
        ("usd_by_server", Figure::Amounts(sum.names.iter().map(|(name, own)| (name.clone(), own.saving)).collect())),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name}: {} tokens of prompts", short(finding.amount))
}
