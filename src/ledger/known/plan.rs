//! What has to be loaded before records can be folded.

use super::Known;
use super::needs::Keys;
use crate::ledger::derived::{names_of, pull_request_id, workflow, workflow_of};
use crate::ledger::unit::{Identity, Unit, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{
    Assistant, Fact, IdentityBy, Record, Row, RowBody, RowKind, Said, StreamLine, ToolResult, User,
};
use crate::transcript::stream::{Mark, RunId};

impl Known {
    /// Everything that folding `records` of a file may touch and that exists. `restarted` is true if they are read from
    /// the beginning of the file.
    #[must_use]
    pub fn keys_of(&self, file: FileNumber, records: &[Record], restarted: bool) -> Keys {
        let mut keys = Keys::default();
        let (stem, thread) = (self.stem(file), self.threads.get(&file));
        if let Some(thread) = thread {
            let open = thread.open_message.as_deref().map(|id| Identity::Message(id).hash());
            keys.units.extend(open.and_then(|open| self.index.home(open)));
            keys.units.extend(thread.current.as_ref().map(UnitKey::id));
            keys.units.extend(thread.inline.iter().map(|inline| inline.unit.id()));
            keys.units.extend(thread.run.as_ref().map(UnitKey::id));
            keys.units.extend(thread.shell_line.as_ref().map(|line| UnitKey::Turn(line.id).id()));
            keys.units.extend(thread.unmarked.iter().copied());
            keys.sessions.extend(thread.session.clone());
            // Rows of a stream go to the turn that tells the same in the session file.
            let current = thread.current.as_ref().and_then(|current| self.unit(current.id()));
            keys.units.extend(current.and_then(|current| current.provisional.as_ref()?.twin));
            keys.runs.extend(thread.stream.as_ref().and_then(|stream| stream.run));
            keys.units.extend(thread.named.as_ref().and_then(|named| self.home(Identity::Message(&named.id))));
            keys.is_led = thread.current.is_some() && !restarted;
        }
        let mut session = thread.and_then(|thread| thread.session.as_ref()).filter(|_| !restarted);
        if self.streams.contains(&file) {
            keys.runs.insert(RunId(RowId::of(&stem.0)));
        }
        for record in records {
            if let RowBody::Row(row) = &record.body {
                // A row without a session belongs to the session of the row before it.
                session = row.session.as_ref().or(session).or(Some(&stem));
                let other = thread.and_then(|thread| Some((thread, thread.hangs_on_other(row.parent)?)));
                let other = other.and_then(|(thread, position)| thread.others.get(position));
                keys.units.extend(other.map(|other| other.unit.id()));
            }
            self.keys_of_body(file, &record.body, session, &mut keys);
        }
        // The units above a sub-agent decide which trace its observations belong to.
        let mut open: Vec<UnitId> = keys.units.iter().copied().collect();
        while let Some(unit) = open.pop() {
            let Some(agent) = self.unit(unit).and_then(|unit| unit.agent.as_ref()) else { continue };
            let call = agent.call.as_deref().and_then(|call| self.index.home(Identity::Call(call).hash()));
            open.extend(agent.parent.into_iter().chain(call).filter(|above| keys.units.insert(*above)));
        }
        keys.units.retain(|unit| self.index.has_unit(*unit));
        keys
    }

    fn home(&self, identity: Identity<'_>) -> Option<UnitId> {
        self.index.home(identity.hash())
    }

    /// The id, if a unit with it exists; for most rows there is none.
    fn existing(&self, id: UnitId) -> Option<UnitId> {
        Some(id).filter(|id| self.index.has_unit(*id))
    }

    fn keys_of_body(&self, file: FileNumber, body: &RowBody, session: Option<&SessionId>, keys: &mut Keys) {
        match body {
            RowBody::Row(row) => {
                self.keys_of_kind(row, session, keys);
                self.keys_of_beginnings(row, session, keys);
                keys.sessions.extend(row.forked_from.clone());
                self.keys_of_owner(session, row.agent.as_ref(), keys);
            }
            RowBody::Stream(line) => self.keys_of_stream(line, keys),
            RowBody::CostState(state) => keys.sessions.extend([state.session.clone()]),
            RowBody::Title { session, .. } => keys.sessions.extend([session.clone()]),
            RowBody::Continued { session, into } => keys.sessions.extend([session.clone(), into.clone()]),
            RowBody::PullRequest { session, what, .. } => {
                keys.sessions.extend([session.clone()]);
                keys.units.extend(self.home(Identity::Row(pull_request_id(session, what))));
            }
            RowBody::AgentMeta(meta) => {
                if let Some(call) = &meta.call {
                    keys.units.extend(self.home(Identity::Call(call)));
                }
                self.keys_of_owner(Some(&meta.session), Some(&meta.agent), keys);
                if let Some(run) = workflow_of(&self.paths.path(file)) {
                    let run = (meta.session.clone(), workflow(run));
                    let waiting = self.waiting.get(&run).and_then(Option::as_ref);
                    let call = waiting.and_then(|waiting| waiting.told.call.as_deref());
                    keys.units.extend(call.and_then(|call| self.home(Identity::Call(call))));
                    keys.waiting.insert(run);
                }
            }
            _ => {}
        }
    }

    fn keys_of_kind(&self, row: &Row, session: Option<&SessionId>, keys: &mut Keys) {
        match &row.kind {
            RowKind::User(User { said: Said::Results(results), .. }) => self.keys_of_results(results, session, keys),
            RowKind::User(user) => {
                keys.units.extend(self.existing(UnitKey::Turn(row.id).id()));
                let time = row.time.unwrap_or_default();
                keys.units.extend(user.blocks.iter().filter_map(|text| self.home(Identity::Said(time, *text))));
            }
            RowKind::Assistant(assistant) => self.keys_of_answer(row, assistant, keys),
            RowKind::Fact { what, .. } => {
                keys.units.extend(self.home(Identity::Row(row.id)));
                // A compaction that a person asked for is a unit of its own.
                let own = matches!(what, Fact::Compaction(_)).then(|| UnitKey::Loose(row.id).id());
                keys.units.extend(own.and_then(|own| self.existing(own)));
            }
            RowKind::StopHooks { hooks, .. } => {
                let ids = (0..).zip(hooks).map(|(position, _)| row.id.of_part(position));
                keys.units.extend(ids.filter_map(|id| self.home(Identity::Row(id))));
            }
            RowKind::TurnDuration(_) | RowKind::Ended(_) | RowKind::Other => {}
        }
    }

    fn keys_of_stream(&self, line: &StreamLine, keys: &mut Keys) {
        match line {
            StreamLine::Mark(Mark::Run(began)) => keys.runs.extend([began.run]),
            StreamLine::Usage(usage) => {
                keys.sessions.extend([usage.session.clone()]);
                keys.units.extend(self.home(Identity::Message(&usage.message)));
            }
            StreamLine::Permission { call, .. } => keys.units.extend(self.home(Identity::Call(call))),
            StreamLine::Result(result) => {
                keys.sessions.extend([result.session.clone()]);
                // Another run may have told the same.
                keys.runs.extend(self.session(&result.session).into_iter().flat_map(|session| session.runs.iter()));
                keys.units.extend(self.existing(UnitKey::Turn(result.id).id()));
            }
            StreamLine::Init { session, .. }
            | StreamLine::Requesting { session }
            | StreamLine::Prompt { session, .. }
            | StreamLine::Retry { session, .. }
            | StreamLine::Compaction { session, .. } => keys.sessions.extend([session.clone()]),
            StreamLine::Mark(_) | StreamLine::Answered { .. } | StreamLine::Reset => {}
        }
    }

    fn keys_of_results(&self, results: &[ToolResult], session: Option<&SessionId>, keys: &mut Keys) {
        for result in results {
            keys.units.extend(self.home(Identity::Call(&result.call)));
            if let (Some(session), Some(run)) = (session, &result.workflow) {
                let run = (session.clone(), workflow(run));
                let agents = self.waiting.get(&run).and_then(Option::as_ref).map(|waiting| &waiting.agents);
                for agent in agents.into_iter().flatten() {
                    self.keys_of_owner(Some(session), Some(agent), keys);
                }
                keys.waiting.insert(run);
            }
            if result.agent.is_some() {
                self.keys_of_owner(session, result.agent.as_ref(), keys);
                let home = self.home(Identity::Call(&result.call));
                let owner = home.and_then(|home| self.unit(self.index.owner(home))).map(Unit::session);
                self.keys_of_owner(owner, result.agent.as_ref(), keys);
            }
        }
    }

    fn keys_of_answer(&self, row: &Row, assistant: &Assistant, keys: &mut Keys) {
        if assistant.identity == IdentityBy::Gateway {
            let names = names_of(row, assistant);
            keys.units.extend(names.into_iter().filter_map(|name| self.index.home(name)));
        }
        if keys.message.as_deref() != Some(&*assistant.message) {
            keys.units.extend(self.home(Identity::Message(&assistant.message)));
            keys.message = Some(assistant.message.clone());
        }
        for call in &assistant.calls {
            keys.units.extend(self.home(Identity::Call(&call.id)));
            keys.units.extend(self.home(Identity::Link(&call.id)));
        }
        keys.sessions.extend(assistant.copied_from.clone());
        // The report of a failure and a tool that the API runs are identified by their row.
        if assistant.synthetic || assistant.server_tool.is_some() {
            keys.units.extend(self.home(Identity::Row(row.id)));
        }
    }

    /// The units that a row may begin, if they exist already.
    fn keys_of_beginnings(&self, row: &Row, session: Option<&SessionId>, keys: &mut Keys) {
        if matches!(row.kind, RowKind::Assistant(_)) {
            // A turn that a stream told of is named after its first row there.
            keys.units.extend(self.existing(UnitKey::Turn(row.id).id()));
        }
        match (&row.agent, row.sidechain) {
            (Some(agent), _) => {
                if let (RowKind::User(User { said: Said::Prompt(_), .. }), Some(session)) = (&row.kind, session) {
                    let run = UnitKey::agent(session, agent).run(row.id);
                    keys.units.extend(run.and_then(|run| self.existing(run.id())));
                }
            }
            (None, true) => keys.units.extend(self.existing(UnitKey::inline_id(row.id))),
            (None, false) if keys.is_led => {}
            (None, false) => {
                keys.units.extend(self.existing(UnitKey::Loose(row.id).id()));
                // Only these rows make sure that the thread has a unit; another row may leave it to the next one.
                keys.is_led = matches!(row.kind, RowKind::User(_) | RowKind::Assistant(_));
            }
        }
    }

    /// The further runs of a sub-agent and the calls that asked for them: a new run is linked to its call, and a new
    /// call to its run.
    fn keys_of_runs(&self, agent: UnitId, keys: &mut Keys) {
        let Some(unit) = self.unit(agent) else { return };
        let Some(agent) = unit.agent.as_ref().filter(|agent| !(agent.runs.is_empty() && agent.asks.is_empty())) else {
            return;
        };
        keys.units.extend(agent.runs.iter().filter_map(|(_, row)| unit.key.run(*row)).map(|run| run.id()));
        let asks = agent.asks.iter().map(|ask| Identity::Call(&ask.call).hash());
        keys.units.extend(asks.filter_map(|call| self.index.home(call)));
    }

    fn keys_of_owner(&self, session: Option<&SessionId>, agent: Option<&AgentId>, keys: &mut Keys) {
        let Some(session) = session else { return };
        if keys.owner.as_ref().is_some_and(|(known, of)| known == session && of.as_ref() == agent) {
            return;
        }
        keys.owner = Some((session.clone(), agent.cloned()));
        keys.sessions.insert(session.clone());
        let Some(agent) = agent else { return };
        let id = UnitKey::agent(session, agent).id();
        if self.index.has_unit(id) {
            keys.units.insert(id);
            self.keys_of_runs(id, keys);
            return;
        }
        // The same sub-agent in rows of another session.
        keys.units.extend(self.index.home(Identity::Agent(&agent.0).hash()));
        // The calls that wait for the first row of this sub-agent.
        let agent = (session.clone(), agent.clone());
        let waiting = self.waiting.get(&agent).and_then(Option::as_ref);
        if let Some(waiting) = waiting {
            let calls = waiting.told.call.iter().chain(waiting.asks.iter().map(|ask| &ask.call));
            keys.units.extend(calls.filter_map(|call| self.home(Identity::Call(call))));
        }
        keys.waiting.insert(agent);
    }
}
