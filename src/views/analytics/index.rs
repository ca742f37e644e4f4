//! What the list of sessions is filtered and sorted by, kept in memory so that no session is decoded for it.

use std::collections::HashSet;
use std::sync::Arc;

use super::cells::Window;
use super::filter::{Filter, NumberedFilter, Wanted};
use super::names::{Name, Names};
use super::session_cells::{CubeUnit, SessionCells};
use crate::ledger::money::Money;
use crate::ledger::session::{Reported, Session};
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;

/// One session, as the list knows it.
#[derive(Debug, Clone)]
pub struct SessionEntry {
    /// Whether it has a user or assistant row of its own. Others are not listed.
    pub is_real: bool,
    /// Time of its first row.
    pub started: Option<Timestamp>,
    /// Time of its last row.
    pub ended: Option<Timestamp>,
    /// List price of what it spent.
    pub cost: Money,
    /// Billed tokens.
    pub tokens: u64,
    /// Distinct responses.
    pub messages: u64,
    /// Turns.
    pub turns: u64,
    /// What the client itself reports that it cost, and how much of it no row explains.
    pub reported: Reported,
    /// The project that it was started in.
    pub project: Name,
    models: Box<[Name]>,
    tools: Box<[Name]>,
    /// Its title without its secrets.
    pub title: Option<Arc<str>>,
    /// The same in lower case.
    lower_title: Option<Box<str>>,
}

/// What the list of sessions is asked for besides what every question is.
#[derive(Debug, Clone, Default)]
pub struct SessionQuestion<'q> {
    /// The filters of all questions. A session matches a project if it was started in it, and a branch, agent, origin,
    /// entrypoint, workflow, model or tool if any of its turns or sub-agents does. It matches a window if it overlaps it.
    pub filter: Filter,
    /// Words that its title must have, in any order and case.
    pub words: Option<&'q str>,
    /// Least list price.
    pub min_cost: Option<Money>,
}

/// The question with names as numbers.
#[derive(Debug)]
pub struct SessionMatch {
    window: Window,
    min_cost: Option<Money>,
    words: Vec<String>,
    names: NumberedFilter,
}

impl SessionEntry {
    pub(super) fn of(names: &mut Names, session: &Session) -> Self {
        let tally = &session.tally;
        Self {
            is_real: session.is_real(),
            started: session.started(),
            ended: session.ended(),
            cost: tally.cost(),
            tokens: tally.tokens().total(),
            messages: tally.messages(),
            turns: tally.turns,
            reported: session.counted_report,
            project: names.number(session.project()),
            models: tally.models.keys().map(|model| names.number(Some(model))).collect(),
            tools: tally.tools.keys().map(|tool| names.number(Some(tool))).collect(),
            title: session.title.clone(),
            lower_title: session.title.as_ref().map(|title| title.to_lowercase().into()),
        }
    }
}

/// Which texts are looked for, by where they stand.
#[derive(Debug)]
pub struct TextMatch {
    window: Window,
    names: NumberedFilter,
}

/// What of a session is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTexts {
    /// Units with texts that are wanted; `None` if those of all units are.
    pub units: Option<HashSet<UnitId>>,
    /// Whether its title is wanted. It belongs to no turn, so a question about some turns does not want it.
    pub title: bool,
}

impl TextMatch {
    /// The filter, asked of sessions with these names. Models and tools are those of single texts: here only sessions
    /// without any are left out.
    #[must_use]
    pub fn of(filter: &Filter, names: &Names) -> Self {
        Self { window: filter.window, names: NumberedFilter::of(filter, names) }
    }

    /// What of a session is looked for; `None` if nothing is.
    #[must_use]
    pub fn takes(&self, id: &str, entry: &SessionEntry, cells: &SessionCells) -> Option<WantedTexts> {
        let Self { window, names } = self;
        let might = entry.is_real
            && names.takes_session(id)
            && window.since.is_none_or(|since| entry.ended.is_some_and(|ended| ended >= since))
            && window.until.is_none_or(|until| entry.started.is_some_and(|started| started < until))
            && names.model.takes_any(|| entry.models.iter().copied())
            && names.tool.takes_any(|| entry.tools.iter().copied());
        if !might {
            return None;
        }
        let of_turns = [&names.branch, &names.entrypoint, &names.agent, &names.origin, &names.workflow];
        let of_turns = of_turns.into_iter().any(Wanted::is_asked);
        let of_texts = names.model.is_asked() || names.tool.is_asked();
        let units = (of_turns || names.project.is_asked()).then(|| {
            let taken = cells.ids.iter().zip(&cells.units).filter(|(_, unit)| names.takes_unit(unit));
            taken.map(|(id, _)| *id).collect::<HashSet<UnitId>>()
        });
        let title = !of_turns && !of_texts && names.project.takes(entry.project);
        let nothing = !title && units.as_ref().is_some_and(HashSet::is_empty);
        (!nothing).then_some(WantedTexts { units, title })
    }
}

impl SessionMatch {
    /// The question, asked of sessions with these names.
    #[must_use]
    pub fn of(question: SessionQuestion<'_>, names: &Names) -> Self {
        let SessionQuestion { filter, words, min_cost } = question;
        let words = words.unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
        Self { window: filter.window, min_cost, words, names: NumberedFilter::of(&filter, names) }
    }

    /// Whether a session is listed, by its id, its entry and its units.
    #[must_use]
    pub fn takes(&self, id: &str, entry: &SessionEntry, units: &[CubeUnit]) -> bool {
        let Self { window, min_cost, words, names } = self;
        let title = entry.lower_title.as_deref().unwrap_or_default();
        entry.is_real
            && names.takes_session(id)
            && window.since.is_none_or(|since| entry.ended.is_some_and(|ended| ended >= since))
            && window.until.is_none_or(|until| entry.started.is_some_and(|started| started < until))
            && min_cost.is_none_or(|least| entry.cost >= least)
            && words.iter().all(|word| title.contains(word.as_str()))
            && names.project.takes(entry.project)
            && names.model.takes_any(|| entry.models.iter().copied())
            && names.tool.takes_any(|| entry.tools.iter().copied())
            && names.branch.takes_any(|| units.iter().map(|unit| unit.branch))
            && names.agent.takes_any(|| units.iter().map(|unit| unit.agent))
            && names.origin.takes_any(|| units.iter().map(|unit| unit.origin))
            && names.entrypoint.takes_any(|| units.iter().map(|unit| unit.entrypoint))
            && names.workflow.takes_any(|| units.iter().map(|unit| unit.workflow))
    }
}
