//! Sub-agents: their runs, the rows of inline sub-agents, and the call that started each.

use super::derived::{workflow, workflow_of};
use super::fold::{Fold, PlacedRow};
use super::known::Inline;
use super::session::WaitingAgent;
use super::unit::{Agent, Ask, Identity, Parts, Told, Unit, UnitId, UnitKey};
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{AgentMeta, RowKind, User};

/// Most inline sub-agents of one file that are remembered; beyond that the oldest is forgotten.
const INLINE_MAX: usize = 64;

/// Most rows of an inline sub-agent that are remembered, the latest ones: the parent of its next row is one of them.
const INLINE_ROWS_MAX: usize = 64;

/// How many of the last sections of a long unit are in memory together with the unit.
pub const LATEST_SECTIONS: usize = 2;

/// Fewest bytes of a sub-agent's id that is unique over sessions: clients of version 2.1 write 17, those of 2.0 wrote
/// 8.
const LONG_ID: usize = 12;

/// Most calls that are remembered for one sub-agent, of those whose results name it.
const ASKS_MAX: usize = 256;

/// Most sub-agents that are remembered for one run of the Workflow tool.
const WORKFLOW_AGENTS_MAX: usize = 1_000;

/// Adds a call to the list of those whose results name a sub-agent, which is sorted by time.
pub(super) fn remember(asks: &mut Vec<Ask>, ask: Ask) {
    if let Some(known) = asks.iter_mut().find(|known| known.call == ask.call) {
        (known.time, known.background) = (known.time.min(ask.time), known.background | ask.background);
    } else if asks.len() < ASKS_MAX {
        asks.push(ask);
    }
    asks.sort_unstable();
}

impl Fold<'_> {
    /// Takes in a prompt of a sub-agent: the first one is the prompt of its unit, and links an inline sub-agent to its
    /// call.
    pub(super) fn agent_prompt(&mut self, seen: &PlacedRow<'_>, unit: UnitId, user: &User) {
        let Some(known) = self.known.unit_mut(unit) else { return };
        let Some(agent) = &mut known.agent else { return };
        let is_first = agent.first_row.is_some_and(|(_, row)| row == seen.row.id);
        if is_first {
            agent.prompt = Some(seen.place);
        }
        let unlinked = agent.call.is_none();
        if unlinked && seen.row.agent.is_none() {
            self.link_inline(unit, user.text_hash);
        }
    }

    /// Takes in a user or assistant row of a sub-agent. The earliest one gives the sub-agent's trace its id.
    pub(super) fn first_row(&mut self, seen: &PlacedRow<'_>, unit: UnitId) {
        let Some(agent) = self.known.unit(unit).and_then(|unit| unit.agent.as_ref()) else { return };
        let speaks = matches!(seen.row.kind, RowKind::User(_) | RowKind::Assistant(_));
        if speaks
            && agent.first_row.is_none_or(|(time, _)| seen.time < time)
            && let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut())
        {
            agent.first_row = Some((seen.time, seen.row.id));
            if !agent.asks.is_empty() {
                self.settle_agent(unit);
            }
        }
    }

    /// The unit of a sub-agent's row, which is that of its current run. Rows with the same id are of the same
    /// sub-agent, whatever sessions they name. Only short ids of old clients may be equal by chance: then only rows of
    /// the same file are of the same sub-agent.
    pub(super) fn run_of(&mut self, seen: &PlacedRow<'_>, agent: &AgentId) -> UnitKey {
        let known = self.known.thread_mut(self.file).run.clone();
        if let Some(run) = known.filter(|run| matches!(run, UnitKey::Agent(_, id) if id.told() == &*agent.0)) {
            return run;
        }
        let key = self.unit_of_agent(&seen.session, agent);
        self.known.thread_mut(self.file).run = Some(key.clone());
        key
    }

    /// The unit of a sub-agent's first run; `session` is the one that a row of it names.
    pub(super) fn unit_of_agent(&mut self, session: &SessionId, agent: &AgentId) -> UnitKey {
        let own = UnitKey::agent(session, agent);
        let home = self.known.index.home(Identity::Agent(&agent.0).hash());
        if let Some(retired) = home.filter(|home| self.known.index.is_retired(*home))
            && !self.known.index.has_unit(own.id())
            && agent.0.len() >= LONG_ID
        {
            // The key of a retired sub-agent is not known any more; this one has the same id.
            return UnitKey::Turn(RowId(retired.0));
        }
        if !self.known.index.has_unit(own.id())
            && let Some(home) = home
            && self.known.is_here(home)
            && let Some(unit) = self.known.unit(home)
            && (agent.0.len() >= LONG_ID || unit.claim.file == self.file)
        {
            return unit.key.clone();
        }
        own
    }

    /// Begins a further run if a sub-agent gets a prompt after it had ended. The run is a unit of its own.
    pub(super) fn begin_run(&mut self, seen: &PlacedRow<'_>, agent: &AgentId) {
        let current = self.run_of(seen, agent);
        let thread = self.known.thread_mut(self.file);
        if !std::mem::take(&mut thread.rested) {
            return;
        }
        let UnitKey::Agent(session, _) = &current else { return };
        let first = UnitKey::Agent(session.clone(), agent.clone());
        let Some(run) = first.run(seen.row.id).filter(|_| self.known.is_here(first.id())) else { return };
        self.known.thread_mut(self.file).run = Some(run.clone());
        self.ensure(seen, &run);
        let known = self.known.unit(first.id()).and_then(|unit| unit.agent.as_ref());
        if known.is_none_or(|known| known.runs.iter().any(|(_, row)| *row == seen.row.id)) {
            return;
        }
        if let Some(agent) = self.known.unit_mut(first.id()).and_then(|unit| unit.agent.as_mut()) {
            agent.runs.push((seen.time, seen.row.id));
            agent.runs.sort_unstable();
        }
        self.settle_agent(first.id());
    }

    /// Takes in a call whose result names a sub-agent.
    pub(super) fn ask(&mut self, unit: UnitId, ask: Ask) {
        let Some(mut asks) = self.known.unit(unit).and_then(|unit| Some(unit.agent.as_ref()?.asks.clone())) else {
            return;
        };
        remember(&mut asks, ask);
        if let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) {
            agent.asks = asks;
        }
        self.settle_agent(unit);
    }

    /// Decides again which call started a sub-agent and which calls gave it more work, from everything that is known of
    /// it, so that the order of reading does not matter. The starting call is the one that its side file names, or else
    /// the first one that names the sub-agent. Each further run is linked to the last call before it began.
    pub(super) fn settle_agent(&mut self, unit: UnitId) {
        let before = std::mem::take(&mut self.known.missing);
        self.settle_agent_here(unit);
        if !self.known.missing.is_empty() {
            self.known.unsettled_agents.insert(unit);
        }
        self.known.missing.extend(before);
    }

    /// Decides again for the sub-agents of which something was not in memory before.
    pub fn settle_agents(&mut self) {
        for unit in std::mem::take(&mut self.known.unsettled_agents) {
            self.settle_agent(unit);
        }
    }

    fn settle_agent_here(&mut self, unit: UnitId) {
        let Some(first) = self.known.unit(unit).and_then(|unit| unit.key.first_run()) else { return };
        let id = first.id();
        if !self.known.is_here(id) {
            return;
        }
        let Some(agent) = self.known.unit(id).and_then(|unit| unit.agent.clone()) else { return };
        let start = agent.told.call.clone().or_else(|| agent.asks.first().map(|ask| ask.call.clone()));
        if let Some(start) = &start {
            let ask = agent.asks.iter().find(|ask| ask.call == *start);
            let told = agent.told.background.then_some(true);
            self.join(start, id, told.or(ask.map(|ask| ask.background)), &agent.told);
        }
        let asks = || agent.asks.iter().filter(|ask| Some(&ask.call) != start.as_ref());
        let (mut since, mut taken) = (agent.first_row.map(|(time, _)| time), Vec::new());
        for (time, row) in &agent.runs {
            let asked = asks().rfind(|ask| ask.time <= *time && Some(ask.time) > since);
            since = Some(*time);
            let Some(run) = first.run(*row).map(|run| run.id()).filter(|run| self.known.is_here(*run)) else {
                continue;
            };
            if let Some(ask) = asked {
                taken.push(&ask.call);
                self.join(&ask.call, run, Some(ask.background), &agent.told);
            }
            let named = agent.told.agent_type.as_ref().or(agent.agent_type.as_ref());
            let known = self.known.unit(run).and_then(|unit| unit.agent.as_ref()?.agent_type.as_ref());
            if named.is_some()
                && named != known
                && let Some(run) = self.known.unit_mut(run).and_then(|unit| unit.agent.as_mut())
            {
                run.agent_type = named.cloned();
            }
        }
        // The remaining calls only sent a message to the sub-agent.
        let UnitKey::Agent(session, _) = &first else { return };
        for ask in asks().filter(|ask| !taken.contains(&&ask.call)) {
            self.name_agent(&ask.call, &agent.id.in_session(session), Some(ask.background));
        }
    }

    /// Takes in that a call of the Workflow tool started `run`. The files of its sub-agents lie in a folder of that
    /// name.
    pub(super) fn workflow_call(&mut self, seen: &PlacedRow<'_>, call: &str, run: &str) {
        let waiting = self.known.waiting_mut((seen.session.clone(), workflow(run))).get_or_insert_default();
        waiting.told.call = Some(call.into());
        let agents = waiting.agents.clone();
        for agent in agents {
            self.link_of_workflow(call, &UnitKey::agent(&seen.session, &agent));
        }
    }

    /// Takes in a sub-agent that a run of the Workflow tool started.
    fn workflow_agent(&mut self, meta: &AgentMeta, run: &str) {
        let waiting = self.known.waiting_mut((meta.session.clone(), workflow(run))).get_or_insert_default();
        if !waiting.agents.contains(&meta.agent) && waiting.agents.len() < WORKFLOW_AGENTS_MAX {
            waiting.agents.push(meta.agent.clone());
        }
        if let Some(call) = waiting.told.call.clone() {
            self.link_of_workflow(&call, &UnitKey::agent(&meta.session, &meta.agent));
        }
    }

    /// Links a sub-agent of a workflow to the call; if it has no rows yet, the link waits for them.
    fn link_of_workflow(&mut self, call: &str, agent: &UnitKey) {
        let told = Told { call: Some(call.into()), background: true, agent_type: None };
        self.tell_agent(agent, told);
    }

    pub(super) fn agent_meta(&mut self, meta: &AgentMeta) {
        let path = self.known.paths.path(self.file);
        if let Some(run) = workflow_of(&path) {
            self.workflow_agent(meta, run);
        }
        let told = Told { call: meta.call.clone(), background: meta.background, agent_type: meta.agent_type.clone() };
        self.tell_agent(&UnitKey::agent(&meta.session, &meta.agent), told);
    }

    /// Takes in what a side file or a workflow tells of a sub-agent. Only rows make a unit: before them this waits.
    fn tell_agent(&mut self, agent: &UnitKey, told: Told) {
        let UnitKey::Agent(session, id) = agent else { return };
        if !self.known.index.has_unit(agent.id()) {
            let waiting = self.known.waiting_mut((session.clone(), id.clone())).get_or_insert_default();
            waiting.told.add(told);
        } else if self.known.is_here(agent.id()) {
            self.waited(agent.id(), WaitingAgent { told, ..WaitingAgent::default() });
        }
    }

    /// Takes in what waited for the first row of a sub-agent.
    pub(super) fn waited(&mut self, unit: UnitId, waiting: WaitingAgent) {
        let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) else { return };
        agent.told.add(waiting.told);
        agent.background |= agent.told.background;
        agent.agent_type = agent.told.agent_type.clone().or(agent.agent_type.take());
        waiting.asks.into_iter().for_each(|ask| remember(&mut agent.asks, ask));
        self.settle_agent(unit);
    }

    /// The inline sub-agent that a row belongs to; `None` if the row is of no inline sub-agent, or of an unknown one.
    pub(super) fn inline_mut(&mut self, seen: &PlacedRow<'_>) -> Option<&mut Inline> {
        let row = seen.row;
        if !row.sidechain || row.agent.is_some() {
            return None;
        }
        let belongs = |inline: &Inline| inline.rows.iter().any(|known| *known == row.id || Some(*known) == row.parent);
        self.known.thread_mut(self.file).inline.iter_mut().find(|inline| belongs(inline))
    }

    /// The unit of a row of an inline sub-agent (clients before 2.0), found by its parent row. A row whose parent is
    /// unknown begins a new inline sub-agent.
    pub(super) fn inline_of(&mut self, seen: &PlacedRow<'_>) -> Option<UnitKey> {
        if let Some(inline) = self.inline_mut(seen) {
            if !inline.rows.contains(&seen.row.id) {
                inline.rows.push(seen.row.id);
            }
            if inline.rows.len() > INLINE_ROWS_MAX {
                inline.rows.remove(0);
            }
            return Some(inline.unit.clone());
        }
        let unit = UnitKey::inline(seen.row.id);
        let inline = &mut self.known.thread_mut(self.file).inline;
        if inline.len() >= INLINE_MAX {
            inline.remove(0);
        }
        inline.push(Inline { unit: unit.clone(), rows: vec![seen.row.id], asked: None });
        Some(unit)
    }

    /// Links an inline sub-agent to the call of the current turn that has the same prompt.
    fn link_inline(&mut self, unit: UnitId, text_hash: u64) {
        let current = self.known.thread_mut(self.file).current.clone().map(|key| key.id());
        let call = current.and_then(|current| {
            let mut free =
                self.latest_parts(current).flat_map(|parts| &parts.tools).filter(|tool| tool.agent.is_none());
            free.find(|tool| tool.call.as_ref().is_some_and(|call| call.prompt_hash == text_hash && text_hash != 0))
                .map(|tool| tool.id.clone())
        });
        if let Some(call) = call {
            self.waited(
                unit,
                WaitingAgent { told: Told { call: Some(call), ..Told::default() }, ..WaitingAgent::default() },
            );
        }
    }

    /// The parts of a unit; of a long unit those of its last two sections, which hold the calls that were made last.
    fn latest_parts(&self, unit: UnitId) -> impl Iterator<Item = &Parts> {
        let sections = self.known.unit(unit).map(Unit::section_ids).into_iter().flatten();
        let latest = sections.rev().take(LATEST_SECTIONS).collect::<Vec<_>>();
        let homes = if latest.is_empty() { vec![unit] } else { latest };
        homes.into_iter().rev().filter_map(|home| self.known.parts(home))
    }

    /// Links a run of a sub-agent and the call that asked for it, whichever was read first. `background` is true if the
    /// run goes on after the call has returned; `None` if only the call itself tells.
    fn join(&mut self, call: &str, run: UnitId, background: Option<bool>, told: &Told) {
        self.known.index.insert(Identity::Link(call).hash(), run);
        let Some(unit) = self.known.unit(run) else { return };
        let (Some(agent), UnitKey::Agent(session, _)) = (unit.agent.clone(), &unit.key) else { return };
        // A run whose spans have left in the trace of its call stays in that trace.
        let background = if unit.export.sent && !agent.background { Some(false) } else { background };
        let name = agent.id.in_session(session);
        let tool = self.name_agent(call, &name, background);
        let background = tool.as_ref().map_or(background == Some(true), |tool| tool.background);
        let of_call = tool.and_then(|tool| tool.agent_type);
        let agent_type = told.agent_type.clone().or_else(|| agent.agent_type.clone()).or(of_call);
        let home = self.known.index.home(Identity::Call(call).hash());
        let parent = home.filter(|home| !self.known.index.is_retired(*home)).map(|home| self.known.index.owner(home));
        let joined = Agent { call: Some(call.into()), parent, background, agent_type, ..agent.clone() };
        if joined != agent
            && let Some(unit) = self.known.unit_mut(run)
        {
            unit.agent = Some(joined);
        }
    }

    /// Notes at a call which sub-agent it started or sent a message to. Returns what the call tells of the sub-agent;
    /// `None` if the call is not known.
    fn name_agent(&mut self, call: &str, agent: &AgentId, background: Option<bool>) -> Option<Told> {
        let home = self.known.index.home(Identity::Call(call).hash())?;
        if !self.known.is_here(home) {
            return None;
        }
        let tool = self.known.parts(home)?.tool(call)?;
        let told = Told {
            call: None,
            agent_type: tool.call.as_ref().and_then(|call| call.agent_type.clone()),
            background: background.unwrap_or(tool.background),
        };
        let is_named = tool.agents().any(|known| known == agent);
        if (!is_named || told.background != tool.background)
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call))
        {
            // A run replaces an earlier entry of the same sub-agent; several sub-agents of a workflow are all kept.
            let mut agents: Vec<AgentId> = tool.agent.take().into_iter().chain(tool.more_agents.drain(..)).collect();
            agents.retain(|known| known.told() != agent.told());
            agents.push(agent.clone());
            agents.sort_unstable();
            let mut agents = agents.into_iter();
            tool.agent = agents.next();
            tool.more_agents.extend(agents);
            tool.background = told.background;
        }
        Some(told)
    }
}
