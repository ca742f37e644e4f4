//! Sub-agents: the rows of inline ones, and the call that started each.

use std::sync::Arc;

use super::fold::{Fold, Seen};
use super::known::Inline;
use super::session::WaitingAgent;
use super::unit::{Agent, Ask, Identity, Parts, Unit, UnitId, UnitKey};
use crate::transcript::ids::{AgentId, RUN};
use crate::transcript::record::{AgentMeta, Kind, User};
use crate::transcript::time::Timestamp;

/// Inline sub-agents that may run at the same time in one file; the oldest is forgotten beyond that.
const INLINE_MAX: usize = 64;

/// Latest rows that are kept of an inline sub-agent, to find the chain of a further row.
const INLINE_ROWS_MAX: usize = 64;

/// Sections of a long unit that are in memory with it, the last ones.
pub const LATEST_SECTIONS: usize = 2;

/// Bytes from which on an agent's id is long enough never to be given twice: 2.1 writes 17, 2.0 wrote 8.
const LONG_ID: usize = 12;

/// Calls that are remembered of those that gave one sub-agent more work.
pub(super) const ASKS_MAX: usize = 256;

/// Agents that are remembered of one run of the Workflow tool.
const WORKFLOW_AGENTS_MAX: usize = 1_000;

/// The id under which a run of the Workflow tool waits for its call and its agents.
pub(super) fn workflow(run: &str) -> AgentId {
    AgentId(format!("{RUN}workflow {run}").into())
}

/// The run of the Workflow tool that a side file belongs to, by its folder: `subagents/workflows/<run>/`.
pub(super) fn workflow_of(path: &[u8]) -> Option<&str> {
    let (_, below) = std::str::from_utf8(path).ok()?.rsplit_once("/subagents/workflows/")?;
    below.split_once('/').map(|(run, _)| run)
}

impl Fold<'_> {
    /// The first prompt of a sub-agent.
    pub(super) fn agent_prompt(&mut self, seen: &Seen<'_>, unit: UnitId, user: &User) {
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

    /// The first user or assistant row of a sub-agent: it names its trace.
    pub(super) fn first_row(&mut self, seen: &Seen<'_>, unit: UnitId) {
        let Some(agent) = self.known.unit(unit).and_then(|unit| unit.agent.as_ref()) else { return };
        let speaks = matches!(seen.row.kind, Kind::User(_) | Kind::Assistant(_));
        if speaks
            && agent.first_row.is_none_or(|(time, _)| seen.time < time)
            && let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut())
        {
            agent.first_row = Some((seen.time, seen.row.id));
        }
    }

    /// The unit of a sub-agent's row: that of its current run. A sub-agent is its id, whatever sessions its rows name; but
    /// short ids of old clients may meet by chance, so there only rows of one file are of one sub-agent.
    pub(super) fn run_of(&mut self, seen: &Seen<'_>, agent: &AgentId) -> UnitKey {
        let known = self.known.thread_mut(self.file).run.clone();
        if let Some(run) = known.filter(|run| matches!(run, UnitKey::Agent(_, id) if id.told() == &*agent.0)) {
            return run;
        }
        let own = UnitKey::agent(&seen.session, agent);
        let mut key = own.clone();
        if !self.known.index.has_unit(own.id())
            && let Some(home) = self.known.index.home(Identity::Agent(&agent.0).hash())
            && self.known.is_here(home)
            && let Some(unit) = self.known.unit(home)
            && (agent.0.len() >= LONG_ID || unit.claim.file == self.file)
        {
            key = unit.key.clone();
        }
        self.known.thread_mut(self.file).run = Some(key.clone());
        key
    }

    /// A prompt of a sub-agent that had ended begins a further run of it, which is a unit of its own.
    pub(super) fn begin_run(&mut self, seen: &Seen<'_>, agent: &AgentId) {
        let current = self.run_of(seen, agent);
        let thread = self.known.thread_mut(self.file);
        if !std::mem::take(&mut thread.rested) {
            return;
        }
        let UnitKey::Agent(session, _) = &current else { return };
        let first = UnitKey::Agent(session.clone(), agent.clone());
        let Some(run) = first.run(seen.row.id).filter(|_| self.known.is_here(first.id())) else { return };
        self.known.thread_mut(self.file).run = Some(run.clone());
        let unit = self.ensure(seen, &run);
        let known = self.known.unit(first.id()).and_then(|unit| unit.agent.clone());
        let Some(mut known) = known else { return };
        if let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) {
            agent.agent_type = agent.agent_type.take().or_else(|| known.agent_type.clone());
        }
        if !known.runs.iter().any(|(_, row)| *row == seen.row.id) {
            known.runs.push((seen.time, seen.row.id));
            known.runs.sort_unstable();
            self.give_work(&first, known);
        }
    }

    /// A call that gave a sub-agent more work.
    pub(super) fn ask(&mut self, unit: UnitId, call: &str, time: Timestamp, background: bool) {
        let home = self.known.index.home(Identity::Call(call).hash());
        let tool = home.and_then(|home| self.known.parts(home)?.tool(call)?.call.as_ref());
        let time = tool.map_or(time, |call| call.rank.time);
        let Some(known) = self.known.unit(unit) else { return };
        let key = known.key.clone();
        let Some(mut agent) = known.agent.clone() else { return };
        if agent.asks.len() < ASKS_MAX && !agent.asks.iter().any(|ask| *ask.call == *call) {
            agent.asks.push(Ask { time, call: call.into(), background });
            agent.asks.sort_by_key(|ask| ask.time);
            self.give_work(&key, agent);
        }
    }

    /// Stores what is known of a sub-agent's runs, and links each to the call that asked for it: the last one before it
    /// began.
    fn give_work(&mut self, first: &UnitKey, agent: Agent) {
        let mut since = agent.first_row.map_or(Timestamp(i64::MIN), |(time, _)| time);
        let mut links = Vec::new();
        for (time, row) in &agent.runs {
            let asked = agent.asks.iter().rfind(|ask| ask.time <= *time && ask.time > since);
            links.extend(asked.cloned().zip(first.run(*row)));
            since = *time;
        }
        if let Some(unit) = self.known.unit_mut(first.id()) {
            unit.agent = Some(agent);
        }
        for (ask, run) in links {
            let run = run.id();
            let call = self.known.index.home(Identity::Call(&ask.call).hash());
            if !self.known.is_here(run) || call.is_some_and(|call| !self.known.is_here(call)) {
                continue;
            }
            if let Some(agent) = self.known.unit_mut(run).and_then(|unit| unit.agent.as_mut()) {
                agent.background |= ask.background;
            }
            self.link(&ask.call, run);
        }
    }

    /// The result of the Workflow tool names the run, whose agents lie in a folder of its name.
    pub(super) fn workflow_call(&mut self, seen: &Seen<'_>, call: &str, run: &str) {
        let waiting = self.known.waiting_mut((seen.session.clone(), workflow(run))).get_or_insert_default();
        waiting.call = Some(call.into());
        let agents = waiting.agents.clone();
        for agent in agents {
            self.link_of_workflow(call, &UnitKey::agent(&seen.session, &agent));
        }
    }

    /// An agent that a run of the Workflow tool started.
    fn workflow_agent(&mut self, meta: &AgentMeta, run: &str) {
        let waiting = self.known.waiting_mut((meta.session.clone(), workflow(run))).get_or_insert_default();
        if !waiting.agents.contains(&meta.agent) && waiting.agents.len() < WORKFLOW_AGENTS_MAX {
            waiting.agents.push(meta.agent.clone());
        }
        if let Some(call) = waiting.call.clone() {
            self.link_of_workflow(&call, &UnitKey::agent(&meta.session, &meta.agent));
        }
    }

    /// Joins one of the agents of a workflow and the call; an agent whose rows have not come waits for them.
    fn link_of_workflow(&mut self, call: &str, agent: &UnitKey) {
        let UnitKey::Agent(session, id) = agent else { return };
        if !self.known.index.has_unit(agent.id()) {
            let waiting = self.known.waiting_mut((session.clone(), id.clone())).get_or_insert_default();
            waiting.background = true;
            waiting.call = Some(call.into());
            return;
        }
        if self.known.is_here(agent.id()) {
            if let Some(agent) = self.known.unit_mut(agent.id()).and_then(|unit| unit.agent.as_mut()) {
                agent.background = true;
            }
            self.link(call, agent.id());
        }
    }

    pub(super) fn agent_meta(&mut self, meta: &AgentMeta) {
        let path = self.known.paths.path(self.file);
        if let Some(run) = workflow_of(&path) {
            self.workflow_agent(meta, run);
        }
        let key = UnitKey::agent(&meta.session, &meta.agent);
        if !self.known.index.has_unit(key.id()) {
            // Rows make a unit, a side file alone does not: its link waits until a row of the agent comes.
            let waiting = self.known.waiting_mut((meta.session.clone(), meta.agent.clone())).get_or_insert_default();
            waiting.background |= meta.background;
            waiting.agent_type = meta.agent_type.clone().or(waiting.agent_type.take());
            waiting.call = meta.call.clone().or(waiting.call.take());
            return;
        }
        self.apply_meta(key.id(), meta.agent_type.clone(), meta.call.as_deref(), meta.background);
    }

    /// What waited for the first row of a sub-agent.
    pub(super) fn waited(&mut self, unit: UnitId, waiting: WaitingAgent) {
        self.apply_meta(unit, waiting.agent_type, waiting.call.as_deref(), waiting.background);
        for ask in waiting.asks {
            self.ask(unit, &ask.call, ask.time, ask.background);
        }
    }

    /// What a side file says about an agent.
    pub(super) fn apply_meta(
        &mut self,
        unit: UnitId,
        agent_type: Option<Arc<str>>,
        call: Option<&str>,
        background: bool,
    ) {
        let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) else { return };
        agent.background |= background;
        if agent_type.is_some() {
            agent.agent_type = agent_type;
        }
        if let Some(call) = call {
            self.link(call, unit);
        }
    }

    /// The inline sub-agent that a row belongs to.
    pub(super) fn inline_mut(&mut self, seen: &Seen<'_>) -> Option<&mut Inline> {
        let row = seen.row;
        if !row.sidechain || row.agent.is_some() {
            return None;
        }
        let belongs = |inline: &Inline| inline.rows.iter().any(|known| *known == row.id || Some(*known) == row.parent);
        self.known.thread_mut(self.file).inline.iter_mut().find(|inline| belongs(inline))
    }

    /// The unit of an inline sub-agent's row (clients before 2.0), found by its parent row.
    pub(super) fn inline_of(&mut self, seen: &Seen<'_>) -> Option<UnitKey> {
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

    /// Starts an inline sub-agent below the call of the current turn that has the same prompt.
    fn link_inline(&mut self, unit: UnitId, text_hash: u64) {
        let current = self.known.thread_mut(self.file).current.clone().map(|key| key.id());
        let call = current.and_then(|current| {
            let mut free =
                self.latest_parts(current).flat_map(|parts| &parts.tools).filter(|tool| tool.agent.is_none());
            free.find(|tool| tool.call.as_ref().is_some_and(|call| call.prompt_hash == text_hash && text_hash != 0))
                .map(|tool| tool.id.clone())
        });
        if let Some(call) = call {
            self.link(&call, unit);
        }
    }

    /// The parts of a unit; of a long one those of its last two sections, where a call stands that was just made.
    fn latest_parts(&self, unit: UnitId) -> impl Iterator<Item = &Parts> {
        let sections = self.known.unit(unit).map(Unit::section_ids).into_iter().flatten();
        let latest = sections.rev().take(LATEST_SECTIONS).collect::<Vec<_>>();
        let homes = if latest.is_empty() { vec![unit] } else { latest };
        homes.into_iter().rev().filter_map(|home| self.known.parts(home))
    }

    /// Joins a sub-agent and the call that started it, whichever came first.
    pub(super) fn link(&mut self, call: &str, agent_unit: UnitId) {
        self.known.index.insert(Identity::Link(call).hash(), agent_unit);
        let home = self.known.index.home(Identity::Call(call).hash());
        let parent = home.map(|home| self.known.index.owner(home));
        let Some(agent) = self.known.unit(agent_unit).and_then(|unit| unit.agent.clone()) else { return };
        let mut background = agent.background;
        let mut agent_type = agent.agent_type.clone();
        if let Some((home, tool)) = home.and_then(|home| Some((home, self.known.parts(home)?.tool(call)?))) {
            let is_named = tool.agents().any(|known| *known == agent.id);
            let is_news = !is_named || (background && !tool.background);
            background |= tool.background;
            agent_type = agent_type.or_else(|| tool.call.as_ref().and_then(|call| call.agent_type.clone()));
            if is_news && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call)) {
                // A run takes the place of its agent; the agents of a workflow stand beside one another.
                match &mut tool.agent {
                    Some(known) if known.told() != agent.id.told() => {
                        if !is_named {
                            tool.more_agents.push(agent.id.clone());
                        }
                    }
                    first => *first = Some(agent.id.clone()),
                }
                tool.background = background;
            }
        }
        let linked =
            Agent { call: Some(call.into()), parent: parent.or(agent.parent), background, agent_type, ..agent.clone() };
        if linked != agent
            && let Some(unit) = self.known.unit_mut(agent_unit)
        {
            unit.agent = Some(linked);
        }
    }
}
