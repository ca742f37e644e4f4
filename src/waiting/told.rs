//! What was told of a session from outside its file: by hooks of the client, or by a program that the client asks.

use std::sync::Arc;

use crate::transcript::time::Timestamp;

/// Most questions of one session that are kept.
const ASKS_MAX: usize = 64;

/// Longest time from a question to the reminder of it, in milliseconds. The client waits for six seconds without a key.
const REMINDED_MS_MAX: u64 = 10 * 60_000;

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
    HostAsked,
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

/// A question that was asked and of which no answer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// The tool; `None` if that was not told.
    pub tool: Option<Arc<str>>,
    /// The sub-agent that wants to use it.
    pub agent: Option<Arc<str>>,
    /// True if a program asks, and not the client its terminal.
    pub by_host: bool,
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
    /// When something was told last.
    pub last: Timestamp,
}

impl ToldSigns {
    /// Takes in what was told. The order is that of time; what is told late of an earlier moment changes nothing that
    /// was told of a later one.
    pub fn note(&mut self, told: &Told) {
        self.last = self.last.max(told.at);
        let is_of = |asked: &Asked| asked.agent == told.agent && asked.at <= told.at;
        match told.kind {
            ToldKind::PermissionAsked | ToldKind::HostAsked => self.ask(told),
            ToldKind::Reminded => {
                // It names neither tool nor sub-agent. A client that tells the question itself tells it before.
                let is_known = |asked: &Asked| asked.tool.is_some() && told.at.since_ms(asked.at) <= REMINDED_MS_MAX;
                if !self.asked.iter().any(is_known) {
                    self.asked.retain(|asked| asked.tool.is_some());
                    self.ask(told);
                }
            }
            ToldKind::ToolEnded => self.asked.retain(|asked| !(is_of(asked) && is_about(asked, told))),
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
                self.asked.retain(|asked| asked.at > told.at);
                self.ended = self.ended.filter(|ended| *ended > told.at);
            }
            ToldKind::SessionEnded => {
                self.asked.retain(|asked| asked.at > told.at);
                self.ended = Some(told.at);
            }
            ToldKind::Other => {}
        }
    }

    fn ask(&mut self, told: &Told) {
        if self.asked.len() >= ASKS_MAX {
            self.asked.remove(0);
        }
        self.asked.push(Asked {
            at: told.at,
            tool: told.tool.clone(),
            agent: told.agent.clone(),
            by_host: told.kind == ToldKind::HostAsked,
        });
    }
}

/// True if a question is about the tool that was told of, as far as both say.
fn is_about(asked: &Asked, told: &Told) -> bool {
    asked.tool.is_none() || told.tool.is_none() || asked.tool == told.tool
}
