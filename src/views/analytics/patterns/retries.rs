//! Pauses after failed attempts, that turns waited for.

use std::collections::BTreeMap;

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule};
use super::settings::PatternSettings;
use crate::transcript::time::seconds;
use crate::views::analytics::critical_path::PathKind;
use crate::views::analytics::figures::{counted, duration};
use crate::views::analytics::names::{Name, Names};

const SECONDS: Limit = Limit {
    name: "seconds",
    default: 30.0,
    range: (0.0, 10_000_000.0),
    help: "Least seconds that all turns together waited.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "retries",
        title: "Retries and overloads",
        severity: Severity::Warn,
        basis: Basis::Measured,
        recommendation: "`overloaded` and `rate_limit` pass by themselves: run less at the same time, at other hours, or \
                         with another model. Other reasons point to the network or the account.",
        method: "The pauses after failed attempts on the critical paths of turns. What a failed attempt itself took is not \
                 told and does not count. Failed attempts cost nothing.",
        saves: true,
        limits: &[SECONDS],
    },
    find,
    keep: None,
    is_told: |sum, settings| sum.count > 0 && sum.ms >= settings.milliseconds(&RULE.text, &SECONDS),
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, _: &PatternSettings, _: &mut Names) -> Vec<Finding> {
    let mut found: BTreeMap<(u32, Name), Finding> = BTreeMap::new();
    for (position, turn) in seen.cells.turns.iter().enumerate() {
        for part in seen.work.parts_of(turn.unit).iter().filter(|part| part.kind == PathKind::Retry) {
            let number = u32::try_from(position).unwrap_or(u32::MAX);
            let finding = found.entry((number, part.name)).or_insert(Finding {
                rule: 0,
                at: turn.at,
                unit: turn.unit,
                model: Name::NONE,
                name: part.name,
                picousd: 0,
                ms: 0,
                amount: 1,
                step: None,
            });
            finding.ms = finding.ms.saturating_add(part.path_ms);
        }
    }
    found.into_values().collect()
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} in {} waited {} after failed attempts, most often because of `{}`.",
        counted(sum.count, "turn"),
        counted(sum.sessions, "session"),
        duration(seconds(sum.ms)),
        sum.most_common().unwrap_or("unknown")
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("turns", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("waited_seconds", Figure::Seconds(sum.ms)),
        ("turns_by_reason", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name}: {} of pauses", duration(seconds(finding.ms)))
}
