//! What all rows of a unit have in common, and which units are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use super::column::{Column, Kind, Used, Value};
use crate::ledger::money::Money;
use crate::ledger::prices::Share;
use crate::ledger::session::project_of;
use crate::ledger::unit::{Unit, UnitKey};
use crate::measures::MAIN;
use crate::transcript::ids::{RUN, SessionId};
use crate::transcript::shown::{shown, shown_name};
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::Zone;
use crate::views::analytics::session_cells::UNKNOWN_AGENT;
use crate::views::traces::ids::TraceScope;

/// What is exported.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which rows.
    pub filter: Filter,
    /// The zone of days.
    pub zone: Zone,
    /// What the column `host` says.
    pub host: Arc<str>,
    /// Which spans share a trace.
    pub scope: TraceScope,
}

/// Names as they are shown, each made once.
#[derive(Debug, Default)]
pub struct Names {
    cut: HashMap<Arc<str>, Arc<str>>,
    whole: HashMap<Arc<str>, Arc<str>>,
}

impl Names {
    /// A name without its secrets and invisible letters.
    pub fn shown(&mut self, raw: &str) -> Arc<str> {
        if let Some(known) = self.cut.get(raw) {
            return Arc::clone(known);
        }
        let shown: Arc<str> = shown_name(raw).into();
        self.cut.insert(raw.into(), Arc::clone(&shown));
        shown
    }

    /// The same of a name that is told whole however long it is, if there is one.
    pub fn whole(&mut self, raw: Option<&str>) -> Option<Arc<str>> {
        raw.map(|raw| Arc::clone(self.whole.entry(raw.into()).or_insert_with(|| shown(raw).into())))
    }

    /// The same, if there is a name.
    pub fn some(&mut self, raw: Option<&str>) -> Option<Arc<str>> {
        raw.map(|raw| self.shown(raw))
    }
}

/// What all rows of a unit have in common.
#[derive(Debug)]
pub struct Around {
    /// Where the row comes from.
    pub host: Arc<str>,
    /// The session.
    pub session: SessionId,
    /// The number of the turn, from 1.
    pub turn: Option<u64>,
    /// The project.
    pub project: Option<Arc<str>>,
    /// The git branch.
    pub branch: Option<Arc<str>>,
    /// How the client was started.
    pub entrypoint: Option<Arc<str>>,
    /// The workflow of its run.
    pub workflow: Option<Arc<str>>,
    /// `main`, the type of the sub-agent, or `unknown`.
    pub agent: Arc<str>,
    /// The sub-agent.
    pub agent_id: Option<Arc<str>>,
}

impl Around {
    /// What the rows of a unit have in common; `turn` is the turn that it is or belongs to.
    #[must_use]
    pub fn of(unit: &Unit, turn: Option<usize>, host: &Arc<str>, names: &mut Names) -> Self {
        let agent = match (&unit.key, &unit.agent) {
            (UnitKey::Agent(..), agent) => {
                agent.as_ref().and_then(|agent| agent.agent_type.as_deref()).unwrap_or(UNKNOWN_AGENT)
            }
            (UnitKey::Turn(_) | UnitKey::Loose(_), _) => MAIN,
        };
        let context = &unit.context;
        Self {
            host: Arc::clone(host),
            session: unit.session().clone(),
            turn: turn.and_then(|turn| u64::try_from(turn).ok()),
            project: names.some(context.cwd.as_deref().and_then(project_of)),
            branch: names.some(context.branch.as_deref()),
            entrypoint: names.some(context.entrypoint.as_deref()),
            workflow: names.whole(unit.of_run.as_ref().and_then(|of| of.workflow.as_deref())),
            agent: names.shown(agent),
            agent_id: unit.agent.as_ref().map(|agent| agent.id.shared()),
        }
    }
}

impl Asked {
    /// Whether a unit is asked for, by where it was and whose thread it is; `origin` is who asked for its turn.
    #[must_use]
    pub fn takes(&self, around: &Around, origin: Option<&str>) -> bool {
        let one_of = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|wanted| wanted == name))
        };
        let filter = &self.filter;
        one_of(&filter.workflow, around.workflow.as_deref())
            && one_of(&filter.session, Some(&around.session.0))
            && one_of(&filter.project, around.project.as_deref())
            && one_of(&filter.branch, around.branch.as_deref())
            && one_of(&filter.entrypoint, around.entrypoint.as_deref())
            && one_of(&filter.agent, Some(&around.agent))
            && one_of(&filter.origin, origin)
    }

    /// Whether a unit called one of the tools that are asked for.
    #[must_use]
    pub fn takes_tools(&self, unit: &Unit, names: &mut Names) -> bool {
        let wanted = &self.filter.tool;
        wanted.is_empty() || unit.tally().tools.keys().any(|tool| is_one_of(wanted, &names.shown(tool)))
    }

    /// Whether a model is asked for.
    #[must_use]
    pub fn takes_model(&self, model: &str) -> bool {
        self.filter.model.is_empty() || is_one_of(&self.filter.model, model)
    }
}

/// Whether a name is one of those that are wanted.
pub(super) fn is_one_of(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| wanted == name)
}

/// What a share of a response used.
#[must_use]
pub fn used(share: &Share) -> Used {
    let unpriced = if share.cost.is_none() { share.tokens.total() } else { 0 };
    Used { tokens: share.tokens, cost: share.cost.unwrap_or(Money::ZERO), unpriced }
}

/// A row that has these values. The columns of all of them are defined here.
pub(super) trait HasAround {
    fn around(&self) -> &Around;
}

pub(super) const fn host<R: HasAround>() -> Column<R> {
    Column::of("host", Kind::Text, "The machine that exported the row, or what was asked for instead.", |row: &R| {
        Value::Text(&row.around().host)
    })
}

pub(super) const fn session<R: HasAround>() -> Column<R> {
    Column::of("session", Kind::Text, "The id of the session.", |row: &R| Value::Text(&row.around().session.0))
}

pub(super) const fn turn<R: HasAround>() -> Column<R> {
    const MEANING: &str = "The number of the turn in its session, from 1.";
    Column::some("turn", Kind::Count, MEANING, |row: &R| Value::some(row.around().turn, Value::Count))
}

pub(super) const fn agent<R: HasAround>() -> Column<R> {
    const MEANING: &str = "`main`, the type of the sub-agent, or `unknown` if nobody tells it.";
    Column::of("agent", Kind::Text, MEANING, |row: &R| Value::Text(&row.around().agent))
}

pub(super) const fn agent_id<R: HasAround>() -> Column<R> {
    const MEANING: &str = "The id of the sub-agent; none on the main thread.";
    Column::some("agent_id", Kind::Text, MEANING, |row: &R| Value::text(row.around().agent_id.as_ref()))
}

pub(super) const fn project<R: HasAround>() -> Column<R> {
    const MEANING: &str = "The project: the last part of the working folder, without secrets.";
    Column::some("project", Kind::Text, MEANING, |row: &R| Value::text(row.around().project.as_ref()))
}

pub(super) const fn branch<R: HasAround>() -> Column<R> {
    Column::some("branch", Kind::Text, "The git branch.", |row: &R| Value::text(row.around().branch.as_ref()))
}

pub(super) const fn entrypoint<R: HasAround>() -> Column<R> {
    const MEANING: &str = "How the client was started: `cli`, `sdk-cli` and the like.";
    Column::some("entrypoint", Kind::Text, MEANING, |row: &R| Value::text(row.around().entrypoint.as_ref()))
}

pub(super) const fn workflow<R: HasAround>() -> Column<R> {
    const MEANING: &str = "The workflow of the run, as a stream tells it; session files alone tell of none.";
    Column::some("workflow", Kind::Text, MEANING, |row: &R| Value::text(row.around().workflow.as_ref()))
}

/// A row that used tokens.
pub(super) trait HasUsed {
    fn used(&self) -> &Used;
}

/// The columns of what was used.
pub(super) const fn used_columns<R: HasUsed>() -> [Column<R>; 7] {
    use Kind::{Money, Tokens};
    const INPUT: &str = "Prompt tokens that were neither read from nor written to the cache.";
    [
        Column::of("input", Tokens, INPUT, |row| Value::Count(row.used().tokens.input)),
        Column::of("output", Tokens, "Generated tokens, thinking included.", |row| {
            Value::Count(row.used().tokens.output)
        }),
        Column::of("cache_read", Tokens, "Prompt tokens read from the cache.", |row| {
            Value::Count(row.used().tokens.cache_read)
        }),
        Column::of("cache_write_5m", Tokens, "Prompt tokens written to the cache for 5 minutes.", |row| {
            Value::Count(row.used().tokens.cache_write_5m)
        }),
        Column::of("cache_write_1h", Tokens, "Prompt tokens written to the cache for 1 hour.", |row| {
            Value::Count(row.used().tokens.cache_write_1h)
        }),
        Column::of("cost_usd", Money, "List price of the tokens that have one, and of web searches.", |row| {
            Value::Money(row.used().cost)
        }),
        Column::of("unpriced_tokens", Tokens, "Tokens without a known price, which the cost leaves out.", |row| {
            Value::Count(row.used().unpriced)
        }),
    ]
}

/// The id of a response by which its copies count once: what tells several apart to which a gateway gave the same is behind
/// a `#`.
pub(super) fn shown_id(id: &str) -> Box<str> {
    id.replace(RUN, "#").into()
}
