//! A conversation was compacted again before much was done.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::transcript::time::seconds;
use crate::views::analytics::figures::{counted, duration};
use crate::views::analytics::names::{Name, Names};
use crate::views::analytics::work::WaitKind;

const SECONDS_PER_HOUR: u64 = 3600;

const RESPONSES: Limit = Limit {
    name: "responses",
    default: 10.0,
    range: (1.0, 100_000.0),
    help: "Responses between two compactions that are enough.",
};

const HOURS: Limit = Limit {
    name: "hours",
    default: 12.0,
    range: (0.01, 1e6),
    help: "Hours between two compactions that are enough, however little was done.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "compactions_in_a_row",
        title: "Compactions in a row",
        severity: Severity::Warn,
        basis: Basis::Measured,
        recommendation: "What comes back after a compaction is too large: shorten CLAUDE.md and the output of tools, give \
                         reading to sub-agents, or start a new session with a short summary of your own.",
        method: "The time of each compaction that came after fewer responses and less time than the limits since the one \
                 before it. What the client paid for it is not in the session files.",
        saves: true,
        limits: &[RESPONSES, HOURS],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let enough = settings.whole(&RULE.text, &RESPONSES);
    let long = settings.milliseconds(&RULE.text, &HOURS).saturating_mul(SECONDS_PER_HOUR);
    let mut found = Vec::new();
    // What lies between two compactions is not known if some responses have no time.
    for thread in seen.threads.iter().filter(|thread| thread.undated == 0) {
        for ((_, one), (unit, next)) in thread.compactions.iter().zip(thread.compactions.iter().skip(1)) {
            let before = |end| thread.requests.partition_point(|request| request.response.start < end);
            let between = before(next.start).saturating_sub(before(one.end)) as u64;
            if between >= enough || next.start.since_ms(one.end) >= long {
                continue;
            }
            let name = match &next.kind {
                WaitKind::Compaction(trigger) => names.number(Some(trigger)),
                _ => Name::NONE,
            };
            found.push(Finding {
                rule: 0,
                at: next.start,
                unit: *unit,
                model: Name::NONE,
                name,
                picousd: 0,
                ms: next.end.since_ms(next.start),
                amount: between,
                step: None,
            });
        }
    }
    found
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} in {} came soon after the one before, and took {}.",
        counted(sum.count, "compaction"),
        counted(sum.sessions, "session"),
        duration(seconds(sum.ms))
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("compactions", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("by_trigger", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("compaction ({name}) {} after the one before", counted(finding.amount, "response"))
}
