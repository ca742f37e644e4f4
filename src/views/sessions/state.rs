//! The state of a session after some of its events: what was spent, what is open, which files were named.
//!
//! A state is made by [`SessionState::apply`] alone, event by event, and holds only numbers of bounded size. So the state at
//! any position is that at the keyframe before it and at most [`KEYFRAME_EVENTS`] - 1 events, and steps back and forth
//! lead to the same states.

use crate::views::sessions::moments::SoFar;

/// After how many events a state is kept.
pub const KEYFRAME_EVENTS: usize = 256;

/// Most open calls, and most running sub-agents, that a state names. Of further ones it holds the number only.
pub const OPEN_MAX: usize = 64;

/// Most files that a state names: those that were named last.
pub const FILES_MAX: usize = 20;

/// Most calls that a state names from which the list of tasks is told. Of further ones the first are forgotten.
pub const TASK_CALLS_MAX: usize = 200;

/// The state of a session after some of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionState {
    /// What was used.
    pub so_far: SoFar,
    /// Tokens of the prompt of the latest response of the main thread, or what its latest compaction left; `None` before.
    pub context_tokens: Option<u64>,
    /// The model of that response, as a number that [`Timeline::model`](super::timeline::Timeline::model) takes.
    pub model: Option<u32>,
    /// The latest turn, from 1; 0 before the first.
    pub turn: u32,
    /// The calls without a result.
    pub calls: Open,
    /// The sub-agents that run, by the numbers of their homes.
    pub agents: Open,
    /// How many files calls have named.
    pub files: u32,
    /// The files that were named last, the latest first.
    pub latest_files: Vec<u32>,
    /// The calls that made the list of tasks of the main thread what it is.
    pub tasks: TaskCalls,
}

/// Calls that changed the list of tasks since one that told the whole list, that one included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskCalls {
    /// How many there are.
    pub count: u32,
    /// The latest of them in the order of their results, at most [`TASK_CALLS_MAX`].
    pub latest: Vec<u32>,
}

/// Things that have begun and not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// How many there are.
    pub count: u32,
    /// The latest of them in the order in which they began, at most [`OPEN_MAX`].
    pub latest: Vec<u32>,
}

/// What an event changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Turn(u32),
    AgentStart(u32),
    AgentEnd(u32),
    /// A response used something. Context and model are given for those of the main thread.
    Used(SoFar, Option<(u64, u32)>),
    /// A call began that has this number, and names a file, perhaps for the first time.
    Call {
        event: u32,
        file: Option<u32>,
        is_new: bool,
    },
    /// The call of this number ended.
    Returned(u32),
    /// The call of this number ended, and has changed a task of the main thread.
    TaskChanged(u32),
    /// The call of this number ended, and has told all tasks of the main thread.
    TasksTold(u32),
    /// The main thread was compacted.
    Compacted(u64),
}

impl Open {
    fn begin(&mut self, one: u32) {
        self.count = self.count.saturating_add(1);
        if self.latest.len() >= OPEN_MAX {
            self.latest.remove(0);
        }
        self.latest.push(one);
    }

    fn end(&mut self, one: u32) {
        self.count = self.count.saturating_sub(1);
        self.latest.retain(|open| *open != one);
    }
}

impl TaskCalls {
    fn add(&mut self, call: u32) {
        self.count = self.count.saturating_add(1);
        if self.latest.len() >= TASK_CALLS_MAX {
            self.latest.remove(0);
        }
        self.latest.push(call);
    }
}

impl SessionState {
    /// The state after one more event.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Turn(turn) => self.turn = turn,
            Change::AgentStart(agent) => self.agents.begin(agent),
            Change::AgentEnd(agent) => self.agents.end(agent),
            Change::Used(used, context) => {
                self.so_far.tokens += used.tokens;
                self.so_far.cost += used.cost;
                if let Some((tokens, model)) = context {
                    (self.context_tokens, self.model) = (Some(tokens), Some(model));
                }
            }
            Change::Call { event, file, is_new } => {
                self.calls.begin(event);
                self.files = self.files.saturating_add(u32::from(is_new));
                if let Some(file) = file {
                    self.latest_files.retain(|known| *known != file);
                    self.latest_files.insert(0, file);
                    self.latest_files.truncate(FILES_MAX);
                }
            }
            Change::Returned(call) => self.calls.end(call),
            Change::TaskChanged(call) => {
                self.calls.end(call);
                self.tasks.add(call);
            }
            Change::TasksTold(call) => {
                self.calls.end(call);
                self.tasks = TaskCalls { count: 1, latest: vec![call] };
            }
            Change::Compacted(tokens) => self.context_tokens = Some(tokens),
        }
    }
}
