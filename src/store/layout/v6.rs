//! Layout 6: each kind of event that is counted or shown by itself has a list of its own. Structs that did not change
//! since an earlier layout are those of `v4` and `v5`.

use std::sync::Arc;

use serde::Deserialize;

use super::frozen::{Thaw, frozen, frozen_choice};
use super::rows::{self, StoredRow, facts, in_one_list};
use super::v4::{
    ApiError, Call, Compacted, Context, Cursor, Export, Failure, FellBack, FileRole, Inline, Queue, Rank, RowPlace,
    Says, Share, Stop, Tally, Tokens, ToolEnd, UnitKey, Usage,
};
use super::v5::LatestResponse;
use crate::ledger::money::Money;
use crate::ledger::runs::Runs;
use crate::ledger::unit::UnitId;
use crate::ledger::{gist, holders, known, unit};
use crate::store::file;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record;
use crate::transcript::time::Timestamp;

type HookRun = StoredRow<Hook>;
type Noted = rows::Noted<RowPlace, Note>;

facts!(Hook => Hook);

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
        early: Vec<Noted>,
        titles: Vec<(RowId, Arc<str>)>;
        stream: None,
    }
    struct Branch => known::Branch {
        unit: UnitKey,
        prompt: Option<RowId>,
        turn_index: Option<u32>,
        asked: Option<Timestamp>,
        answered: Option<Timestamp>,
        rows: Vec<RowId>,
    }
    struct ShellLine => known::ShellLine {
        id: RowId, prompt: Option<RowId>, time: Timestamp, place: RowPlace, chars: u32,
    }
    struct Named => known::GatewayNamed { name: Box<str>, request: Option<Box<str>>, id: Box<str>, last: Timestamp }
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
    struct Sections => unit::Sections { count: u32, tally: Tally, gist: Gist, unsent: Runs, ready: Runs }
    struct Gist => gist::Gist {
        tokens: Tokens,
        cost: Money,
        unpriced: u64,
        spans: u64,
        open: u64,
        unsent: u64,
        ready: u64,
        undated: u64,
        latest: Option<Timestamp>,
        response: Option<LatestResponse>,
        gave_up: Option<(Timestamp, ApiError)>,
        is_loose: bool,
    }
    struct Claim => unit::Claim { by: ClaimBy, time: Timestamp, file: FileNumber, session: SessionId }
    struct ToldEnd => unit::ToldEnd { time: Timestamp, why: Ending }
    struct Holder => holders::Holder {
        session: SessionId, is_copy: bool, word: Option<Claim>, claim: Option<Claim>, rows: Option<Extent>,
    }
    struct Extent => holders::Extent { first: Timestamp, last: Timestamp, context: Context }
    struct Prompt => unit::Prompt {
        origin: Origin,
        time: Timestamp,
        place: RowPlace,
        chars: u32,
        command: Option<Arc<str>>,
        queued_ms: Option<u64>,
        said: Vec<u64>,
        source: Option<Arc<str>>;
        extracts: None,
    }
    struct Agent => unit::Agent {
        id: AgentId,
        agent_type: Option<Arc<str>>,
        call: Option<Box<str>>,
        parent: Option<UnitId>,
        background: bool,
        first_row: Option<(Timestamp, RowId)>,
        prompt: Option<RowPlace>,
        runs: Vec<(Timestamp, RowId)>,
        told: Told,
        asks: Vec<Ask>,
    }
    struct Told => unit::Told { call: Option<Box<str>>, agent_type: Option<Arc<str>>, background: bool }
    struct Ask => unit::Ask { time: Timestamp, call: Box<str>, background: bool }
    struct Message => unit::Message {
        id: Box<str>,
        request: Option<Box<str>>,
        model: Arc<str>,
        requested_model: Option<Arc<str>>,
        usage: Usage,
        stop: Option<Stop>,
        rank: Rank,
        start: Timestamp,
        end: Timestamp,
        rows: Vec<RowPlace>,
        says: Says,
        skill: Option<Arc<str>>,
        effort: Option<Arc<str>>,
        names: Vec<u64>,
        undated: bool,
        unreadable_usage: Option<UnreadableUsage>,
        unidentified: bool,
        shares: Vec<Share>,
        closed: bool,
        sent: bool;
        streamed: Vec::new(),
        in_file: true,
        ttft_ms: None,
    }
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
    struct Hook => record::Hook {
        name: Arc<str>,
        event: Arc<str>,
        call: Option<Box<str>>,
        duration_ms: Option<u64>,
        exit_code: Option<i32>,
        kind: HookKind,
    }
    struct PullRequest => record::PullRequest { number: u64, url: Arc<str>, repository: Option<Arc<str>> }
}

frozen_choice! {
    enum ClaimBy => unit::ClaimBy { Word, Row, Copy }
    enum Ending => record::Ending { Stop, MaxTurns, Exit }
    enum Origin => record::Origin { Human, Sdk, TaskNotification, Teammate }
    enum UnreadableUsage => record::UnreadableUsage { Missing, NotANumber }
    enum HookKind => record::HookKind { Success, NonBlockingError, BlockingError, Background, StopSummary }
}

#[derive(Deserialize)]
pub(super) struct Parts {
    messages: Vec<Message>,
    tools: Vec<Tool>,
    failures: Vec<Failure>,
    compactions: Vec<Compacted>,
    hooks: Vec<HookRun>,
    fallbacks: Vec<FellBack>,
    notes: Vec<Noted>,
}

impl Thaw<unit::Parts> for Parts {
    fn thaw(self) -> unit::Parts {
        let Self { messages, tools, failures, compactions, hooks, fallbacks, notes } = self;
        let rows = [failures.thaw(), compactions.thaw(), hooks.thaw(), fallbacks.thaw(), notes.thaw()];
        unit::Parts { messages: messages.thaw(), tools: tools.thaw(), rows: in_one_list(rows) }
    }
}

#[derive(Deserialize)]
pub(super) enum Note {
    QueuedPrompt { origin: Origin, chars: u32 },
    TaskEnded { task: Option<Box<str>>, call: Option<Box<str>>, status: Option<Arc<str>> },
    PullRequest(PullRequest),
    AwaySummary { chars: u32 },
    PlanMode { begins: bool },
    ServerTool { name: Arc<str>, duration_ms: Option<u64> },
}

impl Thaw<record::Note> for Note {
    fn thaw(self) -> record::Note {
        match self {
            Self::QueuedPrompt { origin, chars } => record::Note::QueuedPrompt { origin: origin.thaw(), chars },
            Self::TaskEnded { task, call, status } => record::Note::TaskEnded { task, call, status },
            Self::PullRequest(request) => record::Note::PullRequest(request.thaw()),
            Self::AwaySummary { chars } => record::Note::AwaySummary { chars },
            Self::PlanMode { begins } => record::Note::PlanMode { begins },
            Self::ServerTool { name, duration_ms } => record::Note::ServerTool { name, duration_ms },
        }
    }
}
