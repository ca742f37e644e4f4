//! Money that was spent outside working hours.

use std::collections::BTreeMap;

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use super::usage::{Cells, cells};
use crate::ledger::money::Money;
use crate::views::analytics::figures::{money, percent};

const FROM: Limit =
    Limit { name: "from_hour", default: 8.0, range: (0.0, 24.0), help: "The hour at which working hours begin." };
const TO: Limit = Limit { name: "to_hour", default: 18.0, range: (0.0, 24.0), help: "The hour at which they end." };
const DAYS: Limit =
    Limit { name: "days", default: 5.0, range: (0.0, 7.0), help: "Working days of a week, from Monday on." };
const SHARE: Limit = Limit {
    name: "share",
    default: 0.25,
    range: (0.0, 1.0),
    help: "Least share of all money that was spent outside of them, from 0 to 1.",
};

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "outside_hours",
        title: "Spend outside working hours",
        severity: Severity::Info,
        basis: Basis::Measured,
        recommendation: "See whether somebody started it on purpose: `tailspan report costs --by hour` and `--by session`.",
        method: "What was spent in hours of the zone of the question that are not working hours. It is no saving.",
        limits: &[FROM, TO, DAYS, SHARE],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let number = |limit| asked.settings.number(&RULE.text, limit);
    let is_working = |weekday: usize, hour: usize| {
        (weekday as f64) < number(&DAYS) && (hour as f64) >= number(&FROM) && (hour as f64) < number(&TO)
    };
    let (mut all, mut outside) = (Money::ZERO, Money::ZERO);
    let mut sessions: BTreeMap<_, (Money, _)> = BTreeMap::new();
    cells(asked, &mut |Cells { session, cell, weekday, hour, .. }| {
        let cost = cell.spent().cost;
        all += cost;
        if !is_working(weekday, hour) && cost > Money::ZERO {
            outside += cost;
            let (sum, first) = sessions.entry(session.clone()).or_insert((Money::ZERO, cell.first()));
            *sum += cost;
            *first = cell.first().min(*first);
        }
    });
    let share = if all > Money::ZERO { outside.to_f64() / all.to_f64() } else { 0.0 };
    if outside <= Money::ZERO || share < number(&SHARE) {
        return None;
    }
    let seen = first_and_last(sessions.values().map(|(_, first)| *first));
    let count = sessions.len() as u64;
    let mut sessions: Vec<_> = sessions.into_iter().collect();
    sessions.sort_by(|(a, (one, _)), (b, (other, _))| other.cmp(one).then_with(|| a.cmp(b)));
    let evidence = sessions.into_iter().map(|(session, (cost, first))| Shown {
        session: Some(session),
        at: Some(first),
        detail: format!("{} outside working hours", money(cost)),
    });
    Some(Judged {
        sentence: format!(
            "{} of {} were spent outside working hours ({}).",
            money(outside),
            money(all),
            percent(share)
        ),
        figures: vec![
            ("outside_usd", Figure::Usd(outside)),
            ("total_usd", Figure::Usd(all)),
            ("share", Figure::Share(share)),
            ("sessions", Figure::Count(count)),
        ],
        saving: Money::ZERO,
        seen,
        evidence: evidence.take(EVIDENCE_MAX).collect(),
    })
}
