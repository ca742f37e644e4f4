//! The filters that every question about sums takes.

use super::cells::Window;
use super::names::{Name, Names};
use super::session_cells::{CubeCell, CubeUnit, SessionCells};
use crate::transcript::ids::SessionId;

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
    /// Workflows. No session file tells of one.
    pub workflow: Vec<String>,
}

/// A filter with names as numbers.
#[derive(Debug)]
pub(super) struct NumberedFilter<'f> {
    session: &'f [String],
    project: Option<Vec<Name>>,
    branch: Option<Vec<Name>>,
    entrypoint: Option<Vec<Name>>,
    model: Option<Vec<Name>>,
    agent: Option<Vec<Name>>,
    origin: Option<Vec<Name>>,
    tool: Option<Vec<Name>>,
    workflow: Option<Vec<Name>>,
}

impl<'f> NumberedFilter<'f> {
    pub(super) fn of(filter: &'f Filter, names: &Names) -> Self {
        let numbers = |wanted: &[String]| {
            (!wanted.is_empty()).then(|| wanted.iter().filter_map(|name| names.find(name)).collect::<Vec<_>>())
        };
        Self {
            session: &filter.session,
            project: numbers(&filter.project),
            branch: numbers(&filter.branch),
            entrypoint: numbers(&filter.entrypoint),
            model: numbers(&filter.model),
            agent: numbers(&filter.agent),
            origin: numbers(&filter.origin),
            tool: numbers(&filter.tool),
            workflow: numbers(&filter.workflow).map(|_| Vec::new()),
        }
    }

    pub(super) fn takes_session(&self, id: &SessionId) -> bool {
        self.workflow.is_none() && (self.session.is_empty() || self.session.iter().any(|wanted| **wanted == *id.0))
    }

    pub(super) fn takes_unit(&self, unit: &CubeUnit) -> bool {
        let one = |wanted: &Option<Vec<Name>>, name: Name| wanted.as_ref().is_none_or(|wanted| wanted.contains(&name));
        one(&self.project, unit.project)
            && one(&self.branch, unit.branch)
            && one(&self.entrypoint, unit.entrypoint)
            && one(&self.agent, unit.agent)
            && one(&self.origin, unit.origin)
    }

    /// Whether a unit of a session, by its position, called one of the wanted tools.
    pub(super) fn takes_tools(&self, session: &SessionCells, unit: u32) -> bool {
        self.tool.as_ref().is_none_or(|wanted| session.called(unit, wanted))
    }

    pub(super) fn takes_model(&self, cell: &CubeCell) -> bool {
        self.model.as_ref().is_none_or(|wanted| wanted.contains(&cell.model))
    }

    /// Whether only what certain models did is asked for.
    pub(super) const fn asks_for_models(&self) -> bool {
        self.model.is_some()
    }
}
