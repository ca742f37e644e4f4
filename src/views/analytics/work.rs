//! What a unit or section did and when, in a small form: enough to tell what waited for what, how long calls took, and
//! what their results cost later. It is stored beside the sums, so that no question decodes units.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Identity, Message, Parts, RowFact, Tool, ToolEnd, summed_up};
use crate::transcript::hash::ById;
use crate::transcript::record::{Fact, HookKind, Outcome};
use crate::transcript::time::Timestamp;

/// Responses, calls and waits, each in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// API responses with usable times, by when their requests began.
    pub responses: Vec<WorkResponse>,
    /// The models of responses whose times say nothing, by [`WorkResponse::id`].
    pub undated: Vec<(u64, Arc<str>)>,
    /// Tool calls, by when they were made.
    pub calls: Vec<WorkCall>,
    /// What else took time or ended a context, by when it began.
    pub waits: Vec<WorkWait>,
    /// What the model was told about MCP servers, by when.
    pub offers: Vec<WorkOffer>,
}

/// What one row told the model about one MCP server. Its bytes are in every later prompt of the same thread until the
/// next compaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkOffer {
    /// When it was told.
    pub at: Timestamp,
    /// The server as in the names of its tools: `mcp__server__tool`.
    pub server: Arc<str>,
    /// Bytes that entered the prompt; 0 if tools were only taken back.
    pub bytes: u64,
    /// How many of its tools can be called from then on; 0 for instructions.
    pub tools: u32,
    /// How many of its tools cannot be called any more.
    pub removed: u32,
}

/// One API response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkResponse {
    /// [`Identity::Message`] as a hash.
    pub id: u64,
    /// Canonical id of the model that answered.
    pub model: Arc<str>,
    /// When the request began, its retries included.
    pub start: Timestamp,
    /// Time of its last row, not before `start`.
    pub end: Timestamp,
    /// Tokens that the answering model used.
    pub tokens: Tokens,
    /// Their list price in picodollars; `None` without a known price.
    pub picousd: Option<u64>,
    /// Milliseconds from the request, of several attempts the last one, to the first piece; `None` if no stream tells.
    pub first_chunk_ms: Option<u32>,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkCall {
    /// [`Identity::Call`] as a hash.
    pub id: u64,
    /// The response that called, as [`WorkResponse::id`].
    pub response: u64,
    /// Name of the tool.
    pub tool: Arc<str>,
    /// When it was made.
    pub at: Timestamp,
    /// Milliseconds from call to result; `None` if that is not known, as [`Tool::duration_ms`].
    pub took_ms: Option<u64>,
    /// How it ended; `None` while no result counts.
    pub outcome: Option<Outcome>,
    /// Length of the result's text in bytes.
    pub bytes: u64,
    /// xxh3-64 of its input, as [`Call::input`](crate::ledger::unit::Call::input); 0 if that is not known.
    pub input: u64,
    /// xxh3-64 of the path of the file that it names, as [`Call::file`](crate::ledger::unit::Call::file); 0 if it names none or that is not known.
    pub file: u64,
    /// The extension of that path, as [`Call::extension`](crate::ledger::unit::Call::extension).
    pub extension: Option<Arc<str>>,
    /// Lines that it added to files; 0 while no result counts.
    pub lines_added: u32,
    /// Lines that it removed from files; 0 while no result counts.
    pub lines_removed: u32,
    /// True if a person was asked whether it may run, and allowed or refused it.
    pub by_person: bool,
    /// Whether it started sub-agents that it waited for.
    pub waits_for_agents: bool,
}

/// A stretch of time in which neither the model nor a tool worked, or an event between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkWait {
    /// What it was.
    pub kind: WaitKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
}

/// What time went by for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WaitKind {
    /// The pause after a failed attempt, with the reason of the failure.
    Retry(Box<str>),
    /// A compaction, with what set it off.
    Compaction(Box<str>),
    /// A hook that was waited for, with its name, and the call that it ran for as [`WorkCall::id`].
    Hook(Arc<str>, Option<u64>),
    /// The wait for the answer whether a call, given as [`WorkCall::id`], may run, with the tool; only where a stream shows
    /// exactly how long it was.
    Permission(Arc<str>, u64),
}

impl Work {
    /// What some parts did.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let mut work = Self {
            responses: parts.messages.iter().filter_map(WorkResponse::of).collect(),
            undated: parts.messages.iter().filter_map(undated).collect(),
            calls: parts.tools.iter().filter_map(WorkCall::of).collect(),
            waits: waits(parts),
            offers: parts.rows.iter().flat_map(WorkOffer::all_of).collect(),
        };
        // The same parts in another order have the same work.
        work.sort();
        work
    }

    /// Adds what other parts of the same unit did, and puts all in order of time.
    pub fn append_all<'a>(&mut self, others: impl Iterator<Item = &'a Self>) {
        for other in others {
            self.responses.extend_from_slice(&other.responses);
            self.undated.extend_from_slice(&other.undated);
            self.calls.extend_from_slice(&other.calls);
            self.waits.extend_from_slice(&other.waits);
            self.offers.extend_from_slice(&other.offers);
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.responses.sort_by_key(|response| (response.start, response.end, response.id));
        self.undated.sort_by_key(|(id, _)| *id);
        self.calls.sort_by_key(|call| (call.at, call.id));
        self.waits.sort_by(|a, b| (a.start, a.end, &a.kind).cmp(&(b.start, b.end, &b.kind)));
        self.offers.sort();
    }

    /// The model of each response.
    pub(super) fn models(&self) -> HashMap<u64, &str, ById> {
        let dated = self.responses.iter().map(|response| (response.id, &*response.model));
        dated.chain(self.undated.iter().map(|(id, model)| (*id, &**model))).collect()
    }
}

/// The id and the model of a response whose times say nothing.
fn undated(message: &Message) -> Option<(u64, Arc<str>)> {
    let share = message.shares().first().filter(|_| message.undated)?;
    Some((Identity::Message(&message.id).hash(), Arc::clone(&share.model)))
}

impl WorkResponse {
    /// `None` for a response that no model wrote, and for one whose times say nothing.
    fn of(message: &Message) -> Option<Self> {
        let share = message.shares().first().filter(|_| !message.undated)?;
        let cost = share.cost.map(|cost| u64::try_from(cost.picousd().max(0)).unwrap_or(u64::MAX));
        Some(Self {
            id: Identity::Message(&message.id).hash(),
            model: Arc::clone(&share.model),
            start: message.start,
            end: message.end.max(message.start),
            tokens: share.tokens,
            picousd: cost,
            first_chunk_ms: message.ttft_ms,
        })
    }
}

impl WorkCall {
    /// When its result came; when it was made, if that is not known.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let took = i64::try_from(self.took_ms.unwrap_or(0)).unwrap_or(i64::MAX);
        Timestamp(self.at.0.saturating_add(took))
    }

    /// `None` while only the result of the call is known.
    fn of(tool: &Tool) -> Option<Self> {
        let call = tool.call.as_ref()?;
        let end = tool.told_result();
        Some(Self {
            id: Identity::Call(&tool.id).hash(),
            response: Identity::Message(&call.message).hash(),
            tool: Arc::clone(&call.name),
            at: call.rank.time,
            took_ms: tool.duration_ms(),
            outcome: end.map(|end| end.outcome),
            bytes: end.map_or(0, |end| end.bytes),
            input: call.input,
            file: call.file,
            extension: call.extension.clone(),
            lines_added: end.map_or(0, |end| end.lines_added),
            lines_removed: end.map_or(0, |end| end.lines_removed),
            by_person: end.is_some_and(is_by_person),
            waits_for_agents: tool.agent.is_some() && !tool.background,
        })
    }
}

impl WorkOffer {
    /// What a row offers of each server.
    fn all_of(row: &RowFact) -> impl Iterator<Item = Self> {
        let servers = match &row.what {
            Fact::Offer(offer) => offer.servers.as_slice(),
            _ => &[],
        };
        servers.iter().map(|told| Self {
            at: row.time,
            server: Arc::clone(&told.server),
            bytes: told.bytes,
            tools: told.tools,
            removed: told.removed,
        })
    }
}

/// Whether a person decided about the call of a result. Values of `permissionDecision.source`: `user_temporary`,
/// `user_permanent` and `user_reject`, beside `config` and `hook`. Source: `claude-code-format.md` section 4.
fn is_by_person(end: &ToolEnd) -> bool {
    end.decision.as_deref().is_some_and(|source| source.starts_with("user_"))
}

fn waits(parts: &Parts) -> Vec<WorkWait> {
    let summed_up = summed_up(parts);
    let wait = |row: &RowFact| {
        let before = |milliseconds: u64| {
            let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
            Timestamp(row.time.0.saturating_sub(milliseconds))
        };
        let (kind, start, end) = match &row.what {
            Fact::Failure(error) if error.retry_in_ms > 0 => {
                let end = Timestamp(row.time.0.saturating_add(error.retry_in_ms.into()));
                (WaitKind::Retry(error.reason().into()), row.time, end)
            }
            Fact::Compaction(done) => (WaitKind::Compaction(done.trigger().into()), before(done.duration_ms), row.time),
            Fact::Hook(hook) if hook.kind != HookKind::Background && !summed_up.contains(&row.id) => {
                let call = hook.call.as_deref().map(|call| Identity::Call(call).hash());
                (WaitKind::Hook(Arc::clone(&hook.name), call), before(hook.duration_ms?), row.time)
            }
            _ => return None,
        };
        Some(WorkWait { kind, start, end })
    };
    let permissions = parts.tools.iter().filter_map(permission);
    parts.rows.iter().filter_map(wait).chain(permissions).collect()
}

fn permission(tool: &Tool) -> Option<WorkWait> {
    let (permission, name) = (tool.permission()?, &tool.call.as_ref()?.name);
    let waited = i64::try_from(permission.waited_ms()?).unwrap_or(i64::MAX);
    let kind = WaitKind::Permission(Arc::clone(name), Identity::Call(&tool.id).hash());
    Some(WorkWait { kind, start: permission.asked, end: Timestamp(permission.asked.0.saturating_add(waited)) })
}
