//! API responses and tool calls: merged by identity, best variant first.

use std::sync::Arc;

use super::fold::{Fold, Seen};
use super::parts::ROWS_MAX;
use super::prices::Prices;
use super::unit::{Call, Identity, Message, Rank, RowPlace, Tool, ToolEnd, UnitId};
use crate::transcript::record::{Assistant, Stop, ToolCall, ToolResult};
use crate::transcript::time::Timestamp;

/// A response as one row tells it.
struct Variant<'a> {
    row: &'a Assistant,
    rank: Rank,
    start: Timestamp,
    end: Timestamp,
    place: RowPlace,
}

impl Variant<'_> {
    /// The response, as far as this row knows it; without its price.
    fn message(&self) -> Message {
        Message {
            id: self.row.message.clone(),
            request: self.row.request.clone(),
            model: Arc::clone(&self.row.model),
            requested_model: self.row.requested_model.clone(),
            usage: self.row.usage.clone(),
            stop: self.row.stop.clone(),
            rank: self.rank,
            start: self.start,
            end: self.end,
            rows: vec![self.place],
            says: self.row.says,
            skill: self.row.skill.clone(),
            shares: Vec::new(),
            closed: false,
            sent: false,
        }
    }

    /// The maximum of every field; times, rows and surroundings of the best variant only.
    fn merge_into(&self, known: &mut Message, better: bool, prices: &Prices) {
        let before = (known.usage.clone(), known.stop.clone(), known.rank);
        known.usage.merge(&self.row.usage);
        // A row that was written before the response ended says nothing about how it ended.
        if matches!(known.stop, Some(Stop::ToolUse) | None) && self.row.stop.is_some() {
            known.stop.clone_from(&self.row.stop);
        }
        known.request = known.request.take().or_else(|| self.row.request.clone());
        known.skill = known.skill.take().or_else(|| self.row.skill.clone());
        if better && self.rank.file != known.rank.file {
            known.rank = self.rank;
            (known.start, known.end, known.rows, known.says) = (self.start, self.end, vec![self.place], self.row.says);
            known.model = Arc::clone(&self.row.model);
            known.requested_model.clone_from(&self.row.requested_model);
        } else if self.rank.file == known.rank.file {
            if better {
                known.rank = self.rank;
            }
            known.start = known.start.min(self.start);
            known.end = known.end.max(self.end);
            known.says.text |= self.row.says.text;
            known.says.thinking |= self.row.says.thinking;
            known.says.thinking_ms = known.says.thinking_ms.max(self.row.says.thinking_ms);
            known.rows.retain(|row| row.generation == self.place.generation);
            if known.rows.len() < ROWS_MAX && !known.rows.contains(&self.place) {
                known.rows.push(self.place);
            }
        }
        if (&known.usage, &known.stop, known.rank) != (&before.0, &before.1, before.2) {
            known.shares = known.priced(prices);
        }
    }
}

impl Fold<'_> {
    pub(super) fn assistant(&mut self, seen: &Seen<'_>, unit: UnitId, assistant: &Assistant) {
        if let Some(source) = assistant.copied_from.as_ref().filter(|source| **source != seen.session) {
            self.copied(seen, unit, source);
        }
        if assistant.synthetic {
            return self.synthetic(seen, assistant);
        }
        self.close_message(Some(&assistant.message));
        self.message(seen, unit, assistant);
        for call in &assistant.calls {
            self.call(seen, unit, assistant, call);
        }
        if let Some(agent_type) = &assistant.agent_type
            && let Some(agent) = self.known.unit(unit).and_then(|unit| unit.agent.as_ref())
            && agent.agent_type.is_none()
            && let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut())
        {
            agent.agent_type = Some(agent_type.clone());
        }
    }

    /// A row that the client made itself: the report of a failure, or filler at a resume.
    fn synthetic(&mut self, seen: &Seen<'_>, assistant: &Assistant) {
        let Some(error) = assistant.failure else {
            self.known.thread_mut(self.file).process_ended = true;
            return;
        };
        self.failure(seen, error);
    }

    fn message(&mut self, seen: &Seen<'_>, unit: UnitId, row: &Assistant) {
        let identity = Identity::Message(&row.message).hash();
        let copy = row.copied_from.as_ref().is_some_and(|source| *source != seen.session) || row.request.is_none();
        let rank = self.rank(seen, copy);
        let variant = Variant { row, rank, start: self.request_began(seen), end: seen.time, place: seen.place };
        let home = self.known.index.home(identity);
        let known = home.and_then(|home| Some((home, self.known.parts(home)?.message(&row.message)?)));
        let Some((home, known)) = known else {
            let mut message = variant.message();
            message.shares = message.priced(self.prices);
            if let Some(parts) = self.room_for(unit, identity) {
                parts.messages.push(message);
            }
            return;
        };
        let better = self.known.rank_is_better(rank, known.rank);
        if known.rank.file == rank.file && !known.rows.contains(&seen.place) {
            // The next row of a response: by far the most frequent case.
            if let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&row.message)) {
                variant.merge_into(known, better, self.prices);
            }
            return;
        }
        let mut merged = known.clone();
        variant.merge_into(&mut merged, better, self.prices);
        // A better variant stands in its own surroundings: the original's turn, not the fork's.
        let moves = better && rank.file != known.rank.file && self.known.index.owner(home) != unit;
        if !moves {
            if merged != *known
                && let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&merged.id))
            {
                *known = merged;
            }
            return;
        }
        // First the new place: without it, all stays as it is until the fold is done again.
        let Some(parts) = self.room_for(unit, identity) else { return };
        let id = merged.id.clone();
        parts.messages.push(merged);
        if let Some(parts) = self.known.parts_mut(home) {
            parts.messages.retain(|message| message.id != id);
        }
    }

    fn call(&mut self, seen: &Seen<'_>, unit: UnitId, row: &Assistant, call: &ToolCall) {
        let copy = row.copied_from.as_ref().is_some_and(|source| *source != seen.session) || row.request.is_none();
        let new = Call {
            name: call.name.clone(),
            rank: self.rank(seen, copy),
            place: seen.place,
            message: row.message.clone(),
            agent_type: call.agent_type.clone(),
            prompt_hash: call.prompt_hash,
            skill: call.skill.clone(),
        };
        let Some(home) = self.tool_home(unit, &call.id) else { return };
        let known = self.known.parts(home).and_then(|parts| parts.tool(&call.id)).and_then(|tool| tool.call.as_ref());
        let elsewhere = known.is_some_and(|known| known.rank.file != new.rank.file);
        let better = known.is_none_or(|known| self.known.rank_is_better(new.rank, known.rank));
        let same_row = known.is_some_and(|known| known.rank == new.rank);
        // A result that came before its call, or a copy's call: the call's own turn is its home.
        let moves = better && (elsewhere || known.is_none()) && self.known.index.owner(home) != unit;
        // First the new place: without it nothing has changed, and the row is folded once more.
        if moves && self.known.room(unit).is_none() {
            return;
        }
        if (better || same_row)
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(&call.id))
        {
            tool.call = Some(new);
        }
        if moves {
            self.move_tool(home, unit, &call.id);
        }
        if let Some(agent) = self.known.index.home(Identity::Link(&call.id).hash()) {
            self.link(&call.id, agent);
        }
    }

    fn move_tool(&mut self, from: UnitId, to: UnitId, id: &str) {
        let Some(room) = self.known.room(to) else { return };
        let Some(source) = self.known.parts_mut(from) else { return };
        let Some(position) = source.tools.iter().rposition(|tool| *tool.id == *id) else { return };
        let tool = source.tools.remove(position);
        self.known.index.insert(Identity::Call(id).hash(), room);
        if let Some(parts) = self.known.parts_mut(room) {
            parts.tools.push(tool);
        }
    }

    /// What holds a tool call; made in `unit` if nobody has seen it.
    fn tool_home(&mut self, unit: UnitId, id: &str) -> Option<UnitId> {
        let identity = Identity::Call(id).hash();
        let home = self.known.index.home(identity);
        if let Some(home) = home.filter(|home| self.known.parts(*home).is_some_and(|parts| parts.tool(id).is_some())) {
            return Some(home);
        }
        let (call, result, agent) = (None, None, None);
        let tool = Tool { id: id.into(), call, result, agent, background: false, sent: false };
        self.room_for(unit, identity)?.tools.push(tool);
        self.known.index.home(identity)
    }

    pub(super) fn result(&mut self, seen: &Seen<'_>, unit: UnitId, result: &ToolResult) {
        if result.filled_in {
            self.known.thread_mut(self.file).process_ended = true;
        }
        let Some(home) = self.tool_home(unit, &result.call) else { return };
        let end = ToolEnd {
            rank: self.rank(seen, false),
            outcome: result.outcome,
            filled_in: result.filled_in,
            bytes: result.bytes,
            exit_code: result.exit_code,
            decision: result.decision.clone(),
            lines_added: result.lines_added,
            lines_removed: result.lines_removed,
            searches: result.searches,
            place: seen.place,
        };
        let known =
            self.known.parts(home).and_then(|parts| parts.tool(&result.call)).and_then(|tool| tool.result.as_ref());
        let take = known.is_none_or(|known| match (end.filled_in, known.filled_in) {
            (true, false) => false,
            (false, true) => true,
            _ => known.rank == end.rank || self.known.rank_is_better(end.rank, known.rank),
        });
        if take && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(&result.call)) {
            tool.result = Some(end);
            tool.background |= result.background;
        }
        if let Some(agent) = &result.agent {
            let owner = self.known.unit(self.known.index.owner(home));
            let session = owner.map_or_else(|| seen.session.clone(), |unit| unit.session().clone());
            self.link_by_result(seen, &result.call, session, agent, result.background);
        }
    }

    /// `toolUseResult.agentId`: the call names its agent.
    fn link_by_result(
        &mut self,
        seen: &Seen<'_>,
        call: &str,
        owner: crate::transcript::ids::SessionId,
        agent: &crate::transcript::ids::AgentId,
        background: bool,
    ) {
        use super::unit::UnitKey;
        let own = UnitKey::agent(&seen.session, agent).id();
        let unit = if self.known.has(own) { own } else { UnitKey::agent(&owner, agent).id() };
        if let Some(home) = self.known.index.home(Identity::Call(call).hash())
            && let Some(tool) = self.known.parts(home).and_then(|parts| parts.tool(call))
            && tool.agent.as_ref() != Some(agent)
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call))
        {
            tool.agent = Some(agent.clone());
        }
        if !self.known.has(unit) {
            let waiting = self.known.waiting_mut((seen.session.clone(), agent.clone())).get_or_insert_default();
            waiting.background |= background;
            // Its side file may have been read before and need not name the call.
            waiting.call.get_or_insert_with(|| call.into());
            return;
        }
        let known = self.known.unit(unit).and_then(|unit| unit.agent.as_ref()).and_then(|agent| agent.call.as_deref());
        // A message to an agent that runs already names it too: the call that started it keeps it.
        if known.is_some_and(|known| known != call) {
            return;
        }
        if background && let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) {
            agent.background = true;
        }
        self.link(call, unit);
    }
}
