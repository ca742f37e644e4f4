//! Layout 8: nothing tells of streams. Structs that did not change since an earlier layout are those of `v4` to `v7`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::frozen::{Thaw, frozen};
use super::v4::{
    ApiError, Compaction, Context, Cursor, Export, Fallback, FileRole, Fork, Inline, Queue, Rank, Reported, RowPlace,
    Tally, ToolEnd, UnitKey,
};
use super::v5::{First, LatestBranch};
use super::v6::{
    Agent, Branch, Claim, Gist, Holder, Hook, Message, Named, Note, Prompt, PullRequest, Sections, ShellLine, ToldEnd,
};
use super::v7::TitleBy;
use crate::ledger::account::AccountSource;
use crate::ledger::money::Money;
use crate::ledger::unit::{self, UnitId};
use crate::ledger::{account, known, session};
use crate::store::file;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record;
use crate::transcript::time::Timestamp;

frozen! {
    struct FileRow => file::FileRow { path: Vec<u8>, role: FileRole, cursor: Option<Cursor>, thread: Thread }
    struct Thread => known::Thread {
        generation: u32,
        session: Option<SessionId>,
        current: Option<UnitKey>,
        prompt: Option<RowId>,
        copied_prompt: Option<RowId>,
        last: Timestamp,
        version: Option<Arc<str>>,
        asked: Option<Timestamp>,
        requested: Option<Timestamp>,
        open_message: Option<Box<str>>,
        process_ended: bool,
        turn_index: Option<u32>,
        inline: Vec<Inline>,
        queue: Queue,
        answered: Option<Timestamp>,
        rows: Vec<RowId>,
        others: Vec<Branch>,
        shell_line: Option<ShellLine>,
        unmarked: Vec<UnitId>,
        is_copied: bool,
        run: Option<UnitKey>,
        rested: bool,
        named: Option<Named>,
        server_tool: Option<(Box<str>, RowId)>,
        stamped: Option<Timestamp>,
        early: Vec<RowFact>,
        titles: Vec<(RowId, Arc<str>)>;
        stream: None,
    }
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
        told_end: Option<ToldEnd>,
        asked_again: Option<Timestamp>,
        holders: Vec<Holder>,
        resumes: bool,
        spoken: bool,
        export: Export;
        of_run: None,
        provisional: None,
    }
    struct Section => unit::Section { of: UnitId, position: u32, parts: Parts }
    struct Parts => unit::Parts { messages: Vec<Message>, tools: Vec<Tool>, rows: Vec<RowFact> }
    struct RowFact => unit::RowFact { id: RowId, time: Timestamp, place: Option<RowPlace>, what: Fact, sent: bool }
    struct Tool => unit::Tool {
        id: Box<str>,
        call: Option<Call>,
        result: Option<ToolEnd>,
        agent: Option<AgentId>,
        more_agents: Vec<AgentId>,
        background: bool,
        given_up: bool,
        sent: bool;
        streamed: false,
        in_file: true,
        asked: None,
    }
    struct Call => unit::Call {
        name: Arc<str>,
        rank: Rank,
        place: RowPlace,
        message: Box<str>,
        agent_type: Option<Arc<str>>,
        prompt_hash: u64,
        skill: Option<Arc<str>>,
        input: u64,
        file: u64,
        extension: Option<Arc<str>>;
        extracts: None,
    }
    struct Session => session::Session {
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
        alone: u64,
        rivals: BTreeSet<SessionId>,
        title: Option<Arc<str>>,
        title_by: TitleBy,
        pull_requests: Vec<PullRequest>;
        runs: Vec::new(),
        counted_events: Default::default(),
        rest: None,
    }
    struct Account => account::Account {
        unit: Option<UnitId>,
        after: Timestamp,
        cost: Money,
        started: Option<u64>,
        models: BTreeMap<Arc<str>, ModelAccount>;
        source: AccountSource::CostState,
    }
    struct ModelAccount => account::ModelAccount {
        cost: Money, input: u64, output: u64, cache_read: u64, cache_write: u64, web_searches: u64,
    }
    struct Offer => record::Offer { servers: Vec<ServerOffer> }
    struct ServerOffer => record::ServerOffer { server: Arc<str>, bytes: u64, tools: u32, removed: u32 }
}

#[derive(Deserialize)]
pub(super) enum Fact {
    Failure(ApiError),
    Compaction(Compaction),
    Hook(Hook),
    Fallback(Fallback),
    Note(Note),
    Offer(Offer),
}

impl Thaw<record::Fact> for Fact {
    fn thaw(self) -> record::Fact {
        match self {
            Self::Failure(what) => record::Fact::Failure(what.thaw()),
            Self::Compaction(what) => record::Fact::Compaction(what.thaw()),
            Self::Hook(what) => record::Fact::Hook(what.thaw()),
            Self::Fallback(what) => record::Fact::Fallback(what.thaw()),
            Self::Note(what) => record::Fact::Note(what.thaw()),
            Self::Offer(what) => record::Fact::Offer(what.thaw()),
        }
    }
}
