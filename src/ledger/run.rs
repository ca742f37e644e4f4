//! A run: one process of the client whose stream was passed on to the sidecar. It may hold several sessions, and what only
//! the stream tells of them is kept here, beside the units.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::derived::hash_of;
use super::keys::UnitId;
use super::model_name::normalize;
use super::money::Money;
use super::parts::RowFact;
use super::place::RowPlace;
use super::tokens::Tokens;
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::ModelCost;
use crate::transcript::stream::{Began, RunId, StreamResult};
use crate::transcript::time::Timestamp;

/// Most results of one session in one run whose ids are remembered, by which a second reading adds nothing.
const RESULTS_MAX: usize = 20_000;

/// Most delays that are kept of one session in one run.
const DELAYS_MAX: usize = 1_000;

/// Most sessions of a run; lines of further ones are taken as rows of their sessions, but not of the run.
const SESSIONS_MAX: usize = 1_000;

/// Most marks of lost lines that are remembered.
const LOSSES_MAX: usize = 1_000;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The workflow that it belongs to; `None` without a name.
    pub workflow: Option<Arc<str>>,
    /// Labels that the caller gave it.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// `TRACEPARENT` of the caller.
    pub caller: Option<Arc<str>>,
    /// True if it is to be a span of its own.
    pub span: bool,
    /// When it began: the time of its mark, or of its first line.
    pub began: Option<Timestamp>,
    /// When its last line arrived.
    pub last: Option<Timestamp>,
    /// When its stream ended, as its sender told; `None` while it goes on, or if nobody told. See [`Run::end`].
    pub ended: Option<Timestamp>,
    /// True if its sender tells when it ends.
    pub tells_end: bool,
    /// True once nothing came for so long that it is taken to have ended with its last line. More lines make it false again.
    pub given_up: bool,
    /// Length of a last line that was cut, in bytes.
    pub torn_bytes: u64,
    /// Lines that were lost on the way, by the place of the mark that tells so.
    pub lost: BTreeMap<u64, u64>,
    /// The sessions in it, in the order in which they came.
    pub sessions: Vec<RunSession>,
    /// Turns that the stream told of before the session file did, or alone, and that are looked at whenever the run is settled:
    /// those that are not decided yet. While a session has no file, the last one of it stays, and all are listed again once it
    /// has one.
    pub provisional: Vec<UnitId>,
    /// True if rows came after the last result: a process that ends now was killed within a turn.
    pub is_working: bool,
    /// True once those who follow what happens were told that it began.
    pub told_began: bool,
    /// True once they were told that it ended.
    pub told_ended: bool,
    /// True once everything about it is decided; more lines of it, or of its sessions, make it false again.
    pub settled: bool,
    /// True once it was counted as one that has ended, and its span left if it is to be one. It stays true whatever comes
    /// later.
    pub left: bool,
}

/// A session in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSession {
    /// Its id.
    pub id: SessionId,
    /// The folder in which the client was started, as `init` tells.
    pub cwd: Option<Arc<str>>,
    /// Version of the client.
    pub version: Option<Arc<str>>,
    /// When its first line arrived.
    pub first: Timestamp,
    /// Hashes of the ids of the results that were counted.
    pub results: Vec<u64>,
    /// The last result.
    pub last: Option<RunResult>,
    /// What the client counted in this run, by canonical model: sums over all results.
    pub spent: BTreeMap<Arc<str>, Spent>,
    /// What the client counted in the session so far, as the last result tells. It is all that older clients tell.
    pub so_far: BTreeMap<Arc<str>, Spent>,
    /// What responses behind the last result used, by canonical model, as of the last time that the run was settled: no account
    /// of the client has them, and none will if the process was killed.
    pub open: BTreeMap<Arc<str>, Tokens>,
    /// How often the model was asked: sum over all results.
    pub asked: u64,
    /// Milliseconds that all turns together took.
    pub worked_ms: u64,
    /// How much later than on the stream rows stood in the session file, in milliseconds: the first `DELAYS_MAX` that
    /// were measured.
    pub delays: Vec<u32>,
    /// The greatest of all, in milliseconds.
    pub delay_max_ms: u32,
}

/// A result of the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Its id.
    pub id: RowId,
    /// Position among the results of the process, from 0.
    pub index: u32,
    /// When it arrived.
    pub at: Timestamp,
    /// `success`, `error_max_turns`, `error_during_execution`, ...
    pub subtype: Arc<str>,
    /// True if the client calls it an error, whatever its subtype is.
    pub is_error: bool,
    /// `completed`, `aborted_tools`, `api_error`, ...; `None` if the client does not say.
    pub reason: Option<Arc<str>>,
    /// The client's figure for the session so far; `None` if it is missing.
    pub cost: Option<Money>,
}

/// What the client counted for one model in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Its cost.
    pub cost: Money,
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache for five minutes, or for a time that is not told.
    pub cache_write_5m: u64,
    /// Prompt tokens written to the cache for one hour.
    pub cache_write_1h: u64,
    /// Searches that the API ran.
    pub web_searches: u64,
}

/// What a unit keeps of the run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfRun {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: Option<Arc<str>>,
    /// `TRACEPARENT` of its caller.
    pub caller: Option<Arc<str>>,
    /// True if the run is a span of its own.
    pub span: bool,
}

/// What is kept of a turn that the stream told of first. It is empty again once the session file has told all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provisional {
    /// The turn of the session file that tells the same.
    pub twin: Option<UnitId>,
    /// The prompt, if the stream repeats it, or the line with which the turn began. It becomes that of the turn if no
    /// session file ever tells it.
    pub prompt: Option<StreamPrompt>,
    /// Failures and compactions. They have other ids than in the session file, so they count only if there is none.
    pub later: Vec<RowFact>,
}

/// A prompt as far as a stream tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPrompt {
    /// When it was taken up.
    pub time: Timestamp,
    /// The line that repeats it; without one, the line with which the turn began.
    pub place: RowPlace,
    /// Length in characters; 0 if the stream does not repeat it.
    pub chars: u32,
    /// Name of the slash command, with its slash; `None` if it is not a command.
    pub command: Option<Arc<str>>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunOutcome {
    /// The last turn was completed.
    Success,
    /// The limit of requests was reached.
    MaxTurns,
    /// Anything else went wrong, a budget that was spent included, and a client that told nothing.
    DuringExecution,
    /// The API did not answer.
    ApiError,
    /// Somebody interrupted it.
    Interrupted,
    /// The process ended without a result.
    Killed,
    /// It still goes on.
    Running,
}

impl RunOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::MaxTurns,
        Self::DuringExecution,
        Self::ApiError,
        Self::Interrupted,
        Self::Killed,
        Self::Running,
    ];

    /// The name in answers and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::MaxTurns => "error_max_turns",
            Self::DuringExecution => "error_during_execution",
            Self::ApiError => "api_error",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
            Self::Running => "running",
        }
    }
}

impl Run {
    /// A run of which nothing is known but its id.
    #[must_use]
    pub const fn new(id: RunId) -> Self {
        Self {
            id,
            workflow: None,
            labels: BTreeMap::new(),
            caller: None,
            span: false,
            began: None,
            last: None,
            ended: None,
            tells_end: false,
            given_up: false,
            torn_bytes: 0,
            lost: BTreeMap::new(),
            sessions: Vec::new(),
            provisional: Vec::new(),
            is_working: false,
            told_began: false,
            told_ended: false,
            settled: false,
            left: false,
        }
    }

    /// Takes in who began it.
    pub(super) fn begin(&mut self, mark: &Began) {
        self.workflow = self.workflow.take().or_else(|| mark.workflow.clone());
        self.caller = self.caller.take().or_else(|| mark.caller.clone());
        self.labels.extend(mark.labels.iter().map(|(name, value)| (Arc::clone(name), Arc::clone(value))));
        self.span |= mark.span;
        self.began = self.began.into_iter().chain(mark.at).min();
    }

    /// Takes in that a line arrived.
    pub(super) fn arrived(&mut self, at: Timestamp) {
        self.began = self.began.or(Some(at));
        self.last = self.last.max(Some(at));
        self.given_up = false;
        self.settled = false;
    }

    /// When it ended: when its sender told so and nothing came later, or with its last line if nobody told and nothing came
    /// for long. `None` while it goes on.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.ended.filter(|ended| Some(*ended) >= self.last).or_else(|| self.last.filter(|_| self.given_up))
    }

    /// How long it took so far, in milliseconds. A sender that tells no times may have sent all of it at once; then it took at
    /// least as long as the client says that it worked.
    #[must_use]
    pub fn took_ms(&self) -> u64 {
        let last = self.end().or(self.last).unwrap_or_default();
        let took = last.since_ms(self.began.unwrap_or(last));
        let worked = self.sessions.iter().map(|session| session.worked_ms).fold(0, u64::saturating_add);
        if self.tells_end { took } else { took.max(worked) }
    }

    /// After this many milliseconds without a line, a run whose end nobody told is taken to have ended: a `result` is the last
    /// line of most streams whose sender does not tell the end. A host may ask for another turn after it, and a command or a
    /// person may keep a turn waiting for hours.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        const RESULT_MS: u64 = 600_000;
        const DAY_MS: u64 = 86_400_000;
        if self.is_working || self.tells_end || self.sessions.iter().all(|session| session.last.is_none()) {
            DAY_MS
        } else {
            RESULT_MS
        }
    }

    /// Takes in a mark of lost lines, told apart by its place. Returns whether it is a new one.
    pub(super) fn lose(&mut self, place: u64, lines: u64) -> bool {
        self.lost.len() < LOSSES_MAX && self.lost.insert(place, lines).is_none()
    }

    /// A session in it, which is added if it is new; `at` is when its line arrived.
    pub(super) fn session_mut(&mut self, id: &SessionId, at: Timestamp) -> Option<&mut RunSession> {
        if self.session(id).is_none() && self.sessions.len() < SESSIONS_MAX {
            let (results, spent) = (Vec::new(), BTreeMap::new());
            let (cwd, version, last, asked, worked_ms) = (None, None, None, 0, 0);
            let (id, so_far) = (id.clone(), BTreeMap::new());
            self.sessions.push(RunSession {
                id,
                cwd,
                version,
                first: at,
                results,
                last,
                spent,
                so_far,
                open: BTreeMap::new(),
                asked,
                worked_ms,
                delays: Vec::new(),
                delay_max_ms: 0,
            });
        }
        self.sessions.iter_mut().find(|session| session.id == *id)
    }

    /// A session in it.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&RunSession> {
        self.sessions.iter().find(|session| session.id == *id)
    }

    /// What a unit of it keeps of it.
    #[must_use]
    pub fn of(&self) -> OfRun {
        let (workflow, caller) = (self.workflow.clone(), self.caller.clone());
        OfRun { run: self.id, workflow, caller, span: self.span }
    }

    /// The result that came last.
    #[must_use]
    pub fn result(&self) -> Option<&RunResult> {
        self.sessions.iter().filter_map(|session| session.last.as_ref()).max_by_key(|result| (result.at, result.index))
    }

    /// How it ended. Of several results the last one counts.
    #[must_use]
    pub fn outcome(&self) -> RunOutcome {
        let Some(result) = self.result() else {
            return match self.end() {
                None => RunOutcome::Running,
                // The output was closed before its `init`: the client did not start, or was not asked for its stream.
                Some(_) if self.sessions.is_empty() && self.ended.is_some() => RunOutcome::DuringExecution,
                Some(_) => RunOutcome::Killed,
            };
        };
        let reason = result.reason.as_deref().unwrap_or_default();
        match (&*result.subtype, reason) {
            _ if self.is_working => {
                if self.end().is_some() {
                    RunOutcome::Killed
                } else {
                    RunOutcome::Running
                }
            }
            (_, "api_error") => RunOutcome::ApiError,
            (_, reason) if reason.starts_with("aborted") => RunOutcome::Interrupted,
            ("error_max_turns", _) => RunOutcome::MaxTurns,
            ("success", _) if result.is_error => RunOutcome::ApiError,
            ("success", _) => RunOutcome::Success,
            _ => RunOutcome::DuringExecution,
        }
    }

    /// The words of the client for how it ended: the reason of the last result, or its subtype.
    #[must_use]
    pub fn exit_reason(&self) -> Option<&str> {
        let result = self.result()?;
        Some(result.reason.as_deref().unwrap_or(&result.subtype))
    }
}

impl RunSession {
    /// Takes in a result that arrived at `at`. A result that was counted before adds nothing, and of one that another run told
    /// (`is_copy`) only the end is that of this run too.
    pub(super) fn result(&mut self, told: &StreamResult, at: Timestamp, is_copy: bool) {
        let hash = hash_of(told.id);
        if self.results.contains(&hash) {
            return;
        }
        self.open.clear();
        if !is_copy {
            if self.results.len() < RESULTS_MAX {
                self.results.push(hash);
            }
            add_all(&mut self.spent, &told.since);
            self.asked = self.asked.saturating_add(told.turns.into());
            self.worked_ms = self.worked_ms.saturating_add(told.duration_ms);
        }
        let index = told.index.unwrap_or_else(|| self.last.as_ref().map_or(0, |last| last.index.saturating_add(1)));
        if self.last.as_ref().is_none_or(|last| last.index <= index) {
            self.so_far.clear();
            if told.index.is_none() && !is_copy {
                add_all(&mut self.so_far, &told.models);
            }
            self.last = Some(RunResult {
                id: told.id,
                index,
                at,
                subtype: Arc::clone(&told.subtype),
                is_error: told.is_error,
                reason: told.reason.clone(),
                cost: told.usd.map(Money::from_usd_f64),
            });
        }
    }

    /// Takes in a delay.
    pub(super) fn delayed(&mut self, ms: u32) {
        self.delay_max_ms = self.delay_max_ms.max(ms);
        if self.delays.len() < DELAYS_MAX {
            self.delays.push(ms);
        }
    }

    /// What the client counted in this run, by canonical model. Older clients tell only what they counted in the session so
    /// far.
    #[must_use]
    pub fn counted(&self) -> &BTreeMap<Arc<str>, Spent> {
        if self.spent.is_empty() { &self.so_far } else { &self.spent }
    }

    /// What the client counted in this run for all models.
    #[must_use]
    pub fn cost(&self) -> Money {
        self.counted().values().map(|spent| spent.cost).fold(Money::ZERO, |sum, cost| sum + cost)
    }
}

fn add_all(sums: &mut BTreeMap<Arc<str>, Spent>, told: &[ModelCost]) {
    for model in told {
        let Some(name) = normalize(&model.model) else { continue };
        sums.entry(name.id).or_default().add(model);
    }
}

impl Spent {
    fn add(&mut self, told: &ModelCost) {
        self.cost += Money::from_usd_f64(told.usd);
        let add = |own: &mut u64, more: u64| *own = own.saturating_add(more);
        add(&mut self.input, told.input);
        add(&mut self.output, told.output);
        add(&mut self.cache_read, told.cache_read);
        add(&mut self.cache_write_1h, told.cache_write_1h);
        add(&mut self.cache_write_5m, told.cache_write.saturating_sub(told.cache_write_1h));
        add(&mut self.web_searches, told.web_searches);
    }
}
