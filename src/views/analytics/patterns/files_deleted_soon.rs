//! Sessions whose files the client will delete soon.

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use super::settings::PatternSettings;
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
    help: "Days after which the client deletes files. Unless it is set here, `cleanupPeriodDays` in the settings of the \
           client counts; the default is that of the client.",
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
        recommendation: "Switch on the archive (`[archive] enabled`), or raise `cleanupPeriodDays` in the settings of the \
                         client. Sums, spans and metrics stay without the files; texts do not.",
        method: "Sessions whose last row is nearly as old as the client keeps files: as long as `days` or its own settings \
                 say. It is told for the time of the question, whatever range is asked for.",
        saves: false,
        limits: &[DAYS, BEFORE],
    },
    judge,
};

/// For how long the client keeps a session file that is not written any more, in milliseconds: as these settings say, else
/// as many days as `of_client` says that the client's own settings say, else as long as it does by itself.
pub fn files_kept_ms(settings: &PatternSettings, of_client: impl FnOnce() -> Option<u64>) -> u64 {
    let is_set = settings.limits.contains_key(&(RULE.text.id, DAYS.name));
    let days = if is_set { None } else { of_client() };
    days.map_or_else(|| days_of(settings, &DAYS), |days| days.saturating_mul(DAY_MS))
}

/// A limit in days as milliseconds.
fn days_of(settings: &PatternSettings, limit: &Limit) -> u64 {
    settings.milliseconds(&RULE.text, limit).saturating_mul(SECONDS_PER_DAY)
}

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let ago = |ms: u64| Timestamp(asked.now.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)));
    let kept = asked.files_kept_ms;
    let (deleted, soon) = (ago(kept), ago(kept.saturating_sub(days_of(asked.settings, &BEFORE))));
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
            "The client keeps files for {}: it deletes those of {} within the next {}. They cost {}.",
            counted(kept / DAY_MS, "day"),
            counted(count, "session"),
            counted(asked.settings.whole(&RULE.text, &BEFORE), "day"),
            money(cost)
        ),
        figures: vec![
            ("sessions", Figure::Count(count)),
            ("cost_usd", Figure::Usd(cost)),
            ("kept_days", Figure::Count(kept / DAY_MS)),
        ],
        saving: Money::ZERO,
        seen: Some(seen),
        evidence: evidence.collect(),
    })
}
