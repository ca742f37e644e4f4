//! Folds what a stream tells of questions whether calls may run.
//!
//! What ends a question is told whether one was asked or not: who keeps the questions knows which stand.

use xxhash_rust::xxh3::xxh3_64;

use super::fold::Fold;
use super::known::{Asked, AskedCall, AskedWhat, Question};
use super::unit::Identity;
use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

impl Fold<'_> {
    /// Takes in that somebody is asked whether a call may run.
    pub(super) fn permission(&mut self, call: &str, request: Option<&str>) {
        let (at, run) = (self.stream().arrived, self.run_id());
        let Some(home) = self.known.index.home(Identity::Call(call).hash()) else { return };
        let Some(tool) = self.known.parts(home).and_then(|parts| parts.tool(call)) else { return };
        let Some(unit) = self.known.unit(self.known.index.owner(home)) else { return };
        let is_background = unit.agent.as_ref().is_some_and(|agent| agent.background);
        let question = Question { run, request: request.map(hash_of), is_background };
        let (is_first, is_open) = (tool.asked.is_none_or(|asked| at < asked), tool.result.is_none());
        let at = tool.asked.map_or(at, |asked| asked.min(at));
        let (session, asked) = (unit.session().clone(), AskedCall::of(unit, tool));
        if is_first && let Some(tool) = self.known.parts_mut(home).and_then(|parts| parts.tool_mut(call)) {
            tool.asked = Some(at);
        }
        if is_open {
            self.tell_of_questions(&session, at, AskedWhat::Began(question, asked));
        }
    }

    /// Notes that a call has its result, if somebody was asked about it.
    pub(super) fn returned(&mut self, call: &str, at: Timestamp) {
        let Some(home) = self.known.index.home(Identity::Call(call).hash()) else { return };
        let tool = self.known.parts(home).and_then(|parts| parts.tool(call));
        let Some(tool) = tool.filter(|tool| tool.asked.is_some() && tool.result.is_some()) else { return };
        let Some(unit) = self.known.unit(self.known.index.owner(home)) else { return };
        let (session, asked) = (unit.session().clone(), AskedCall::of(unit, tool));
        self.tell_of_questions(&session, at, AskedWhat::Returned(asked));
    }

    /// Takes in that a request was answered or taken back. It names no session.
    pub(super) fn request_answered(&mut self, request: &str) {
        let (at, run) = (self.stream().arrived, self.run_id());
        let Some(session) = self.known.thread_mut(self.file).session.clone() else { return };
        self.tell_of_questions(&session, at, AskedWhat::Answered { run, request: hash_of(request) });
    }

    /// Tells something of the questions of every session of this run.
    pub(super) fn tell_sessions(&mut self, what: fn(RunId) -> AskedWhat) {
        let (at, run) = (self.stream().arrived, self.run_id());
        let sessions = self.known.run(run).into_iter().flat_map(|run| &run.sessions);
        let sessions: Vec<SessionId> = sessions.map(|session| session.id.clone()).collect();
        sessions.iter().for_each(|session| self.tell_of_questions(session, at, what(run)));
    }

    pub(super) fn tell_of_questions(&mut self, session: &SessionId, at: Timestamp, what: AskedWhat) {
        self.known.asked.push(Asked { session: session.clone(), at, what });
    }
}

/// What an id of a request, which may be any text, is told apart by.
fn hash_of(request: &str) -> u64 {
    xxh3_64(request.as_bytes())
}
