//! When and how much people work: the usage patterns beside the rules.

use std::collections::{BTreeMap, HashMap};

use super::edits::Edit;
use super::finding::Step;
use super::history_rule::{Asked, hour_of_week};
use crate::ledger::money::Money;
use crate::ledger::unit::UnitId;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::costs::{GroupBy, Sums};
use crate::views::analytics::cube::CubeSession;
use crate::views::analytics::filter::{Filter, NumberedFilter};
use crate::views::analytics::period::Period;
use crate::views::analytics::session_cells::SessionCells;
use crate::views::analytics::sketch::Sketch;

/// Days of a week and hours of a day.
const DAYS: usize = 7;
const HOURS: usize = 24;

/// Most projects and branches that are told.
pub const SHARES_MAX: usize = 10;

/// When and how much people work.
#[derive(Debug)]
pub struct Usage {
    /// What was done in each hour of the local clock, by weekday from Monday on.
    pub week: [[HourSum; HOURS]; DAYS],
    /// Seconds from the first row to the last of sessions that began in the range.
    pub session_seconds: Sketch,
    /// Turns of these sessions.
    pub turns_per_session: Sketch,
    /// What was spent in each project, the most first.
    pub projects: Vec<(Option<String>, Money)>,
    /// What was spent on each branch, the most first.
    pub branches: Vec<(Option<String>, Money)>,
    /// What was changed in files of each extension, by the most calls first.
    pub languages: Vec<(Option<String>, Edits)>,
    /// The files that were changed by the most calls, each with the last of these calls.
    pub files: Vec<EditedFile>,
    /// What was done in the range.
    pub now: Extent,
    /// What was done in the same length of time before it; `None` if the range has no beginning.
    pub before: Option<(Window, Extent)>,
}

/// What was done in one hour of a week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourSum {
    /// Turns whose prompt came in it.
    pub turns: u64,
    /// Distinct responses.
    pub messages: u64,
    /// List price.
    pub cost: Money,
}

/// How much was changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edits {
    /// Calls that changed lines.
    pub calls: u64,
    /// Lines that they added.
    pub lines_added: u64,
    /// Lines that they removed.
    pub lines_removed: u64,
    /// Distinct files.
    pub files: u64,
}

/// A file that was changed.
#[derive(Debug, Clone)]
pub struct EditedFile {
    /// Its extension.
    pub extension: Option<String>,
    /// How much was changed in it.
    pub edits: Edits,
    /// The session of the last call that changed it.
    pub session: SessionId,
    /// The unit of that call.
    pub unit: UnitId,
    /// When it was made.
    pub at: Timestamp,
    /// That call.
    pub step: Step,
}

/// How much was done in a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Sessions with a response or a prompt in it.
    pub sessions: u64,
    /// Turns whose prompt came in it.
    pub turns: u64,
    /// Distinct responses.
    pub messages: u64,
    /// Billed tokens.
    pub tokens: u64,
    /// List price.
    pub cost: Money,
}

/// The sessions of which a unit is asked for, whatever the window is.
pub(super) fn taken_sessions<'c>(asked: &Asked<'c>) -> impl Iterator<Item = (&'c SessionId, &'c CubeSession)> {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    asked.cube.sessions().filter(move |(id, session)| {
        filter.takes_session(&id.0) && taken_units(&filter, &session.cells).into_iter().any(|taken| taken)
    })
}

/// Whether each unit of a session is asked for.
fn taken_units(filter: &NumberedFilter, cells: &SessionCells) -> Vec<bool> {
    let mut taken = vec![!filter.asks_for_models(); cells.units.len()];
    for cell in cells.cells.iter().filter(|cell| filter.asks_for_models() && filter.takes_model(cell)) {
        if let Some(taken) = taken.get_mut(cell.unit as usize) {
            *taken = true;
        }
    }
    for ((taken, unit), position) in taken.iter_mut().zip(&cells.units).zip(0u32..) {
        *taken = *taken && filter.takes_unit(unit) && filter.takes_tools(cells, position);
    }
    taken
}

/// When and how much people work, as far as it is asked for.
#[must_use]
pub fn usage(asked: &Asked<'_>) -> Usage {
    let mut week = [[HourSum::default(); HOURS]; DAYS];
    for row in &asked.hours.rows {
        let at = row.values.first().and_then(|hour| hour_of_week(hour.as_deref()?));
        let sum = at.and_then(|(weekday, hour)| week.get_mut(weekday)?.get_mut(hour));
        if let Some(sum) = sum {
            sum.turns += row.sums.turns;
            sum.messages += row.sums.messages;
            sum.cost += row.sums.cost;
        }
    }
    let (mut session_seconds, mut turns_per_session) = (Sketch::new(), Sketch::new());
    for (_, session) in taken_sessions(asked).filter(|(_, session)| session.entry.is_real) {
        let (Some(started), Some(ended)) = (session.entry.started, session.entry.ended) else { continue };
        if asked.filter.window.has(started) {
            session_seconds.add(small(ended.since_ms(started) / 1000));
            turns_per_session.add(small(session.entry.turns));
        }
    }
    let before = asked.filter.window.before(asked.now);
    let (languages, files) = changed(asked);
    Usage {
        week,
        session_seconds,
        turns_per_session,
        projects: shares(asked, GroupBy::Project),
        branches: shares(asked, GroupBy::Branch),
        languages,
        files,
        now: Extent::of(&asked.hours.total),
        before: before.map(|window| {
            let filter = Filter { window, ..asked.filter.clone() };
            (window, Extent::of(&Asked { filter: &filter, ..*asked }.costs(&[GroupBy::Period(Period::Month)]).total))
        }),
    }
}

/// What was changed by extension, and in the files that were changed most.
fn changed(asked: &Asked<'_>) -> (Vec<(Option<String>, Edits)>, Vec<EditedFile>) {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    let mut files: HashMap<u64, (Edits, &SessionId, UnitId, &Edit), ById> = HashMap::default();
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        let mut edits = session.edits.iter().filter(|edit| asked.filter.window.has(edit.at)).peekable();
        if edits.peek().is_none() {
            continue;
        }
        let taken = taken_units(&filter, &session.cells);
        for edit in edits.filter(|edit| taken.get(edit.unit as usize).copied().unwrap_or(false)) {
            let Some(unit_id) = session.cells.ids.get(edit.unit as usize) else { continue };
            let (sum, session, unit, last) = files.entry(edit.file).or_insert((Edits::default(), id, *unit_id, edit));
            sum.add(edit);
            if (edit.at, id) > (last.at, *session) {
                (*session, *unit, *last) = (id, *unit_id, edit);
            }
        }
    }
    let shown = |name| asked.cube.names.shown(name).map(|name| name.to_string());
    let mut languages: BTreeMap<Option<String>, Edits> = BTreeMap::new();
    for (sum, _, _, last) in files.values() {
        languages.entry(shown(last.extension)).or_default().merge(*sum);
    }
    let mut languages: Vec<_> = languages.into_iter().collect();
    languages.sort_by(|(a, one), (b, other)| other.calls.cmp(&one.calls).then_with(|| a.cmp(b)));
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(file, (sum, ..))| (std::cmp::Reverse(sum.calls), *file));
    let files = files.into_iter().take(SHARES_MAX).map(|(_, (edits, session, unit, last))| EditedFile {
        extension: shown(last.extension),
        edits: Edits { files: 1, ..edits },
        session: session.clone(),
        unit,
        at: last.at,
        step: last.step,
    });
    (languages, files.collect())
}

impl Edits {
    fn add(&mut self, edit: &Edit) {
        self.calls += 1;
        self.lines_added += u64::from(edit.lines_added);
        self.lines_removed += u64::from(edit.lines_removed);
    }

    /// Adds what was changed in one file.
    fn merge(&mut self, file: Self) {
        self.calls += file.calls;
        self.lines_added += file.lines_added;
        self.lines_removed += file.lines_removed;
        self.files += 1;
    }
}

impl Extent {
    fn of(total: &Sums) -> Self {
        let Sums { sessions, turns, messages, tokens, cost, .. } = *total;
        Self { sessions, turns, messages, tokens: tokens.total(), cost }
    }
}

/// The largest amounts with their names, the most first.
fn shares(asked: &Asked<'_>, by: GroupBy) -> Vec<(Option<String>, Money)> {
    let rows = asked.costs(&[by]).rows;
    let mut shares: Vec<_> =
        rows.into_iter().map(|row| (row.values.into_iter().next().flatten(), row.sums.cost)).collect();
    shares.retain(|(_, cost)| *cost > Money::ZERO);
    shares.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    shares.truncate(SHARES_MAX);
    shares
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
