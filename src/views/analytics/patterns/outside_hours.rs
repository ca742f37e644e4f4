//! Money that was spent outside working hours.

use std::collections::HashSet;

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last, hour_of_week};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use crate::ledger::money::Money;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::costs::CostRow;
use crate::views::analytics::figures::{money, percent};
use crate::views::analytics::filter::NumberedFilter;
use crate::views::analytics::period::Quarter;

const FROM: Limit =
    Limit { name: "from_hour", default: 8.0, range: (0.0, 24.0), help: "The hour at which working hours begin." };
const TO: Limit = Limit {
    name: "to_hour",
    default: 18.0,
    range: (0.0, 24.0),
    help: "The hour at which they end; before `from_hour`, it is one of the next day.",
};
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
        method: "What was spent in hours of the zone of the question that are not working hours.",
        saves: false,
        limits: &[FROM, TO, DAYS, SHARE],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let number = |limit| asked.settings.number(&RULE.text, limit);
    let (from, to) = (number(&FROM), number(&TO));
    let is_working = |hour: &str| {
        let Some((weekday, hour)) = hour_of_week(hour) else { return false };
        let hour = hour as f64;
        // Hours over midnight belong to the day on which they begin.
        let (is_in, is_after_midnight) =
            if from <= to { (hour >= from && hour < to, false) } else { (hour >= from || hour < to, hour < to) };
        let weekday = if is_after_midnight { (weekday + 6) % 7 } else { weekday };
        is_in && (weekday as f64) < number(&DAYS)
    };
    let hours = asked.hours;
    let hour_of = |row: &CostRow| row.values.first().cloned().flatten();
    let is_outside = |row: &&CostRow| hour_of(row).is_some_and(|hour| !is_working(&hour));
    let outside: Money = hours.rows.iter().filter(is_outside).map(|row| row.sums.cost).sum();
    let all = hours.total.cost;
    let share = if all > Money::ZERO { outside.to_f64() / all.to_f64() } else { 0.0 };
    if outside <= Money::ZERO || share < number(&SHARE) {
        return None;
    }
    let mut sessions = spent_in(asked, hours.rows.iter().filter(is_outside).filter_map(hour_of));
    let seen = first_and_last(sessions.iter().map(|(_, (_, first))| *first));
    let count = sessions.len() as u64;
    sessions.sort_by(|(a, (one, _)), (b, (other, _))| other.cmp(one).then_with(|| a.cmp(b)));
    let evidence = sessions.into_iter().take(EVIDENCE_MAX).map(|(session, (cost, first))| Shown {
        session: Some(session.clone()),
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
        evidence: evidence.collect(),
    })
}

/// What each session spent in some hours, as rows name them, and when it did so first.
fn spent_in<'c>(asked: &Asked<'c>, hours: impl Iterator<Item = String>) -> Vec<(&'c SessionId, (Money, Timestamp))> {
    let starts: HashSet<Quarter, ById> = hours
        .filter_map(|hour| Timestamp::parse(&hour))
        .flat_map(|start| (0..QUARTERS).map(move |number| Quarter(Quarter::of(start).0.saturating_add(number))))
        .collect();
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    let mut sessions = Vec::new();
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        let (cells, mut spent) = (&session.cells, None);
        for cell in &cells.cells {
            let is_taken = starts.contains(&cell.quarter)
                && asked.filter.window.has(cell.quarter.start())
                && cells.units.get(cell.unit as usize).is_some_and(|unit| filter.takes_unit(unit))
                && filter.takes_model(cell)
                && filter.takes_tools(cells, cell.unit);
            let cost = cell.spent().cost;
            if is_taken && cost > Money::ZERO {
                let (sum, first) = spent.get_or_insert((Money::ZERO, cell.first()));
                *sum += cost;
                *first = cell.first().min(*first);
            }
        }
        sessions.extend(spent.map(|spent| (id, spent)));
    }
    sessions
}

/// Quarter hours of an hour.
const QUARTERS: i32 = 4;
