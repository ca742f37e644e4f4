//! The filters that every question about sums takes.

use super::cells::Window;
use super::names::{Name, Names};
use super::session_cells::{CubeCell, CubeUnit, SessionCells};

/// What is asked for: of each property any of the values, and all if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// When.
    pub window: Window,
    /// Ids of sessions.
    pub session: Vec<String>,
    /// Projects, as answers show them.
    pub project: Vec<String>,
    /// Git branches.
    pub branch: Vec<String>,
    /// How the client was started.
    pub entrypoint: Vec<String>,
    /// Models, by their canonical ids.
    pub model: Vec<String>,
    /// `main`, types of sub-agents, or `unknown`.
    pub agent: Vec<String>,
    /// Who asked for the turn.
    pub origin: Vec<String>,
    /// Tools of which the turn or sub-agent called one.
    pub tool: Vec<String>,
    /// Workflows of runs, as streams tell them.
    pub workflow: Vec<String>,
}

/// A filter with names as numbers.
#[derive(Debug)]
pub(super) struct NumberedFilter {
    session: Vec<String>,
    pub(super) project: Wanted,
    pub(super) branch: Wanted,
    pub(super) entrypoint: Wanted,
    pub(super) model: Wanted,
    pub(super) agent: Wanted,
    pub(super) origin: Wanted,
    pub(super) tool: Wanted,
    pub(super) workflow: Wanted,
}

/// Some names of which one is wanted; `None` if all are.
#[derive(Debug)]
pub(super) struct Wanted(Option<Vec<Name>>);

impl Wanted {
    fn of(names: &Names, wanted: &[String]) -> Self {
        Self((!wanted.is_empty()).then(|| wanted.iter().filter_map(|name| names.find(name)).collect()))
    }

    pub(super) fn takes(&self, name: Name) -> bool {
        self.takes_any(|| [name])
    }

    /// Whether not all are wanted.
    pub(super) const fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Whether one of the names that `names` makes is wanted. They are made only if not all are.
    pub(super) fn takes_any<I: IntoIterator<Item = Name>>(&self, names: impl FnOnce() -> I) -> bool {
        self.0.as_ref().is_none_or(|wanted| names().into_iter().any(|name| wanted.contains(&name)))
    }
}

impl NumberedFilter {
    pub(super) fn of(filter: &Filter, names: &Names) -> Self {
        let wanted = |given: &[String]| Wanted::of(names, given);
        Self {
            session: filter.session.clone(),
            project: wanted(&filter.project),
            branch: wanted(&filter.branch),
            entrypoint: wanted(&filter.entrypoint),
            model: wanted(&filter.model),
            agent: wanted(&filter.agent),
            origin: wanted(&filter.origin),
            tool: wanted(&filter.tool),
            workflow: wanted(&filter.workflow),
        }
    }

    /// Whether a session is wanted by its id.
    pub(super) fn takes_session(&self, id: &str) -> bool {
        self.session.is_empty() || self.session.iter().any(|wanted| wanted == id)
    }

    pub(super) fn takes_unit(&self, unit: &CubeUnit) -> bool {
        self.takes_turn(unit) && self.agent.takes(unit.agent)
    }

    /// Whether a turn is wanted by where and by whom it was asked for, whoever was at work in it.
    pub(super) fn takes_turn(&self, unit: &CubeUnit) -> bool {
        self.project.takes(unit.project)
            && self.branch.takes(unit.branch)
            && self.entrypoint.takes(unit.entrypoint)
            && self.origin.takes(unit.origin)
            && self.workflow.takes(unit.workflow)
    }

    /// Whether a unit of a session, by its position, called one of the wanted tools.
    pub(super) fn takes_tools(&self, session: &SessionCells, unit: u32) -> bool {
        self.tool.takes_any(|| session.called(unit))
    }

    pub(super) fn takes_model(&self, cell: &CubeCell) -> bool {
        self.model.takes(cell.model)
    }

    /// Whether only turns and sub-agents that called certain tools are asked for.
    pub(super) const fn asks_for_tools(&self) -> bool {
        self.tool.is_asked()
    }

    /// Whether only what certain models did is asked for.
    pub(super) const fn asks_for_models(&self) -> bool {
        self.model.is_asked()
    }
}
