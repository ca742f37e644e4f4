//! Layout 5: the parts of a long unit lie in sections. Structs that did not change since layout 4 are those of `v4`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::frozen::{Thaw, frozen};
use super::rows::in_one_list;
use super::v4::{
    Account, Agent, ApiError, Claim, Compacted, Context, Export, Failure, FellBack, Fork, Message, OldHookRun, Prompt,
    Reported, Tally, Tokens, Tool, UnitKey, WaitingAgent, title_by,
};
use crate::ledger::money::Money;
use crate::ledger::runs::Runs;
use crate::ledger::unit::UnitId;
use crate::ledger::{gist, session, unit};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;

frozen! {
    struct Unit => unit::Unit {
        key: UnitKey,
        claim: Claim,
        context: Context,
        first: Timestamp,
        last: Timestamp,
        prompt: Option<Prompt>,
        agent: Option<Agent>,
        parts: Parts,
        sections: Option<Box<Sections>>,
        below: Option<Box<Gist>>,
        active_ms: Option<u64>,
        interrupted: Option<Timestamp>,
        superseded: Option<Timestamp>,
        resumes: bool,
        spoken: bool,
        export: Export;
        told_end: None,
        asked_again: None,
        holders: Vec::new(),
        of_run: None,
        provisional: None,
    }
    struct Section => unit::Section { of: UnitId, position: u32, parts: Parts }
    struct Sections => unit::Sections { count: u32, tally: Tally, gist: Gist, unsent: Runs, ready: Runs }
    struct LatestResponse => gist::LatestResponse { end: Timestamp, ends_turn: bool }
    struct First => session::First { time: Timestamp, unit: UnitId, context: Context }
    struct LatestBranch => session::LatestBranch { time: Timestamp, unit: UnitId, name: Arc<str> }
    struct Gist => gist::Gist {
        tokens: Tokens,
        cost: Money,
        unpriced: u64,
        spans: u64,
        open: u64,
        unsent: u64,
        ready: u64,
        latest: Option<Timestamp>,
        response: Option<LatestResponse>,
        gave_up: Option<(Timestamp, ApiError)>,
        is_loose: bool;
        undated: 0,
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Parts {
    messages: Vec<Message>,
    tools: Vec<Tool>,
    failures: Vec<Failure>,
    compactions: Vec<Compacted>,
    hooks: Vec<OldHookRun>,
    fallbacks: Vec<FellBack>,
}

impl Thaw<unit::Parts> for Parts {
    fn thaw(self) -> unit::Parts {
        let Self { messages, tools, failures, compactions, hooks, fallbacks } = self;
        let rows = [failures.thaw(), compactions.thaw(), hooks.thaw(), fallbacks.thaw(), Vec::new()];
        unit::Parts { messages: messages.thaw(), tools: tools.thaw(), rows: in_one_list(rows) }
    }
}

/// A sub-agent that waits for its rows: its session, its id, and what is known of it.
#[derive(serde::Deserialize)]
pub(super) struct Waiting(SessionId, AgentId, WaitingAgent);

impl Thaw<(SessionId, AgentId, session::WaitingAgent)> for Waiting {
    fn thaw(self) -> (SessionId, AgentId, session::WaitingAgent) {
        (self.0, self.1, self.2.thaw())
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Session {
    id: SessionId,
    spoken: u64,
    resumes: u64,
    first: Option<First>,
    last: Option<Timestamp>,
    latest_branch: Option<LatestBranch>,
    is_loose: bool,
    tally: Tally,
    accounts: Vec<Account>,
    fork: Option<Fork>,
    has_forks: bool,
    counted_report: Reported,
    counted_start: bool,
    own_rows: bool,
    title: Option<Arc<str>>,
    title_is_custom: bool,
}

impl Thaw<session::Session> for Session {
    fn thaw(self) -> session::Session {
        let tally: crate::ledger::tally::Tally = self.tally.thaw();
        let turns = tally.turns;
        session::Session {
            id: self.id,
            spoken: self.spoken,
            resumes: self.resumes,
            first: self.first.thaw(),
            last: self.last,
            latest_branch: self.latest_branch.thaw(),
            is_loose: self.is_loose,
            tally,
            accounts: self.accounts.thaw(),
            fork: self.fork.thaw(),
            has_forks: self.has_forks,
            counted_report: self.counted_report.thaw(),
            counted_start: self.counted_start,
            own_rows: self.own_rows,
            // This layout did not note which other sessions have rows of its turns, so all count as its own.
            alone: turns,
            rivals: BTreeSet::new(),
            title_by: title_by(self.title_is_custom),
            title: self.title,
            pull_requests: Vec::new(),
            runs: Vec::new(),
            counted_events: Default::default(),
            rest: None,
        }
    }
}
