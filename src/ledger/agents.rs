//! Sub-agents: the rows of inline ones, and the call that started each.

use std::sync::Arc;

use super::fold::{Fold, Seen};
use super::known::Inline;
use super::unit::{Agent, Identity, Parts, Unit, UnitId, UnitKey};
use crate::transcript::record::{AgentMeta, User};

/// Inline sub-agents that may run at the same time in one file; the oldest is forgotten beyond that.
const INLINE_MAX: usize = 64;

/// Latest rows that are kept of an inline sub-agent, to find the chain of a further row.
const INLINE_ROWS_MAX: usize = 64;

/// Sections of a long unit that are in memory with it, the last ones.
pub const LATEST_SECTIONS: usize = 2;

impl Fold<'_> {
    /// The first prompt of a sub-agent.
    pub(super) fn agent_prompt(&mut self, seen: &Seen<'_>, unit: UnitId, user: &User) {
        let Some(known) = self.known.unit_mut(unit) else { return };
        let Some(agent) = &mut known.agent else { return };
        let first = (seen.time, seen.row.id);
        if agent.first_row.is_none_or(|known| first <= known) {
            agent.first_row = Some(first);
            agent.prompt = Some(seen.place);
        }
        let unlinked = agent.call.is_none();
        if unlinked && seen.row.agent.is_none() {
            self.link_inline(unit, user.text_hash);
        }
    }

    pub(super) fn agent_meta(&mut self, meta: &AgentMeta) {
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
            let is_news = tool.agent.as_ref() != Some(&agent.id) || (background && !tool.background);
            background |= tool.background;
            agent_type = agent_type.or_else(|| tool.call.as_ref().and_then(|call| call.agent_type.clone()));
            if is_news && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call)) {
                tool.agent = Some(agent.id.clone());
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
