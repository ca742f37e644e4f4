//! What was told of a session from outside its file: by hooks of the client, or by a program that the client asks.

use std::sync::Arc;

use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// A question must have stood for so many milliseconds. Without a terminal the client asks its hooks first and refuses
/// at once, and hooks may allow: nobody is asked then.
const STANDS_MS: u64 = 250;

/// Most questions of one session that are kept.
const ASKS_MAX: usize = 64;

/// Longest time from a question to the reminder of it, in milliseconds. The client waits for six seconds without a key.
const REMINDED_MS_MAX: u64 = 10 * 60_000;

/// Hooks that run beside each other write their lines within so many milliseconds. A line that is earlier than one before it
/// by more was written after the clock had been set back.
const BESIDE_MS: u64 = 10_000;

/// Something that was told of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: ToldKind,
    /// The sub-agent in which it happened; `None` for the main thread.
    pub agent: Option<Arc<str>>,
    /// The tool that it is about.
    pub tool: Option<Arc<str>>,
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldKind {
    /// The client asks whether a tool may run.
    PermissionAsked,
    /// The same, by a program that answers in the place of a person or shows it to one (`can_use_tool`).
    HostAsked(HostCall),
    /// The call of this id has its result.
    HostReturned(u64),
    /// The request of this run was answered, or taken back.
    HostAnswered(RunId, u64),
    /// A turn of the main thread has ended in this run.
    HostStopped(RunId),
    /// This run is over.
    HostEnded(RunId),
    /// This run has the session now, and no other has it.
    HostBegan(RunId),
    /// A person is reminded of a question that has stood for some seconds.
    Reminded,
    /// The question about a tool was answered, or the tool has run.
    ToolEnded,
    /// A turn of the main thread has begun.
    Prompted,
    /// The turn of the main thread has ended.
    Stopped,
    /// A sub-agent has ended.
    AgentStopped,
    /// A process took the session up.
    SessionBegan,
    /// The process has let go of the session.
    SessionEnded,
    /// Anything else.
    Other,
}

/// What tells a question of a program apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCall {
    /// The call, by [`OpenCall::id`](super::rows::OpenCall::id).
    pub call: u64,
    /// The request, by a hash of its id; `None` if it is not known.
    pub request: Option<u64>,
    /// The run of the client.
    pub run: RunId,
    /// True if a sub-agent asks which goes on behind the end of the turn.
    pub is_background: bool,
}

impl ToldKind {
    /// True for what ends questions of a program and matters only if there are some.
    #[must_use]
    pub const fn only_ends(self) -> bool {
        matches!(self, Self::HostReturned(_) | Self::HostAnswered(..) | Self::HostStopped(_) | Self::HostBegan(_))
    }
}

/// A question that was asked and of which no answer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// The tool; `None` if that was not told.
    pub tool: Option<Arc<str>>,
    /// The sub-agent that wants to use it.
    pub agent: Option<Arc<str>>,
    /// The program that asks; `None` if the client asks in its terminal.
    pub host: Option<HostCall>,
}

impl Asked {
    /// From when on it is waited for, if it has no answer by then.
    #[must_use]
    pub const fn stands_at(&self) -> Timestamp {
        Timestamp(self.at.0.saturating_add_unsigned(STANDS_MS))
    }
}

/// All that was told of a session and still matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldSigns {
    /// Questions without an answer.
    pub asked: Vec<Asked>,
    /// When the process let go of the session; `None` while it has it.
    pub ended: Option<Timestamp>,
    /// When the latest turn of the main thread ended, if none has begun since.
    pub stopped: Option<Timestamp>,
    /// The run that ended last, if nothing more came of it.
    pub over: Option<RunId>,
    /// When something was told last.
    pub last: Timestamp,
}

impl ToldSigns {
    /// Takes in what was told. The order is that of time; what is told late of an earlier moment changes nothing that
    /// was told of a later one. Of questions of a program nothing but the order counts in which they are told.
    pub fn note(&mut self, told: &Told) {
        self.last = self.last.max(told.at);
        let is_of = |asked: &Asked| asked.agent == told.agent && is_before(asked.at, told.at);
        match told.kind {
            ToldKind::PermissionAsked => self.ask(told, None),
            ToldKind::Reminded => {
                // It names neither tool nor sub-agent. A client that tells the question itself tells it before.
                let is_known = |asked: &Asked| asked.tool.is_some() && told.at.since_ms(asked.at) <= REMINDED_MS_MAX;
                if !self.asked.iter().any(is_known) {
                    self.asked.retain(|asked| asked.tool.is_some());
                    self.ask(told, None);
                }
            }
            // It names no call, and two calls of one tool may be asked about by a program at the same time.
            ToldKind::ToolEnded => {
                self.asked.retain(|asked| asked.host.is_some() || !(is_of(asked) && is_about(asked, told)));
            }
            ToldKind::AgentStopped => self.asked.retain(|asked| !is_of(asked)),
            // A sub-agent in the background goes on asking.
            ToldKind::Prompted => {
                self.asked.retain(|asked| !is_of(asked));
                (self.stopped, self.ended) = (None, None);
            }
            ToldKind::Stopped => {
                self.asked.retain(|asked| !is_of(asked));
                if told.agent.is_none() {
                    self.stopped = Some(told.at);
                }
            }
            ToldKind::SessionBegan => {
                self.asked.retain(|asked| !is_before(asked.at, told.at));
                self.ended = self.ended.filter(|ended| *ended > told.at);
            }
            ToldKind::SessionEnded => {
                self.asked.retain(|asked| !is_before(asked.at, told.at));
                self.ended = Some(told.at);
            }
            ToldKind::HostReturned(call) => {
                // A hook may have told the same question.
                self.asked.retain(|asked| match asked.host {
                    Some(host) => host.call != call,
                    None => !(is_of(asked) && is_about(asked, told)),
                });
            }
            _ => self.note_host(told),
        }
    }

    fn note_host(&mut self, told: &Told) {
        match told.kind {
            ToldKind::HostAsked(host) => {
                self.retain_hosts(|known| known.call != host.call);
                self.over = self.over.filter(|over| *over != host.run);
                self.ask(told, Some(host));
            }
            ToldKind::HostAnswered(run, request) => {
                self.retain_hosts(|host| host.run != run || host.request != Some(request));
            }
            ToldKind::HostStopped(run) => self.retain_hosts(|host| host.run != run || host.is_background),
            ToldKind::HostEnded(run) => {
                self.retain_hosts(|host| host.run != run);
                self.over = Some(run);
            }
            ToldKind::HostBegan(run) => {
                self.retain_hosts(|host| host.run == run);
                self.over = self.over.filter(|over| *over != run);
            }
            _ => {}
        }
    }

    fn retain_hosts(&mut self, stays: impl Fn(&HostCall) -> bool) {
        self.asked.retain(|asked| asked.host.as_ref().is_none_or(&stays));
    }

    fn ask(&mut self, told: &Told, host: Option<HostCall>) {
        if self.asked.len() >= ASKS_MAX {
            self.asked.remove(0);
        }
        self.asked.push(Asked { at: told.at, tool: told.tool.clone(), agent: told.agent.clone(), host });
    }
}

/// True if a question was asked before something else was told, which came behind it.
fn is_before(asked: Timestamp, told: Timestamp) -> bool {
    asked <= told || asked.since_ms(told) > BESIDE_MS
}

/// True if a question is about the tool that was told of, as far as both say.
fn is_about(asked: &Asked, told: &Told) -> bool {
    asked.tool.is_none() || told.tool.is_none() || asked.tool == told.tool
}
