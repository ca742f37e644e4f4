//! Sessions whose files the client will delete soon.

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use super::usage::taken_sessions;
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, money};

const SECONDS_PER_DAY: u64 = 86_400;
const DAY_MS: u64 = SECONDS_PER_DAY * 1000;

const DAYS: Limit = Limit {
    name: "days",
    default: 30.0,
    range: (1.0, 100_000.0),
    help: "Days after which the client deletes files: `cleanupPeriodDays` in its settings.",
};
const BEFORE: Limit =
    Limit { name: "before", default: 5.0, range: (0.0, 100_000.0), help: "How many days before that it is told." };

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "files_deleted_soon",
        title: "Session files are deleted soon",
        severity: Severity::Info,
        basis: Basis::Measured,
        recommendation: "Copy the files of sessions that you still want to read, or raise `cleanupPeriodDays` in the \
                         settings of the client. Sums, spans and metrics stay without the files; texts do not.",
        method: "Sessions whose last row is nearly as old as the client keeps files. It is told for the time of the question, \
                 whatever range is asked for.",
        saves: false,
        limits: &[DAYS, BEFORE],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let days = |limit| asked.settings.milliseconds(&RULE.text, limit).saturating_mul(SECONDS_PER_DAY);
    let ago = |ms: u64| Timestamp(asked.now.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)));
    let kept = days(&DAYS);
    let (deleted, soon) = (ago(kept), ago(kept.saturating_sub(days(&BEFORE))));
    let mut sessions = Vec::new();
    for (id, session) in taken_sessions(asked).filter(|(_, session)| session.entry.is_real) {
        let ended = session.entry.ended.filter(|ended| *ended > deleted && *ended <= soon);
        sessions.extend(ended.map(|ended| (ended, id, session.entry.cost)));
    }
    sessions.sort();
    let cost: Money = sessions.iter().map(|(_, _, cost)| *cost).sum();
    let count = sessions.len() as u64;
    let seen = first_and_last(sessions.iter().map(|(ended, ..)| *ended))?;
    let evidence = sessions.into_iter().take(EVIDENCE_MAX).map(|(ended, id, cost)| {
        let left = ended.since_ms(deleted) / DAY_MS;
        let detail = format!("{} left, cost {}", counted(left, "day"), money(cost));
        Shown { session: Some(id.clone()), at: Some(ended), detail }
    });
    Some(Judged {
        sentence: format!(
            "The client deletes the files of {} within the next {}. They cost {}.",
            counted(count, "session"),
            counted(asked.settings.whole(&RULE.text, &BEFORE), "day"),
            money(cost)
        ),
        figures: vec![("sessions", Figure::Count(count)), ("cost_usd", Figure::Usd(cost))],
        saving: Money::ZERO,
        seen: Some(seen),
        evidence: evidence.collect(),
    })
}
