//! What the critical path of a turn is told in: stretches of time, and sums of them.

use std::collections::HashMap;

use crate::transcript::time::Timestamp;
use crate::views::analytics::work::Work;

/// A turn or a sub-agent whose path is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PathUnit<'a> {
    /// When it began.
    pub started: Timestamp,
    /// When it ended, or when the last thing happened in it.
    pub ended: Timestamp,
    /// What was done in it, of all its sections.
    pub work: &'a Work,
}

/// The critical path of a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnPath<'a> {
    /// What the turn waited for. Every moment from its start to its end is in exactly one stretch, in order of time.
    pub stretches: Vec<Stretch<'a>>,
    /// Sums by kind and name, the longest first. The milliseconds on the path add up to the duration of the turn.
    pub parts: Vec<PathPart<'a>>,
    /// The durations of all responses and calls added up, in milliseconds, on the path or beside it; of a call that
    /// waited for sub-agents it is theirs. More than the duration of the turn if much was done in parallel.
    pub busy_ms: u64,
}

/// A stretch of time in which a turn waited for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// What it waited for.
    pub kind: PathKind,
    /// Which of its kind, as [`PathPart::name`].
    pub name: &'a str,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, after `start`.
    pub end: Timestamp,
    /// In which response or call it lies.
    pub at: PathPlace,
}

/// What all stretches of one kind and name come to, and those beside the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathPart<'a> {
    /// What the turn waited for.
    pub kind: PathKind,
    /// The model, the tool that runs or may not run yet, the reason of the retry, what set off the compaction, the hook;
    /// `idle` for idle time.
    pub name: &'a str,
    /// Milliseconds on the path.
    pub path_ms: u64,
    /// How many milliseconds longer the calls and sub-agents beside the path could have taken for free, each for
    /// itself, added up.
    pub slack_ms: u64,
    /// By how many milliseconds the turn would be shorter if this took half the time wherever it was.
    pub saved_if_halved_ms: u64,
    /// Of the milliseconds on the path, those until the first piece of a response came, where streams tell; `None` if none
    /// does, and for everything but a model.
    pub first_chunk_ms: Option<u64>,
}

/// What a turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// The model that answers.
    Model,
    /// A tool that runs.
    Tool,
    /// A person or a program that is asked for permission, where a stream shows when that was. Session files do not tell.
    Permission,
    /// The turns before it. The time of a turn begins with its prompt, so session files never show this within a turn.
    Queue,
    /// The pause before another attempt, after one has failed.
    Retry,
    /// A compaction.
    Compaction,
    /// A hook.
    Hook,
    /// None of these: the client works, or a person is away.
    Idle,
}

/// Where a stretch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPlace {
    /// Between the request and the end of this response, as [`WorkResponse::id`](super::super::work::WorkResponse::id).
    Response(u64),
    /// Between this call and its result, as [`WorkCall::id`](super::super::work::WorkCall::id).
    Call(u64),
    /// In neither.
    Nothing,
}

impl PathKind {
    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Permission => "permission",
            Self::Queue => "queue",
            Self::Retry => "retry",
            Self::Compaction => "compaction",
            Self::Hook => "hook",
            Self::Idle => "idle",
        }
    }
}

impl Stretch<'_> {
    /// How long it lasts, in milliseconds.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.end.since_ms(self.start)
    }
}

/// Kinds with names, numbered in the order in which they are first asked for.
#[derive(Default)]
pub(super) struct PartNames<'a> {
    names: Vec<(PathKind, &'a str)>,
    numbers: HashMap<(PathKind, &'a str), usize>,
}

impl<'a> PartNames<'a> {
    pub(super) fn number(&mut self, kind: PathKind, name: &'a str) -> usize {
        *self.numbers.entry((kind, name)).or_insert_with(|| {
            self.names.push((kind, name));
            self.names.len() - 1
        })
    }

    /// The kind and name of a number that was given.
    pub(super) fn name(&self, number: usize) -> (PathKind, &'a str) {
        self.names.get(number).copied().unwrap_or((PathKind::Idle, IDLE))
    }

    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }
}

/// [`PathPart::name`] of [`PathKind::Idle`].
pub(super) const IDLE: &str = "idle";
