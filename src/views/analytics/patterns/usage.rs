//! When and how much people work: the usage patterns beside the rules.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::edits::Edit;
use super::finding::Step;
use super::history_rule::Asked;
use crate::ledger::money::Money;
use crate::ledger::unit::UnitId;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::cube::CubeSession;
use crate::views::analytics::filter::{Filter, NumberedFilter};
use crate::views::analytics::names::Name;
use crate::views::analytics::period::Quarter;
use crate::views::analytics::session_cells::{CubeCell, CubeUnit};
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
    /// Sessions with a response in it.
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

/// A cell that is asked for, with its hour of the week.
pub(super) struct Cells<'c> {
    pub(super) session: &'c SessionId,
    pub(super) unit: &'c CubeUnit,
    pub(super) cell: &'c CubeCell,
    /// From 0 for Monday.
    pub(super) weekday: usize,
    /// From 0 to 23.
    pub(super) hour: usize,
}

/// Shows every cell that is asked for.
pub(super) fn cells<'c>(asked: &Asked<'c>, show: &mut dyn FnMut(Cells<'c>)) {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    let mut hours: HashMap<Quarter, Option<(usize, usize)>, ById> = HashMap::default();
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        for cell in &session.cells.cells {
            let Some(unit) = session.cells.units.get(cell.unit as usize) else { continue };
            if asked.filter.window.has(cell.quarter.start())
                && filter.takes_unit(unit)
                && filter.takes_model(cell)
                && filter.takes_tools(&session.cells, cell.unit)
            {
                let found = hours.entry(cell.quarter).or_insert_with(|| asked.zone.hour_of_week(cell.quarter.start()));
                if let Some((weekday, hour)) = *found {
                    show(Cells { session: id, unit, cell, weekday, hour });
                }
            }
        }
    }
}

/// The sessions of which a unit is asked for, whatever the window is.
pub(super) fn taken_sessions<'c>(asked: &Asked<'c>) -> impl Iterator<Item = (&'c SessionId, &'c CubeSession)> {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    asked.cube.sessions().filter(move |(id, session)| {
        let cells = &session.cells;
        let takes = |(position, unit): (u32, &CubeUnit)| {
            filter.takes_unit(unit) && filter.takes_tools(cells, position) && {
                let mut own = cells.cells.iter().filter(|cell| cell.unit == position);
                !filter.asks_for_models() || own.any(|cell| filter.takes_model(cell))
            }
        };
        filter.takes_session(&id.0) && (0u32..).zip(&cells.units).any(takes)
    })
}

/// When and how much people work, as far as it is asked for.
#[must_use]
pub fn usage(asked: &Asked<'_>) -> Usage {
    let mut week = [[HourSum::default(); HOURS]; DAYS];
    let mut by_project: BTreeMap<Name, Money> = BTreeMap::new();
    let mut by_branch: BTreeMap<Name, Money> = BTreeMap::new();
    cells(asked, &mut |Cells { unit, cell, weekday, hour, .. }| {
        let spent = cell.spent();
        *by_project.entry(unit.project).or_default() += spent.cost;
        *by_branch.entry(unit.branch).or_default() += spent.cost;
        if let Some(sum) = week.get_mut(weekday).and_then(|day| day.get_mut(hour)) {
            sum.messages += spent.messages;
            sum.cost += spent.cost;
        }
    });
    for (_, at) in turns(asked) {
        if let Some((weekday, hour)) = asked.zone.hour_of_week(at)
            && let Some(sum) = week.get_mut(weekday).and_then(|day| day.get_mut(hour))
        {
            sum.turns += 1;
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
        projects: shares(asked, by_project),
        branches: shares(asked, by_branch),
        languages,
        files,
        now: extent(asked),
        before: before.map(|window| {
            let filter = Filter { window, ..asked.filter.clone() };
            (window, extent(&Asked { filter: &filter, ..*asked }))
        }),
    }
}

/// What was changed by extension, and in the files that were changed most.
fn changed(asked: &Asked<'_>) -> (Vec<(Option<String>, Edits)>, Vec<EditedFile>) {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    let mut files: HashMap<u64, (Edits, &SessionId, UnitId, &Edit), ById> = HashMap::default();
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        let cells = &session.cells;
        for edit in session.edits.iter().filter(|edit| asked.filter.window.has(edit.at)) {
            let unit = cells.units.get(edit.unit as usize).zip(cells.ids.get(edit.unit as usize));
            let Some((_, unit_id)) = unit.filter(|(unit, _)| filter.takes_unit(unit)) else { continue };
            let is_taken = filter.takes_tools(cells, edit.unit)
                && (!filter.asks_for_models()
                    || cells.cells.iter().any(|cell| cell.unit == edit.unit && filter.takes_model(cell)));
            if !is_taken {
                continue;
            }
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

/// The turns that are asked for, by their sessions and the times of their prompts.
fn turns<'c>(asked: &Asked<'c>) -> impl Iterator<Item = (&'c SessionId, Timestamp)> {
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    let window = asked.filter.window;
    let mut turns = Vec::new();
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        let cells = &session.cells;
        for turn in cells.turns.iter().filter(|turn| window.has(turn.at)) {
            let unit = cells.units.get(turn.unit as usize);
            let has_model = || cells.cells.iter().any(|cell| cell.unit == turn.unit && filter.takes_model(cell));
            if unit.is_some_and(|unit| filter.takes_unit(unit))
                && filter.takes_tools(cells, turn.unit)
                && (!filter.asks_for_models() || has_model())
            {
                turns.push((id, turn.at));
            }
        }
    }
    turns.into_iter()
}

fn extent(asked: &Asked<'_>) -> Extent {
    let mut extent = Extent { turns: turns(asked).count() as u64, ..Extent::default() };
    let mut sessions: HashSet<&SessionId> = HashSet::new();
    cells(asked, &mut |Cells { session, cell, .. }| {
        let spent = cell.spent();
        sessions.insert(session);
        extent.messages += spent.messages;
        extent.tokens += spent.tokens.total();
        extent.cost += spent.cost;
    });
    extent.sessions = sessions.len() as u64;
    extent
}

/// The largest amounts with their names, the most first.
fn shares(asked: &Asked<'_>, sums: BTreeMap<Name, Money>) -> Vec<(Option<String>, Money)> {
    let shown = |name| asked.cube.names.shown(name).map(|name| name.to_string());
    let mut shares: Vec<_> = sums.into_iter().map(|(name, cost)| (shown(name), cost)).collect();
    shares.retain(|(_, cost)| *cost > Money::ZERO);
    shares.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    shares.truncate(SHARES_MAX);
    shares
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
