//! A rule that looks at all of history, when somebody asks.

use super::rule::RuleText;
use super::session_rule::Figure;
use super::settings::PatternSettings;
use crate::ledger::money::Money;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::budgets::{Budget, BudgetNow};
use crate::views::analytics::costs::{CostQuestion, CostTable, Edges, GroupBy, costs};
use crate::views::analytics::cube::Cube;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::{Day, Period, Zone};

/// A question about patterns.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// All sessions.
    pub cube: &'a Cube,
    /// What counts. Its window has a beginning, and consists of whole quarter hours.
    pub filter: &'a Filter,
    /// The zone of working hours and weekdays.
    pub zone: Zone,
    /// Tokens and cost by hour, by [`by_hour`].
    pub hours: &'a CostTable,
    /// The moment of the question.
    pub now: Timestamp,
    /// The settings of all rules.
    pub settings: &'a PatternSettings,
    /// For how long the client keeps a session file that is not written any more, in milliseconds, by
    /// [`files_kept_ms`](super::files_deleted_soon::files_kept_ms).
    pub files_kept_ms: u64,
    /// The budgets of the configuration, and how they are doing.
    pub budgets: &'a [(&'a Budget, &'a BudgetNow)],
}

/// Tokens and cost of a range of whole quarter hours by hour, as the answer about costs tells them.
#[must_use]
pub fn by_hour(cube: &Cube, filter: &Filter, zone: Zone) -> CostTable {
    told(cube, filter, zone, &[GroupBy::Period(Period::Hour)])
}

fn told(cube: &Cube, filter: &Filter, zone: Zone, group_by: &[GroupBy]) -> CostTable {
    // The window is one of whole quarter hours, so it has no edges.
    let edges = Edges::new();
    costs(cube, &CostQuestion { group_by, zone, filter, edges: &edges })
}

impl Asked<'_> {
    /// Tokens and cost of the range, as the answer about costs tells them.
    pub(super) fn costs(&self, group_by: &[GroupBy]) -> CostTable {
        told(self.cube, self.filter, self.zone, group_by)
    }
}

/// The weekday, from 0 for Monday, and the hour of the day, from 0 to 23, of an hour as rows name it.
pub(super) fn hour_of_week(hour: &str) -> Option<(usize, usize)> {
    let weekday = Day::parse(hour.get(..10)?)?.weekday();
    Some((weekday, hour.get(11..13)?.parse().ok()?))
}

/// A rule that looks at all of history.
pub struct HistoryRule {
    /// What it says of itself.
    pub text: RuleText,
    /// What it finds; `None` if there is nothing to tell.
    pub(super) judge: fn(&Asked<'_>) -> Option<Judged>,
}

/// What a rule found in history.
pub(super) struct Judged {
    /// What was found, in a sentence or two.
    pub(super) sentence: String,
    /// The same in figures.
    pub(super) figures: Vec<(&'static str, Figure)>,
    /// What could be saved; zero if it is not about that.
    pub(super) saving: Money,
    /// When it was seen first and last, if it was seen at a time.
    pub(super) seen: Option<(Timestamp, Timestamp)>,
    /// What shows it, the most telling first.
    pub(super) evidence: Vec<Shown>,
}

/// Something that shows a finding.
pub(super) struct Shown {
    /// The session, if it is about one.
    pub(super) session: Option<SessionId>,
    /// When, if it is about a time.
    pub(super) at: Option<Timestamp>,
    /// What it shows.
    pub(super) detail: String,
}

/// The first and last of some times.
pub(super) fn first_and_last(times: impl Iterator<Item = Timestamp>) -> Option<(Timestamp, Timestamp)> {
    times.fold(None, |seen, time| match seen {
        None => Some((time, time)),
        Some((first, last)) => Some((time.min(first), time.max(last))),
    })
}
