//! API responses and tool calls: merged by identity, best variant first.

use std::sync::Arc;

use super::fold::{Fold, Seen};
use super::prices::{Priced, Prices, Share};
use super::unit::{Call, Identity, Message, Rank, RowPlace, Tool, ToolEnd, Unit, UnitId};
use crate::transcript::ids::RowId;
use crate::transcript::record::{Assistant, Stop, ToolCall, ToolResult};
use crate::transcript::time::Timestamp;

impl Unit {
    /// The message of an id.
    pub fn message_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rfind(|message| *message.id == *id)
    }

    /// The tool call of an id.
    pub fn tool_mut(&mut self, id: &str) -> Option<&mut Tool> {
        self.tools.iter_mut().rfind(|tool| *tool.id == *id)
    }

    /// The tool call of an id.
    #[must_use]
    pub fn tool(&self, id: &str) -> Option<&Tool> {
        self.tools.iter().rfind(|tool| *tool.id == *id)
    }

    /// Computes the cost of every message again.
    pub fn reprice(&mut self, prices: &Prices) {
        for message in &mut self.messages {
            message.shares = shares(message, prices);
        }
    }

    /// Time of a row that counts by its uuid, if it is here.
    pub(super) fn row_time(&self, id: RowId) -> Option<Timestamp> {
        let failures = self.failures.iter().map(|failure| (failure.id, failure.time));
        let compactions = self.compactions.iter().map(|done| (done.id, done.time));
        let hooks = self.hooks.iter().map(|hook| (hook.id, hook.time));
        let fallbacks = self.fallbacks.iter().map(|fallback| (fallback.id, fallback.time));
        let mut rows = failures.chain(compactions).chain(hooks).chain(fallbacks);
        rows.find(|(row, _)| *row == id).map(|(_, time)| time)
    }

    pub(super) fn row_time_mut(&mut self, id: RowId) -> Option<&mut Timestamp> {
        let failures = self.failures.iter_mut().map(|failure| (failure.id, &mut failure.time));
        let compactions = self.compactions.iter_mut().map(|done| (done.id, &mut done.time));
        let hooks = self.hooks.iter_mut().map(|hook| (hook.id, &mut hook.time));
        let fallbacks = self.fallbacks.iter_mut().map(|fallback| (fallback.id, &mut fallback.time));
        let mut rows = failures.chain(compactions).chain(hooks).chain(fallbacks);
        rows.find(|(row, _)| *row == id).map(|(_, time)| time)
    }
}

/// Tokens and cost of a message by model.
fn shares(message: &Message, prices: &Prices) -> Vec<Share> {
    prices.shares(&Priced {
        model: &message.model,
        requested_model: message.requested_model.as_deref(),
        usage: &message.usage,
        at: message.rank.time,
        refused: message.stop == Some(Stop::Refusal),
    })
}

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
            if !known.rows.contains(&self.place) {
                known.rows.push(self.place);
            }
        }
        if (&known.usage, &known.stop, known.rank) != (&before.0, &before.1, before.2) {
            known.shares = shares(known, prices);
        }
    }
}

impl Fold<'_> {
    pub(super) fn assistant(&mut self, seen: &Seen<'_>, unit: UnitId, assistant: &Assistant) {
        if let Some(source) = assistant.copied_from.as_ref().filter(|source| **source != seen.session) {
            self.copied(seen, unit, source);
        }
        if assistant.synthetic {
            return self.synthetic(seen, unit, assistant);
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
    fn synthetic(&mut self, seen: &Seen<'_>, unit: UnitId, assistant: &Assistant) {
        let Some(error) = assistant.failure else {
            self.known.thread_mut(self.file).process_ended = true;
            return;
        };
        if self.counted_once(seen).is_some()
            && let Some(unit) = self.known.unit_mut(unit)
        {
            unit.failures.push(super::unit::Failure { id: seen.row.id, time: seen.time, error });
        }
    }

    fn message(&mut self, seen: &Seen<'_>, unit: UnitId, row: &Assistant) {
        let identity = Identity::Message(&row.message).hash();
        let copy = row.copied_from.as_ref().is_some_and(|source| *source != seen.session) || row.request.is_none();
        let rank = self.rank(seen, copy);
        let variant = Variant { row, rank, start: self.request_began(seen), end: seen.time, place: seen.place };
        let home = self.known.index.home(identity);
        let known = home.and_then(|home| {
            let messages = &self.known.unit(home)?.messages;
            Some((home, messages.iter().rfind(|known| known.id == row.message)?))
        });
        let Some((home, known)) = known else {
            let mut message = variant.message();
            message.shares = shares(&message, self.prices);
            self.known.index.insert(identity, unit);
            if let Some(unit) = self.known.unit_mut(unit) {
                unit.messages.push(message);
            }
            return;
        };
        let better = self.known.rank_is_better(rank, known.rank);
        if known.rank.file == rank.file && !known.rows.contains(&seen.place) {
            // The next row of a response: by far the most frequent case.
            if let Some(known) = self.known.unit_mut(home).and_then(|unit| unit.message_mut(&row.message)) {
                variant.merge_into(known, better, self.prices);
            }
            return;
        }
        let mut merged = known.clone();
        variant.merge_into(&mut merged, better, self.prices);
        // A better variant stands in its own surroundings: the original's turn, not the fork's.
        let target = if better && rank.file != known.rank.file { unit } else { home };
        if target == home {
            if merged != *known
                && let Some(known) = self.known.unit_mut(home).and_then(|unit| unit.message_mut(&merged.id))
            {
                *known = merged;
            }
            return;
        }
        if let Some(unit) = self.known.unit_mut(home) {
            unit.messages.retain(|message| message.id != merged.id);
        }
        self.known.index.insert(identity, target);
        if let Some(unit) = self.known.unit_mut(target) {
            unit.messages.push(merged);
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
        let home = self.tool_home(unit, &call.id);
        let known = self.known.unit(home).and_then(|unit| unit.tool(&call.id)).and_then(|tool| tool.call.as_ref());
        let elsewhere = known.is_some_and(|known| known.rank.file != new.rank.file);
        let better = known.is_none_or(|known| self.known.rank_is_better(new.rank, known.rank));
        let same_row = known.is_some_and(|known| known.rank == new.rank);
        let had_call = known.is_some();
        if (better || same_row)
            && let Some(tool) = self.known.unit_mut(home).and_then(|unit| unit.tool_mut(&call.id))
        {
            tool.call = Some(new);
        }
        // A result that came before its call, or a copy's call: the call's own turn is its home.
        if better && (elsewhere || !had_call) && home != unit {
            self.move_tool(home, unit, &call.id);
        }
        if let Some(agent) = self.known.index.home(Identity::Link(&call.id).hash()) {
            self.link(&call.id, agent);
        }
    }

    fn move_tool(&mut self, from: UnitId, to: UnitId, id: &str) {
        let Some(source) = self.known.unit_mut(from) else { return };
        let Some(position) = source.tools.iter().rposition(|tool| *tool.id == *id) else { return };
        let tool = source.tools.remove(position);
        self.known.index.insert(Identity::Call(id).hash(), to);
        if let Some(unit) = self.known.unit_mut(to) {
            unit.tools.push(tool);
        }
    }

    /// The unit that holds a tool call; made in `unit` if nobody has seen it.
    fn tool_home(&mut self, unit: UnitId, id: &str) -> UnitId {
        let identity = Identity::Call(id).hash();
        let home = self.known.index.home(identity);
        if let Some(home) = home.filter(|home| self.known.unit(*home).is_some_and(|unit| unit.tool(id).is_some())) {
            return home;
        }
        self.known.index.insert(identity, unit);
        if let Some(unit) = self.known.unit_mut(unit) {
            let (call, result, agent) = (None, None, None);
            unit.tools.push(Tool { id: id.into(), call, result, agent, background: false, sent: false });
        }
        unit
    }

    pub(super) fn result(&mut self, seen: &Seen<'_>, unit: UnitId, result: &ToolResult) {
        if result.filled_in {
            self.known.thread_mut(self.file).process_ended = true;
        }
        let home = self.tool_home(unit, &result.call);
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
            self.known.unit(home).and_then(|unit| unit.tool(&result.call)).and_then(|tool| tool.result.as_ref());
        let take = known.is_none_or(|known| match (end.filled_in, known.filled_in) {
            (true, false) => false,
            (false, true) => true,
            _ => known.rank == end.rank || self.known.rank_is_better(end.rank, known.rank),
        });
        if take && let Some(tool) = self.known.unit_mut(home).and_then(|unit| unit.tool_mut(&result.call)) {
            tool.result = Some(end);
            tool.background |= result.background;
        }
        if let Some(agent) = &result.agent {
            let session = self.known.unit(home).map_or_else(|| seen.session.clone(), |unit| unit.session().clone());
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
        let unit = if self.known.has_unit(own) { own } else { UnitKey::agent(&owner, agent).id() };
        if let Some(home) = self.known.index.home(Identity::Call(call).hash())
            && let Some(tool) = self.known.unit(home).and_then(|unit| unit.tool(call))
            && tool.agent.as_ref() != Some(agent)
            && let Some(tool) = self.known.unit_mut(home).and_then(|unit| unit.tool_mut(call))
        {
            tool.agent = Some(agent.clone());
        }
        if !self.known.has_unit(unit) {
            let meta = super::session::WaitingAgent { agent_type: None, call: Some(call.into()), background };
            let waiting = &mut self.known.session_mut(&seen.session).waiting_agents;
            waiting.entry(agent.clone()).and_modify(|known| known.background |= background).or_insert(meta);
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
