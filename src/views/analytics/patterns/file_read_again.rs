//! The same part of a file that was read again although the context still had it.

use std::collections::HashMap;

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Called, Seen, Thread};
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::transcript::hash::ById;
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;
use crate::views::analytics::session_work::{CARRY_PICOUSD, CubeCall};

const READ: &str = "Read";

const BYTES: Limit =
    Limit { name: "bytes", default: 2_000.0, range: (1.0, 1e9), help: "Least bytes of a result that was read again." };

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "file_read_again",
        title: "The same file is read again unchanged",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "If many agents need the same file, put what they need of it into CLAUDE.md or the prompt. If one \
                         thread does it, its context is too full to find it again: keep sessions shorter.",
        method: "For each `Read` with the same input as one before it in the same thread, a result of the same length, no \
                 call between that writes to the file and no compaction: its tokens, estimated from its bytes, at what the \
                 next response paid to write them to the cache and what all later ones paid to read them.",
        saves: true,
        limits: &[BYTES],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let least = settings.whole(&RULE.text, &BYTES);
    let written = writes(seen);
    let mut found = Vec::new();
    for thread in &seen.threads {
        let mut reads: HashMap<u64, &Called<'_>, ById> = HashMap::default();
        for called in &thread.calls {
            let call = called.call;
            if &*call.tool != READ || call.input == 0 || call.outcome != Some(Outcome::Ok) {
                continue;
            }
            let before = reads.insert(call.input, called);
            let is_again = before.is_some_and(|before| {
                before.call.bytes == call.bytes
                    && call.bytes >= least
                    && !thread.is_compacted_between(before.call.end(), call.at)
                    && !is_written_between(&written, call.file, before.call.at, called.call.end())
            });
            if let Some(known) = seen.known(called).filter(|known| is_again && known.carried > 0) {
                let picousd = carried(known).saturating_add(written_once(seen, thread, called, known));
                found.push(Finding { picousd, amount: known.tokens.into(), ..called.finding(names, known.model) });
            }
        }
    }
    found
}

/// When calls of the session that are no reads touched each file, in order of time: its content may be another one then.
fn writes(seen: &Seen<'_>) -> HashMap<u64, Vec<Timestamp>, ById> {
    let mut writes: HashMap<u64, Vec<Timestamp>, ById> = HashMap::default();
    for called in seen.threads.iter().flat_map(|thread| &thread.calls) {
        if called.call.file != 0 && &*called.call.tool != READ {
            writes.entry(called.call.file).or_default().push(called.call.end());
        }
    }
    writes.values_mut().for_each(|times| times.sort_unstable());
    writes
}

fn is_written_between(writes: &HashMap<u64, Vec<Timestamp>, ById>, file: u64, from: Timestamp, to: Timestamp) -> bool {
    let Some(times) = writes.get(&file) else { return false };
    times.get(times.partition_point(|time| *time < from)).is_some_and(|time| *time <= to)
}

/// What later responses paid to read a result from the cache, in picodollars.
fn carried(call: &CubeCall) -> u64 {
    // The first of them wrote it.
    let later = u64::from(call.carried.saturating_sub(1));
    let paid = u64::from(call.carry).saturating_mul(u64::from(CARRY_PICOUSD)).saturating_mul(later);
    paid.checked_div(call.carried.into()).unwrap_or(0)
}

/// What the next response paid to write a result to the cache, in picodollars.
fn written_once(seen: &Seen<'_>, thread: &Thread<'_>, called: &Called<'_>, call: &CubeCall) -> u64 {
    let next = thread.requests.partition_point(|request| request.response.start < called.call.end());
    let Some(request) = thread.requests.get(next) else { return 0 };
    let tokens = u64::from(call.tokens);
    seen.price(request.response, &request.response.tokens.written_like(tokens))
}

fn sentence(sum: &Sum) -> String {
    format!(
        "Files were read again unchanged {} in {}: {} tokens that the context had already, for about {}.",
        counted(sum.count, "time"),
        counted(sum.sessions, "session"),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("reads", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("tokens_estimate", Figure::Count(sum.amount)),
    ]
}

fn detail(finding: &Finding, _: &str) -> String {
    format!("{} tokens read again", short(finding.amount))
}
