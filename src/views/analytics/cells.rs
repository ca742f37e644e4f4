//! What a unit or section comes to in each quarter hour: the *cells*, which are stored beside it.
//!
//! Cells follow from the parts alone, so they are exact under every order of reading, every copy and every crash, as the
//! parts are: they are written in the same batch. A long unit has cells of its own for each section, so that a commit
//! writes only those of the sections that changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::ended;
use crate::ledger::known::Changed;
use crate::ledger::money::Money;
use crate::ledger::session::project_of;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Identity, Parts, Unit, UnitKey};
use crate::transcript::record::Origin;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::{QUARTER_MS, Quarter};
use crate::views::analytics::work::Work;

/// The cells of the parts that a unit or a section holds itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// What all cells of a unit have in common; `None` for those of a section, to which the unit's applies.
    pub whose: Option<Whose>,
    /// Canonical ids of the models in `spend`.
    pub models: Vec<Arc<str>>,
    /// Names of the tools that were called, each once.
    pub tools: Vec<Arc<str>>,
    /// What was spent, by quarter hour and model.
    pub spend: Vec<SpendCell>,
    /// What was done and when.
    pub work: Work,
}

/// What all cells of a unit have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// The project, as [`Dimension::Project`](crate::measures::Dimension::Project).
    pub project: Option<Box<str>>,
    /// The git branch.
    pub branch: Option<Box<str>>,
    /// How the client was started.
    pub entrypoint: Option<Box<str>>,
    /// The run that it belongs to.
    pub run: Option<RunId>,
    /// The workflow of that.
    pub workflow: Option<Box<str>>,
    /// The main thread or a sub-agent.
    pub agent: CellAgent,
    /// Who asked and when, for a turn whose prompt row is known.
    pub prompt: Option<(Origin, Timestamp)>,
    /// When it began, as [`Unit::started`].
    pub started: Timestamp,
    /// When it ended, as [`ended::so_far`]: of a unit that goes on, the last that happened.
    pub ended: Timestamp,
    /// Whether its rows tell an end.
    pub is_over: bool,
    /// For a sub-agent whose end its call waits for: that call, as [`WorkCall::id`](super::work::WorkCall::id).
    pub waited_for_by: Option<u64>,
}

/// Whose thread cells are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CellAgent {
    /// The main thread.
    Main,
    /// A sub-agent, with its type if that is told.
    SubAgent(Option<Box<str>>),
}

/// What was spent at one model in one quarter hour. A response lies in the quarter hour of its first original row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendCell {
    /// When.
    pub quarter: Quarter,
    /// Position of the model in [`Cells::models`].
    pub model: u32,
    /// Distinct responses of which this model is the first; tokens of a response may be billed to further models.
    pub messages: u64,
    /// Time of the first of the responses, in milliseconds after the beginning of the quarter hour.
    pub first_ms: u32,
    /// Time of the last of the responses, likewise.
    pub last_ms: u32,
    /// Billed tokens.
    pub tokens: Tokens,
    /// List price.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

/// The beginning of the year 0: RFC 3339 has no earlier time.
const FIRST_MS: i64 = -62_167_219_200_000;

/// From a first moment to the moment after the last; `None` where there is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The first moment after it.
    pub until: Option<Timestamp>,
}

impl Window {
    /// Whether a time lies in it.
    #[must_use]
    pub fn has(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// The same length of time before it; `None` if it has no beginning. One without an end ends now.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Option<Self> {
        let (since, until) = (self.since?, self.until.unwrap_or(now));
        let begin = since.0.saturating_sub(until.0.saturating_sub(since.0)).max(FIRST_MS);
        Some(Self { since: Some(Timestamp(begin)), until: Some(since) })
    }

    /// The least window of whole quarter hours that holds it.
    #[must_use]
    pub fn in_whole_quarters(self) -> Self {
        let end = |until: Timestamp| Quarter::of(Timestamp(until.0.saturating_add(QUARTER_MS - 1))).start();
        Self { since: self.since.map(|since| Quarter::of(since).start()), until: self.until.map(end) }
    }
}

impl Cells {
    /// The cells of the parts of a unit or section, as they are now.
    #[must_use]
    pub fn of(changed: &Changed<'_>) -> Self {
        let mut cells = Self::of_parts(changed.parts);
        cells.whose = changed.is_unit().then(|| Whose::of(changed.unit));
        cells
    }

    /// The cells of a section.
    #[must_use]
    pub fn of_parts(parts: &Parts) -> Self {
        Self { work: Work::of(parts), ..Self::within(parts, Window::default()) }
    }

    /// The sums of what happened in a window, which need not begin or end with a quarter hour.
    #[must_use]
    pub fn within(parts: &Parts, window: Window) -> Self {
        let mut cells = Self::default();
        for message in parts.messages.iter().filter(|message| window.has(message.rank.time)) {
            for (position, share) in message.shares().iter().enumerate() {
                cells.add(message.rank.time, &share.model, |cell| {
                    cell.messages += u64::from(position == 0 && !message.is_rest());
                    cell.tokens += share.tokens;
                    match share.cost {
                        Some(cost) => cell.cost += cost,
                        None => cell.unpriced += share.tokens.total(),
                    }
                });
            }
        }
        for call in parts.tools.iter().filter_map(|tool| tool.call.as_ref()) {
            if window.has(call.rank.time) && !cells.tools.contains(&call.name) {
                cells.tools.push(Arc::clone(&call.name));
            }
        }
        // The same parts in another order have the same cells.
        cells.tools.sort_unstable();
        cells.spend.sort_by(|a, b| {
            let name = |cell: &SpendCell| cells.models.get(cell.model as usize).cloned();
            (a.quarter, name(a)).cmp(&(b.quarter, name(b)))
        });
        cells.numbered()
    }

    /// Adds to the cell of a time and model.
    fn add(&mut self, time: Timestamp, model: &Arc<str>, add: impl FnOnce(&mut SpendCell)) {
        let quarter = Quarter::of(time);
        let known = self.models.iter().rposition(|known| known == model);
        let model = known.unwrap_or_else(|| {
            self.models.push(Arc::clone(model));
            self.models.len() - 1
        });
        let model = u32::try_from(model).unwrap_or(u32::MAX);
        let offset = u32::try_from(time.since_ms(quarter.start())).unwrap_or(u32::MAX);
        let found = self.spend.iter().rposition(|cell| cell.quarter == quarter && cell.model == model);
        let position = found.unwrap_or_else(|| {
            self.spend.push(SpendCell::empty(quarter, model, offset));
            self.spend.len() - 1
        });
        if let Some(cell) = self.spend.get_mut(position) {
            (cell.first_ms, cell.last_ms) = (cell.first_ms.min(offset), cell.last_ms.max(offset));
            add(cell);
        }
    }

    /// The same with models numbered in the order in which cells name them.
    fn numbered(mut self) -> Self {
        let mut models: Vec<Arc<str>> = Vec::with_capacity(self.models.len());
        for cell in &mut self.spend {
            let Some(name) = self.models.get(cell.model as usize) else { continue };
            let known = models.iter().position(|known| known == name).unwrap_or_else(|| {
                models.push(Arc::clone(name));
                models.len() - 1
            });
            cell.model = u32::try_from(known).unwrap_or(u32::MAX);
        }
        self.models = models;
        self
    }
}

impl SpendCell {
    fn empty(quarter: Quarter, model: u32, offset: u32) -> Self {
        let (tokens, cost) = Default::default();
        Self { quarter, model, messages: 0, first_ms: offset, last_ms: offset, tokens, cost, unpriced: 0 }
    }
}

impl Whose {
    /// What the cells of a unit have in common.
    #[must_use]
    pub fn of(unit: &Unit) -> Self {
        let text = |text: &str| Box::from(text);
        let agent = match &unit.key {
            UnitKey::Agent(..) => {
                let told = unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref());
                CellAgent::SubAgent(told.map(text))
            }
            UnitKey::Turn(_) | UnitKey::Loose(_) => CellAgent::Main,
        };
        let end = ended::so_far(unit);
        let call = unit.agent.as_ref().filter(|agent| !agent.background).and_then(|agent| agent.call.as_deref());
        Self {
            project: unit.context.cwd.as_deref().and_then(project_of).map(text),
            branch: unit.context.branch.as_deref().map(text),
            entrypoint: unit.context.entrypoint.as_deref().map(text),
            run: unit.of_run.as_ref().map(|of| of.run),
            workflow: unit.of_run.as_ref().and_then(|of| of.workflow.as_deref()).map(text),
            agent,
            prompt: unit.prompt.as_ref().filter(|_| unit.is_turn()).map(|prompt| (prompt.origin, prompt.time)),
            started: unit.started(),
            ended: end.at,
            is_over: unit.end().is_some(),
            waited_for_by: call.map(|call| Identity::Call(call).hash()),
        }
    }
}
