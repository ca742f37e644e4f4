//! Merges the rows of API responses and tool calls by identity. Of several variants of a row the best one counts.

use std::sync::Arc;

use super::derived::{hash_of, names_of};
use super::fold::{Fold, PlacedRow};
use super::known::GatewayNamed;
use super::parts::ROWS_MAX;
use super::prices::Prices;

use super::agents::remember;
use super::unit::{Ask, Call, Identity, Message, Rank, RowFact, RowPlace, Tool, ToolEnd, UnitId};
use crate::transcript::ids::{AgentId, RUN, SessionId};
use crate::transcript::record::{Assistant, Fact, IdentityBy, Note, Stop, ToolCall, ToolResult};
use crate::transcript::time::Timestamp;

/// A response as one row tells it.
struct Variant<'a> {
    /// The id by which the ledger knows the response.
    id: &'a str,
    row: &'a Assistant,
    /// True if its times are not to be used.
    undated: bool,
    rank: Rank,
    start: Timestamp,
    end: Timestamp,
    place: RowPlace,
    /// A hash of the row's `uuid`, if it is a line of a stream.
    streamed: Option<u64>,
}

impl Variant<'_> {
    /// The response as this row tells it, without its price.
    fn message(&self) -> Message {
        Message {
            id: self.id.into(),
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
            effort: self.row.effort.clone(),
            names: Vec::new(),
            undated: self.undated,
            unreadable_usage: self.row.unreadable_usage,
            unidentified: self.row.identity != IdentityBy::Api,
            shares: Vec::new(),
            closed: false,
            sent: false,
            streamed: self.streamed.into_iter().collect(),
            in_file: self.streamed.is_none(),
            ttft_ms: None,
        }
    }

    /// Merges this row into the response: the maximum of every count; times and rows from the file of the best variant
    /// only.
    fn merge_into(&self, known: &mut Message, better: bool, prices: &Prices) {
        let before = (known.usage.clone(), known.stop.clone(), known.rank);
        known.usage.merge(&self.row.usage);
        // A row that was written before the response ended does not tell why it stopped.
        if matches!(known.stop, Some(Stop::ToolUse) | None) && self.row.stop.is_some() {
            known.stop.clone_from(&self.row.stop);
        }
        known.request = known.request.take().or_else(|| self.row.request.clone());
        known.skill = known.skill.take().or_else(|| self.row.skill.clone());
        known.effort = known.effort.take().or_else(|| self.row.effort.clone());
        if let Some(row) = self.streamed.filter(|row| known.streamed.len() < ROWS_MAX && !known.streamed.contains(row))
        {
            known.streamed.push(row);
        }
        known.in_file |= self.streamed.is_none();
        known.unreadable_usage = known.unreadable_usage.and_then(|known| Some(known.min(self.row.unreadable_usage?)));
        if better && self.rank.file != known.rank.file {
            known.rank = self.rank;
            known.undated = self.undated;
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
    pub(super) fn assistant(&mut self, seen: &PlacedRow<'_>, unit: UnitId, assistant: &Assistant) {
        if let Some(source) = assistant.copied_from.as_ref().filter(|source| **source != seen.session) {
            self.copied_answer(seen, unit, source);
        }
        if assistant.synthetic {
            return self.synthetic(seen, assistant);
        }
        let id = self.id_of(seen, assistant);
        let is_next = self.known.thread_mut(self.file).open_message.as_deref() != Some(&*id);
        self.close_message(Some(&id));
        if !self.is_retired_answer(seen, assistant) {
            self.message(seen, unit, assistant, &id);
        }
        for call in &assistant.calls {
            self.call(seen, unit, assistant, &id, call);
        }
        self.server_tool(seen, assistant, &id);
        let is_inline = seen.row.sidechain && seen.row.agent.is_none();
        let thread = self.known.thread_mut(self.file);
        if !is_inline {
            thread.answered = Some(seen.time);
            if is_next {
                thread.requested = None;
            }
        }
        thread.rested = assistant.stop.as_ref().map_or(assistant.calls.is_empty(), Stop::ends_turn);
        if let Some(agent_type) = &assistant.agent_type
            && let Some(agent) = self.known.unit(unit).and_then(|unit| unit.agent.as_ref())
            && agent.agent_type.is_none()
            && let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut())
        {
            agent.agent_type = Some(agent_type.clone());
        }
    }

    /// The id by which the ledger knows a response: the one in the row, unless a gateway chose it. Then a response gets
    /// an id that is made for it; rows without a prompt or result between them are of the same response, and so are
    /// copies of a row.
    fn id_of(&mut self, seen: &PlacedRow<'_>, row: &Assistant) -> Box<str> {
        if row.identity != IdentityBy::Gateway {
            return row.message.clone();
        }
        let thread = self.known.thread_mut(self.file);
        // Another `requestId` is another response, and a row that is earlier than the last one is a copy of another
        // response.
        if let Some(named) = &mut thread.named
            && named.name == row.message
            && named.request == row.request
            && named.last <= seen.time
        {
            named.last = seen.time;
            return named.id.clone();
        }
        let names = names_of(seen.row, row);
        let known = names.iter().find_map(|name| {
            let home = self.known.index.home(*name)?;
            self.known.parts(home)?.named(*name).map(|message| message.id.clone())
        });
        // A state that was written before this rule knows the response by the gateway's id alone.
        let plain = || {
            let message = self.known.parts(self.known.home_of_message(&row.message)?)?.message(&row.message)?;
            let is_it = (message.start..=message.end).contains(&seen.time) && message.usage == row.usage;
            is_it.then(|| message.id.clone())
        };
        let id = known.or_else(plain).unwrap_or_else(|| format!("{}{RUN}{:016x}", row.message, names[1]).into());
        let (name, request) = (row.message.clone(), row.request.clone());
        self.known.thread_mut(self.file).named = Some(GatewayNamed { name, request, id: id.clone(), last: seen.time });
        id
    }

    /// Notes the identities by which copies of a row are found, if a gateway chose the id of the response.
    fn name(&mut self, seen: &PlacedRow<'_>, row: &Assistant, id: &str) {
        if row.identity != IdentityBy::Gateway {
            return;
        }
        let Some(home) = self.known.home_of_message(id) else { return };
        for name in names_of(seen.row, row) {
            let known = self.known.parts(home).and_then(|parts| parts.message(id));
            if known.is_some_and(|known| known.names.len() < ROWS_MAX && !known.names.contains(&name))
                && let Some(message) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(id))
            {
                message.names.push(name);
            }
            self.known.index.insert(name, home);
        }
    }

    /// Takes in a tool that the API runs inside a response. The time of the next row of the response tells how long it
    /// ran.
    fn server_tool(&mut self, seen: &PlacedRow<'_>, row: &Assistant, id: &str) {
        let began = self.known.thread_mut(self.file).server_tool.take();
        if let Some((_, note)) = began.filter(|(message, _)| **message == *id) {
            let home = self.known.index.home(Identity::Row(note).hash());
            let noted = home.and_then(|home| self.known.parts_mut(home)).and_then(|parts| parts.row_mut(note));
            if let Some(RowFact { time, what: Fact::Note(Note::ServerTool { duration_ms, .. }), .. }) = noted {
                *duration_ms = Some(seen.time.since_ms(*time));
            }
        }
        if let Some(name) = &row.server_tool {
            self.note(seen, None, Fact::Note(Note::ServerTool { name: Arc::clone(name), duration_ms: None }));
            self.known.thread_mut(self.file).server_tool = Some((id.into(), seen.row.id));
        }
    }

    /// Takes in a row that the client made itself: the report of a failure, or a filler row at a resume.
    fn synthetic(&mut self, seen: &PlacedRow<'_>, assistant: &Assistant) {
        let Some(error) = assistant.failure else {
            self.known.thread_mut(self.file).process_ended = true;
            return;
        };
        self.counted(seen, seen.row.id, || Fact::Failure(error));
    }

    fn message(&mut self, seen: &PlacedRow<'_>, unit: UnitId, row: &Assistant, id: &str) {
        self.variant(seen, unit, row, id);
        self.name(seen, row, id);
    }

    fn variant(&mut self, seen: &PlacedRow<'_>, unit: UnitId, row: &Assistant, id: &str) {
        let identity = Identity::Message(id).hash();
        let copy = row.copied_from.as_ref().is_some_and(|source| *source != seen.session) || row.request.is_none();
        let rank = self.rank(seen, copy);
        let undated = row.request.is_none() && self.known.thread_mut(self.file).stamped == Some(seen.time);
        let start = self.request_began(seen);
        let streamed = self.is_stream().then(|| hash_of(seen.row.id));
        let variant = Variant { id, row, undated, rank, start, end: seen.time, place: seen.place, streamed };
        let home = self.known.index.home(identity);
        let known = home.and_then(|home| Some((home, self.known.parts(home)?.message(id)?)));
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
            // The next row of the same response in the same file, which is by far the most frequent case.
            if let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(id)) {
                variant.merge_into(known, better, self.prices);
            }
            return;
        }
        let mut merged = known.clone();
        variant.merge_into(&mut merged, better, self.prices);
        // A response moves to the unit of its better variant: to the turn of the original, away from that of a fork.
        let moves = better && rank.file != known.rank.file && self.known.index.owner(home) != unit;
        if !moves {
            if merged != *known
                && let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&merged.id))
            {
                *known = merged;
            }
            return;
        }
        // The new place comes first: if it is not in memory, nothing is changed and the fold is repeated.
        self.met_twin(home, unit);
        let Some(parts) = self.room_for(unit, identity) else { return };
        let id = merged.id.clone();
        let names = merged.names.clone();
        parts.messages.push(merged);
        for name in names {
            if let Some(home) = self.known.index.home(identity) {
                self.known.index.insert(name, home);
            }
        }
        if let Some(parts) = self.known.parts_mut(home) {
            parts.messages.retain(|message| message.id != id);
        }
    }

    fn call(&mut self, seen: &PlacedRow<'_>, unit: UnitId, row: &Assistant, id: &str, call: &ToolCall) {
        let copy = row.copied_from.as_ref().is_some_and(|source| *source != seen.session) || row.request.is_none();
        let new = Call {
            name: call.name.clone(),
            rank: self.rank(seen, copy),
            place: seen.place,
            message: id.into(),
            agent_type: call.agent_type.clone(),
            prompt_hash: call.prompt_hash,
            skill: call.skill.clone(),
            input: call.input,
            file: call.file,
            extension: call.extension.clone(),
            extracts: call.extracts.clone(),
        };
        let Some(home) = self.tool_home(unit, &call.id) else { return };
        let known = self.known.parts(home).and_then(|parts| parts.tool(&call.id)).and_then(|tool| tool.call.as_ref());
        let elsewhere = known.is_some_and(|known| known.rank.file != new.rank.file);
        let better = known.is_none_or(|known| self.known.rank_is_better(new.rank, known.rank));
        let same_row = known.is_some_and(|known| known.rank == new.rank);
        // A tool call moves to the unit of its best call row, if only its result or a copy of the call was known
        // before.
        let moves = better && (elsewhere || known.is_none()) && self.known.index.owner(home) != unit;
        // The new place comes first: if it is not in memory, nothing is changed and the fold is repeated.
        if moves && self.known.room(unit).is_none() {
            return;
        }
        if (better || same_row)
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(&call.id))
        {
            // The input of a call is the same in every copy. A reading under other rules has no extracts for those of before.
            let extracts = new.extracts.clone().or_else(|| tool.call.as_ref()?.extracts.clone());
            tool.call = Some(Call { extracts, ..new });
        }
        if moves {
            self.move_tool(home, unit, &call.id);
        }
        if let Some(agent) = self.known.index.home(Identity::Link(&call.id).hash()) {
            self.settle_agent(agent);
        }
    }

    fn move_tool(&mut self, from: UnitId, to: UnitId, id: &str) {
        let Some(room) = self.known.room(to) else { return };
        self.met_twin(from, to);
        let Some(source) = self.known.parts_mut(from) else { return };
        let Some(position) = source.tools.iter().rposition(|tool| *tool.id == *id) else { return };
        let tool = source.tools.remove(position);
        self.known.index.insert(Identity::Call(id).hash(), room);
        if let Some(parts) = self.known.parts_mut(room) {
            parts.tools.push(tool);
        }
    }

    /// The unit or section that holds a tool call. The call is added to `unit` if it is not known.
    fn tool_home(&mut self, unit: UnitId, id: &str) -> Option<UnitId> {
        let identity = Identity::Call(id).hash();
        let home = self.known.index.home(identity);
        if let Some(home) = home.filter(|home| self.known.parts(*home).is_some_and(|parts| parts.tool(id).is_some())) {
            return Some(home);
        }
        let (call, result, agent) = (None, None, None);
        let more_agents = Vec::new();
        let tool = Tool {
            id: id.into(),
            call,
            result,
            agent,
            more_agents,
            background: false,
            given_up: false,
            sent: false,
            streamed: false,
            in_file: false,
            asked: None,
        };
        self.room_for(unit, identity)?.tools.push(tool);
        self.known.index.home(identity)
    }

    pub(super) fn result(&mut self, seen: &PlacedRow<'_>, unit: UnitId, result: &ToolResult) {
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
        self.told_by(home, &result.call);
        self.returned(&result.call, seen.time);
        if let Some(run) = &result.workflow {
            self.workflow_call(seen, &result.call, run);
        }
        if let Some(agent) = &result.agent {
            let owner = self.known.unit(self.known.index.owner(home));
            let session = owner.map_or_else(|| seen.session.clone(), |unit| unit.session().clone());
            self.link_by_result(seen, &result.call, session, agent, result.background);
        }
    }

    /// Notes which side has the result of a call.
    fn told_by(&mut self, home: UnitId, call: &str) {
        let is_stream = self.is_stream();
        let is_noted = |tool: &Tool| if is_stream { tool.streamed } else { tool.in_file };
        if self.known.parts(home).and_then(|parts| parts.tool(call)).is_some_and(|tool| !is_noted(tool))
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call))
        {
            *(if is_stream { &mut tool.streamed } else { &mut tool.in_file }) = true;
        }
    }

    /// Links a call to the sub-agent that its result names (`toolUseResult.agentId`).
    fn link_by_result(
        &mut self,
        seen: &PlacedRow<'_>,
        call: &str,
        owner: SessionId,
        agent: &AgentId,
        background: bool,
    ) {
        let unit = self.unit_of_agent(&seen.session, agent).id();
        if self.known.index.is_retired(unit) {
            return;
        }
        if let Some(home) = self.known.index.home(Identity::Call(call).hash())
            && let Some(tool) = self.known.parts(home).and_then(|parts| parts.tool(call))
            && tool.agent.as_ref().is_none_or(|known| known.told() != &*agent.0)
            && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call))
        {
            tool.agent = Some(agent.clone());
        }
        let tool = self.known.index.home(Identity::Call(call).hash());
        let tool = tool.and_then(|home| self.known.parts(home)?.tool(call)?.call.as_ref());
        let ask = Ask { time: tool.map_or(seen.time, |call| call.rank.time), call: call.into(), background };
        if self.known.has(unit) {
            return self.ask(unit, ask);
        }
        // In a fork, a copied result may be about a sub-agent of the session that owns the call.
        let other = Some(owner).filter(|owner| *owner != seen.session);
        for session in [seen.session.clone()].into_iter().chain(other) {
            let waiting = self.known.waiting_mut((session, agent.clone())).get_or_insert_default();
            remember(&mut waiting.asks, ask.clone());
        }
    }
}
