//! Layout 4, as the program of commit 901586a wrote it: a unit is one value, and a session lists its units.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::frozen::{Thaw, frozen, frozen_choice};
use super::rows::{self, StoredRow, facts, in_one_list};
use crate::ledger::account;
use crate::ledger::known;
use crate::ledger::money::Money;
use crate::ledger::prices;
use crate::ledger::queue;
use crate::ledger::session::{self, Member};
use crate::ledger::tally;
use crate::ledger::tokens;
use crate::ledger::unit::{self, UnitId};
use crate::store::file;
use crate::transcript::chunk::{self, FileNumber};
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record;
use crate::transcript::time::Timestamp;
use crate::transcript::title::old_title;
use crate::transcript::usage;

pub(super) type Failure = StoredRow<ApiError>;
pub(super) type Compacted = rows::Compacted<Compaction>;
pub(super) type OldHookRun = StoredRow<Hook>;
pub(super) type FellBack = StoredRow<Fallback>;

facts!(ApiError => Failure, Hook => Hook, Fallback => Fallback);

frozen! {
    struct FileRow => file::FileRow { path: Vec<u8>, role: FileRole, cursor: Option<Cursor>, thread: Thread }
    struct Cursor => chunk::Cursor {
        device: u64, inode: u64, offset: u64, size: u64, modified_ns: i64, head_bytes: u32, head_hash: u64, tail_hash: u64,
    }
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
        queue: Queue;
        answered: None,
        rows: Vec::new(),
        others: Vec::new(),
        shell_line: None,
        unmarked: Vec::new(),
        is_copied: false,
        run: None,
        rested: false,
        named: None,
        server_tool: None,
        stamped: None,
        early: Vec::new(),
        titles: Vec::new(),
        stream: None,
    }
    struct Inline => known::Inline { unit: UnitKey, rows: Vec<RowId>, asked: Option<Timestamp> }
    struct Rank => unit::Rank { copy: bool, time: Timestamp, file: FileNumber }
    struct RowPlace => unit::RowPlace { file: FileNumber, generation: u32, place: Place }
    struct Place => record::LinePlace { offset: u64, bytes: u32 }
    struct Context => unit::Surroundings {
        cwd: Option<Arc<str>>, branch: Option<Arc<str>>, version: Option<Arc<str>>, entrypoint: Option<Arc<str>>,
    }
    struct Export => unit::Export { done: bool, sent: bool, observed: bool }
    struct Prompt => unit::Prompt {
        origin: Origin,
        time: Timestamp,
        place: RowPlace,
        chars: u32,
        command: Option<Arc<str>>,
        queued_ms: Option<u64>;
        said: Vec::new(),
        source: None,
        extracts: None,
    }
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
        shares: Vec<Share>,
        closed: bool,
        sent: bool;
        effort: None,
        names: Vec::new(),
        undated: false,
        unreadable_usage: None,
        unidentified: false,
        streamed: Vec::new(),
        in_file: true,
        ttft_ms: None,
    }
    struct Usage => usage::Usage {
        input: u64,
        output: u64,
        cache_read: u64,
        cache_write: Option<u64>,
        cache_write_5m: u64,
        cache_write_1h: u64,
        thinking: u64,
        web_searches: u64,
        fast: bool,
        geo_us: bool,
        batch: bool,
        iterations: Vec<Iteration>,
    }
    struct Iteration => usage::Iteration {
        kind: IterationKind,
        model: Option<Arc<str>>,
        input: u64,
        output: u64,
        cache_read: u64,
        cache_write: Option<u64>,
        cache_write_5m: u64,
        cache_write_1h: u64,
    }
    struct Says => record::Says { text: bool, thinking: bool, thinking_ms: u32 }
    struct Share => prices::Share { model: Arc<str>, tokens: Tokens, cost: Option<Money> }
    struct Tokens => tokens::Tokens {
        input: u64, output: u64, cache_read: u64, cache_write_5m: u64, cache_write_1h: u64,
    }
    struct Tool => unit::Tool {
        id: Box<str>,
        call: Option<Call>,
        result: Option<ToolEnd>,
        agent: Option<AgentId>,
        background: bool,
        sent: bool;
        more_agents: Vec::new(),
        // In this layout a result was counted at once, also one that another process filled in.
        given_up: true,
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
        skill: Option<Arc<str>>;
        input: 0,
        file: 0,
        extension: None,
        extracts: None,
    }
    struct ToolEnd => unit::ToolEnd {
        rank: Rank,
        outcome: Outcome,
        filled_in: bool,
        bytes: u64,
        exit_code: Option<i32>,
        decision: Option<Arc<str>>,
        lines_added: u32,
        lines_removed: u32,
        searches: u32,
        place: RowPlace,
    }
    struct ApiError => record::ApiError { status: Option<u16>, retry_in_ms: u32, attempt: u32, last: bool }
    struct Compaction => record::Compaction { manual: bool, tokens_before: u64, tokens_after: u64, duration_ms: u64 }
    struct Fallback => record::Fallback { trigger: Arc<str>, from: Arc<str>, to: Arc<str> }
    struct Account => account::Account {
        unit: Option<UnitId>, after: Timestamp, cost: Money;
        started: None,
        models: BTreeMap::new(),
        source: account::AccountSource::CostState,
    }
    struct Fork => session::Fork { from: SessionId, unit: UnitId, time: Timestamp }
    struct Reported => session::Reported { cost: Money, unattributed: Money }
    struct Tally => tally::Tally {
        turns: u64,
        subagents: u64,
        compactions: u64,
        api_errors: u64,
        lines_added: u64,
        lines_removed: u64,
        models: BTreeMap<Arc<str>, ModelTally>,
        tools: BTreeMap<Arc<str>, ToolTally>;
        // No layout before 9 counted them; the next change of a part of the session makes them right for that part.
        events: tally::SourceEvents::default(),
    }
    struct ModelTally => tally::ModelTally { messages: u64, tokens: Tokens, cost: Money, unpriced: u64 }
    struct ToolTally => tally::ToolTally { calls: u64, ok: u64, failed: u64, denied: u64, interrupted: u64 }
}

frozen_choice! {
    enum Origin => record::Origin { Human, Sdk, TaskNotification }
    enum Outcome => record::Outcome { Ok, Failed, Denied, Interrupted }
    enum IterationKind => usage::IterationKind { Message, Compaction, Advisor, Fallback, Other }
}

#[derive(Deserialize)]
pub(super) struct Claim {
    explicit: bool,
    time: Timestamp,
    file: FileNumber,
    session: SessionId,
}

impl Thaw<unit::Claim> for Claim {
    fn thaw(self) -> unit::Claim {
        let by = if self.explicit { unit::ClaimBy::Word } else { unit::ClaimBy::Row };
        unit::Claim { by, time: self.time, file: self.file, session: self.session }
    }
}

#[derive(Deserialize)]
pub(super) struct Hook {
    name: Arc<str>,
    event: Arc<str>,
    call: Option<Box<str>>,
    duration_ms: u64,
    exit_code: Option<i32>,
}

impl Thaw<record::Hook> for Hook {
    fn thaw(self) -> record::Hook {
        record::Hook {
            name: self.name,
            event: self.event,
            call: self.call,
            duration_ms: Some(self.duration_ms),
            exit_code: self.exit_code,
            kind: record::HookKind::Success,
        }
    }
}

/// Who chose a title. This layout only told whether it was a person.
pub(super) fn title_by(is_custom: bool) -> record::TitleBy {
    if is_custom { record::TitleBy::Person } else { record::TitleBy::Client }
}

#[derive(Deserialize)]
pub(super) enum FileRole {
    Rows,
    AgentMeta { session: Arc<str>, agent: Arc<str> },
}

impl Thaw<chunk::FileRole> for FileRole {
    fn thaw(self) -> chunk::FileRole {
        match self {
            Self::Rows => chunk::FileRole::Rows,
            Self::AgentMeta { session, agent } => chunk::FileRole::AgentMeta { session, agent },
        }
    }
}

#[derive(Deserialize)]
pub(super) enum UnitKey {
    Turn(RowId),
    Loose(RowId),
    Agent(SessionId, AgentId),
}

impl Thaw<unit::UnitKey> for UnitKey {
    fn thaw(self) -> unit::UnitKey {
        match self {
            Self::Turn(row) => unit::UnitKey::Turn(row),
            Self::Loose(row) => unit::UnitKey::Loose(row),
            Self::Agent(session, agent) => unit::UnitKey::Agent(session, agent),
        }
    }
}

#[derive(Deserialize)]
pub(super) enum Stop {
    EndTurn,
    Sequence,
    MaxTokens,
    Refusal,
    ToolUse,
    Other(Arc<str>),
}

impl Thaw<record::Stop> for Stop {
    fn thaw(self) -> record::Stop {
        match self {
            Self::EndTurn => record::Stop::EndTurn,
            Self::Sequence => record::Stop::StopSequence,
            Self::MaxTokens => record::Stop::MaxTokens,
            Self::Refusal => record::Stop::Refusal,
            Self::ToolUse => record::Stop::ToolUse,
            Self::Other(name) => record::Stop::Other(name),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Queue {
    waiting: Vec<Timestamp>,
    left: Option<(Timestamp, u64)>,
}

impl Thaw<queue::Queue> for Queue {
    fn thaw(self) -> queue::Queue {
        queue::Queue::of(self.waiting, self.left)
    }
}

/// A sub-agent. What its side file told was not stored apart.
#[derive(Deserialize)]
pub(super) struct Agent {
    id: AgentId,
    agent_type: Option<Arc<str>>,
    call: Option<Box<str>>,
    parent: Option<UnitId>,
    background: bool,
    first_row: Option<(Timestamp, RowId)>,
    prompt: Option<RowPlace>,
}

impl Thaw<unit::Agent> for Agent {
    fn thaw(self) -> unit::Agent {
        let Self { call, agent_type, background, .. } = self;
        unit::Agent {
            id: self.id,
            agent_type: agent_type.clone(),
            call: call.clone(),
            parent: self.parent,
            background,
            first_row: self.first_row,
            prompt: self.prompt.thaw(),
            runs: Vec::new(),
            told: unit::Told { call, agent_type, background },
            asks: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct WaitingAgent {
    agent_type: Option<Arc<str>>,
    call: Option<Box<str>>,
    background: bool,
}

impl Thaw<session::WaitingAgent> for WaitingAgent {
    fn thaw(self) -> session::WaitingAgent {
        let told = unit::Told { call: self.call, agent_type: self.agent_type, background: self.background };
        session::WaitingAgent { told, ..session::WaitingAgent::default() }
    }
}

/// A unit with all of its parts.
#[derive(Deserialize)]
pub(super) struct Unit {
    key: UnitKey,
    claim: Claim,
    context: Context,
    first: Timestamp,
    last: Timestamp,
    prompt: Option<Prompt>,
    agent: Option<Agent>,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    failures: Vec<Failure>,
    compactions: Vec<Compacted>,
    hooks: Vec<OldHookRun>,
    fallbacks: Vec<FellBack>,
    active_ms: Option<u64>,
    interrupted: Option<Timestamp>,
    superseded: Option<Timestamp>,
    resumes: bool,
    spoken: bool,
    export: Export,
}

impl Thaw<unit::Unit> for Unit {
    fn thaw(self) -> unit::Unit {
        let (failures, compactions) = (self.failures.thaw(), self.compactions.thaw());
        let rows = [failures, compactions, self.hooks.thaw(), self.fallbacks.thaw(), Vec::new()];
        let parts = unit::Parts { messages: self.messages.thaw(), tools: self.tools.thaw(), rows: in_one_list(rows) };
        unit::Unit {
            key: self.key.thaw(),
            claim: self.claim.thaw(),
            context: self.context.thaw(),
            first: self.first,
            last: self.last,
            prompt: self.prompt.thaw(),
            agent: self.agent.thaw(),
            parts,
            sections: None,
            below: None,
            active_ms: self.active_ms,
            interrupted: self.interrupted,
            superseded: self.superseded,
            told_end: None,
            asked_again: None,
            holders: Vec::new(),
            resumes: self.resumes,
            spoken: self.spoken,
            export: self.export.thaw(),
            of_run: None,
            provisional: None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Session {
    id: SessionId,
    units: BTreeMap<UnitId, UnitRef>,
    contexts: Vec<Context>,
    tally: Tally,
    accounts: Vec<Account>,
    fork: Option<Fork>,
    pub(super) forks: BTreeSet<SessionId>,
    counted_report: Reported,
    counted_start: bool,
    own_rows: bool,
    pub(super) waiting_agents: BTreeMap<AgentId, WaitingAgent>,
    title: Option<Arc<str>>,
    title_is_custom: bool,
}

#[derive(Deserialize)]
struct UnitRef {
    first: Timestamp,
    last: Timestamp,
    context: u32,
    turn: bool,
    resumes: bool,
    spoken: bool,
}

impl Session {
    /// Converts the session, without its units, waiting sub-agents and forks, which have rows of their own today.
    pub(super) fn thaw(self) -> session::Session {
        let contexts: Vec<unit::Surroundings> = self.contexts.thaw();
        let context_of = |unit: &UnitRef| contexts.get(usize::try_from(unit.context).unwrap_or(usize::MAX));
        let branch_of = |unit: &UnitRef| context_of(unit).is_some_and(|context| context.branch.is_some());
        let member = |(id, unit): (&UnitId, &UnitRef)| Member {
            unit: *id,
            first: unit.first,
            last: unit.last,
            turn: unit.turn,
            branch: branch_of(unit),
            parent: None,
            background: false,
        };
        let members: Vec<Member> = self.units.iter().map(member).collect();
        let count = |counts: fn(&UnitRef) -> bool| self.units.values().filter(|unit| counts(unit)).count() as u64;
        let mut session = session::Session::new(self.id);
        (session.spoken, session.resumes) = (count(|unit| unit.spoken), count(|unit| unit.resumes));
        let context = |id| Ok(self.units.get(&id).and_then(context_of).cloned());
        match session.tighten::<std::convert::Infallible>(&members, context) {
            Ok(()) => {}
            Err(never) => match never {},
        }
        session.tally = self.tally.thaw();
        session.accounts = self.accounts.thaw();
        session.fork = self.fork.thaw();
        session.has_forks = !self.forks.is_empty();
        session.counted_report = self.counted_report.thaw();
        session.counted_start = self.counted_start;
        session.own_rows = self.own_rows;
        session.title = self.title.as_deref().and_then(old_title);
        session.title_by = title_by(self.title_is_custom && session.title.is_some());
        session
    }
}
