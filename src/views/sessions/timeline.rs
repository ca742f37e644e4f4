//! The order of the events of a session that is too long to be in memory. Of each event only its time, its kind and
//! what it used are kept.
//!
//! ```text
//! add      called for each unit and section   keeps homes and keys, some 20 bytes per event
//! sort     called once                        puts events in order; returns those whose order depends on their ids
//! settle   called with these ids              completes the order
//! place_at, state_before                       tell the home of the event at a position, and the state before it
//! ```
//!
//! Once events are in order, the state is kept every [`KEYFRAME_EVENTS`] events, so that the state at any position costs
//! one of these and fewer events than that.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{RowPlace, UnitId};
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;
use crate::views::sessions::evidence::FileTool;
use crate::views::sessions::file_uses::FileUses;
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::moments::{Mark, Moment, SoFar, StepKind};
use crate::views::sessions::state::{Change, KEYFRAME_EVENTS, SessionState};

/// How many of the slowest steps of each kind are kept.
const SLOWEST_MAX: usize = 10;

/// Events of a session in order.
#[derive(Debug, Default)]
pub struct Timeline {
    homes: Vec<Home>,
    keys: Vec<OrderKey>,
    /// What events changed that does not fit their keys, packed one after the other.
    packed: Vec<u8>,
    /// Numbers of the events in order; an event's number is its position in `keys`.
    order: Vec<u32>,
    slowest: [Slowest; 2],
    models: Vec<Arc<str>>,
    files: Vec<NamedFile>,
    /// The position of each file in `files`, by the hash of its path.
    known_files: HashMap<u64, u32>,
    /// The states before the events 0, [`KEYFRAME_EVENTS`], twice as many, and so on.
    keyframes: Vec<SessionState>,
}

/// A file that calls have named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// xxh3-64 of its path.
    pub hash: u64,
    /// The row of a call that names it.
    pub place: RowPlace,
    /// `tool_use.id` of that call.
    pub call: Box<str>,
}

/// The slowest steps of a kind, with further steps that were not removed yet.
#[derive(Debug, Default)]
struct Slowest {
    steps: Vec<Slow>,
    /// How many steps were left when further ones were removed last.
    kept: usize,
}

/// The home of some events: a unit, or one of its sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    pub unit: UnitId,
    /// Position of the section; `None` for the unit with the parts that it holds itself.
    pub section: Option<u32>,
    /// Number of the first event of this home.
    first: u32,
    /// The turn that it is part of, from 1; 0 if it is part of none.
    turn: u32,
    /// True if it is a sub-agent's.
    is_agent: bool,
}

#[derive(Debug, Clone, Copy)]
struct OrderKey {
    at: Timestamp,
    /// Of a message or compaction the offset in [`Timeline::packed`] plus one, of a call the position in
    /// [`Timeline::files`] plus one; 0 without.
    more: u32,
    kind: EventKind,
    /// Of a call, that it is the first to name its file; of a result, that its call is known.
    is_marked: bool,
    /// Of a result, how its call ended; of a failed attempt, that it failed.
    outcome: Outcome,
    /// Of a call, what its tool does with files and tasks.
    tool: FileTool,
}

/// A step and how long it took.
#[derive(Debug, Clone, Copy)]
struct Slow {
    milliseconds: u64,
    event: u32,
}

/// What an event is, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub at: Timestamp,
    pub kind: EventKind,
    /// True if it tells of an error: a failed attempt, or a call that failed.
    pub failed: bool,
    /// The unit that it happened in.
    pub unit: UnitId,
}

impl Timeline {
    /// Adds the moments of a unit, or of one of its sections, in the order in which `moments` gives them. `turn` is the
    /// turn that the unit is part of, if any, and `is_agent` says whether it is a sub-agent.
    pub fn add<'a>(
        &mut self,
        (unit, section): (UnitId, Option<u32>),
        (turn, is_agent): (Option<usize>, bool),
        moments: impl Iterator<Item = Moment<'a>>,
    ) {
        let first = number(self.keys.len());
        self.homes.push(Home { unit, section, first, turn: turn.map_or(0, number), is_agent });
        for moment in moments {
            let event = number(self.keys.len());
            let key = self.key_of(&moment);
            self.keys.push(key);
            if let Some((kind, milliseconds)) = moment.took() {
                self.slow(kind, Slow { milliseconds, event });
            }
        }
    }

    fn key_of(&mut self, moment: &Moment<'_>) -> OrderKey {
        let kind = moment.kind();
        let outcome = if kind == EventKind::ApiError { Outcome::Failed } else { Outcome::Ok };
        let tool = FileTool::Harmless;
        let mut key = OrderKey { at: moment.at(), more: 0, kind, is_marked: false, outcome, tool };
        match moment.mark() {
            Mark::Plain | Mark::Turn | Mark::AgentStart | Mark::AgentEnd => {}
            Mark::Used { used, context_tokens, model } => {
                key.more = number(self.packed.len()).saturating_add(1);
                let known = self.models.iter().position(|known| known == model);
                let model = known.unwrap_or_else(|| {
                    self.models.push(Arc::clone(model));
                    self.models.len() - 1
                });
                pack(&mut self.packed, &used, context_tokens, number(model));
            }
            Mark::Call { id, tool, file, place } => {
                key.tool = FileTool::of(tool);
                if file == 0 {
                    return key;
                }
                let (next, files) = (number(self.files.len()), &mut self.files);
                let file = *self.known_files.entry(file).or_insert_with(|| {
                    files.push(NamedFile { hash: file, place, call: id.into() });
                    next
                });
                key.more = file.saturating_add(1);
            }
            Mark::Result { called, outcome } => (key.is_marked, key.outcome) = (called, outcome),
            Mark::Compacted(tokens) => {
                key.more = number(self.packed.len()).saturating_add(1);
                pack_number(&mut self.packed, tokens.into());
            }
        }
        key
    }

    fn key(&self, event: u32) -> (Timestamp, u8) {
        self.keys.get(place(event)).map_or((Timestamp(i64::MAX), u8::MAX), |key| (key.at, key.kind.rank()))
    }

    /// Keeps the slowest steps, of equally slow ones the earliest, and those that only their ids would order. There may
    /// be any number of the last, so further steps are removed only when the list has doubled.
    fn slow(&mut self, kind: StepKind, step: Slow) {
        let Some(mut known) = self.slowest.get_mut(slot(kind)).map(std::mem::take) else { return };
        known.steps.push(step);
        if known.steps.len() >= (64 * SLOWEST_MAX).max(2 * known.kept) {
            let key = |step: &Slow| (std::cmp::Reverse(step.milliseconds), self.key(step.event));
            known.steps.sort_by_key(key);
            if let Some(last) = known.steps.get(SLOWEST_MAX - 1).map(key) {
                known.steps.retain(|step| key(step) <= last);
            }
            known.kept = known.steps.len();
        }
        if let Some(place) = self.slowest.get_mut(slot(kind)) {
            *place = known;
        }
    }

    /// Puts all events in order, once all were added. Returns the events whose order depends on their ids, each with
    /// its number, its home and its position there; [`Timeline::settle`] takes these ids.
    pub fn sort(&mut self) -> Vec<(u32, Home, usize)> {
        let mut order: Vec<u32> = (0..number(self.keys.len())).collect();
        order.sort_unstable_by_key(|event| (self.key(*event), *event));
        self.order = order;
        let tied = self.order.chunk_by(|a, b| self.key(*a) == self.key(*b)).filter(|run| run.len() > 1).flatten();
        tied.filter_map(|event| self.place(*event).map(|(home, which)| (*event, home, which))).collect()
    }

    /// Puts events of the same time and kind in order by their `ids`, which are given by the number of the event. Then
    /// all is in order, and states are worked out.
    pub fn settle(&mut self, ids: &HashMap<u32, String>) {
        let mut order = std::mem::take(&mut self.order);
        order.chunk_by_mut(|a, b| self.key(*a) == self.key(*b)).filter(|run| run.len() > 1).for_each(|run| {
            run.sort_by(|a, b| (ids.get(a), a).cmp(&(ids.get(b), b)));
        });
        self.order = order;
        self.work_out();
    }

    /// Finds the first call that names each file, and keeps states.
    fn work_out(&mut self) {
        let mut named = vec![false; self.files.len()];
        for event in &self.order {
            let Some(key) = self.keys.get_mut(place(*event)).filter(|key| key.kind == EventKind::ToolCall) else {
                continue;
            };
            let file = place(key.more).checked_sub(1).and_then(|file| named.get_mut(file));
            key.is_marked = file.is_some_and(|named| !std::mem::replace(named, true));
        }
        let (mut state, mut keyframes) = (SessionState::default(), Vec::new());
        for (position, event) in self.order.iter().enumerate() {
            if position % KEYFRAME_EVENTS == 0 {
                keyframes.push(state.clone());
            }
            state.apply(self.change(*event));
        }
        self.keyframes = keyframes;
    }

    /// What an event changes in the state of the session.
    fn change(&self, event: u32) -> Change {
        let (Some(key), Some((at, home))) = (self.keys.get(place(event)), self.home(event)) else {
            return Change::Nothing;
        };
        let more = place(key.more).checked_sub(1);
        match key.kind {
            EventKind::Prompt => Change::Turn(home.turn),
            EventKind::SubagentStart => Change::AgentStart(at),
            EventKind::SubagentEnd => Change::AgentEnd(at),
            EventKind::Message => {
                let Some(mut packed) = more.and_then(|more| self.packed.get(more..)) else { return Change::Nothing };
                let (used, context_tokens, model) = unpack(&mut packed);
                Change::Used(used, (!home.is_agent).then_some((context_tokens, model)))
            }
            EventKind::ToolCall => Change::Call { event, file: more.map(number), is_new: key.is_marked },
            EventKind::ToolResult if key.is_marked => {
                let call = event.saturating_sub(1);
                let is_done = key.outcome == Outcome::Ok && !home.is_agent;
                match self.keys.get(place(call)).map(|called| called.tool).filter(|_| is_done) {
                    Some(FileTool::Task) => Change::TaskChanged(call),
                    Some(FileTool::Tasks) => Change::TasksTold(call),
                    _ => Change::Returned(call),
                }
            }
            EventKind::Compaction if !home.is_agent => {
                let packed = more.and_then(|more| self.packed.get(more..));
                let tokens = packed.map(|mut packed| unpack_number(&mut packed));
                tokens.map_or(Change::Nothing, |tokens| Change::Compacted(u64::try_from(tokens).unwrap_or(u64::MAX)))
            }
            _ => Change::Nothing,
        }
    }

    /// The state of the session before the event at a position, or at its end.
    #[must_use]
    pub fn state_before(&self, position: usize) -> SessionState {
        let position = position.min(self.order.len());
        let keyframe = (position / KEYFRAME_EVENTS).min(self.keyframes.len().saturating_sub(1));
        let mut state = self.keyframes.get(keyframe).cloned().unwrap_or_default();
        let start = keyframe * KEYFRAME_EVENTS;
        for event in self.order.iter().take(position).skip(start) {
            state.apply(self.change(*event));
        }
        state
    }

    /// The state that `state`, which is that before the event at a position, becomes with that event.
    pub fn go_on(&self, state: &mut SessionState, position: usize) {
        if let Some(event) = self.order.get(position) {
            state.apply(self.change(*event));
        }
    }

    /// The position of each event by its number.
    #[must_use]
    pub fn positions(&self) -> Vec<u32> {
        let mut positions = vec![0; self.order.len()];
        for (position, event) in (0..).zip(&self.order) {
            if let Some(own) = positions.get_mut(place(*event)) {
                *own = position;
            }
        }
        positions
    }

    /// The name of a model.
    #[must_use]
    pub fn model(&self, number: u32) -> Option<&Arc<str>> {
        self.models.get(place(number))
    }

    /// The files that calls have named, in no particular order.
    #[must_use]
    pub fn files(&self) -> &[NamedFile] {
        &self.files
    }

    /// What the event at a position is: when it happened, its kind, whether it tells of an error, and its home.
    #[must_use]
    pub fn look(&self, position: usize) -> Option<Look> {
        let event = *self.order.get(position)?;
        let (key, (_, home)) = (self.keys.get(place(event))?, self.home(event)?);
        let failed = key.outcome == Outcome::Failed;
        Some(Look { at: key.at, kind: key.kind, failed, unit: home.unit })
    }

    /// What calls did with files up to the event at a position, that event included.
    #[must_use]
    pub fn uses(&self, until: usize) -> FileUses {
        let mut uses = FileUses::default();
        let mut called: HashMap<u32, usize> = HashMap::new();
        for (position, event) in self.order.iter().copied().enumerate().take(until.saturating_add(1)) {
            let Some(key) = self.keys.get(place(event)) else { break };
            match key.kind {
                EventKind::ToolCall => {
                    called.insert(event, position);
                    uses.called(key.tool, place(key.more).checked_sub(1), position);
                }
                EventKind::ToolResult if key.is_marked => {
                    let of_call = event.checked_sub(1).and_then(|call| self.keys.get(place(call)));
                    // The call is not known to have been before if its row is stamped later.
                    let at = event.checked_sub(1).and_then(|call| called.remove(&call));
                    if let Some((call, at)) = of_call.zip(at) {
                        uses.returned(call.tool, place(call.more).checked_sub(1), (at, position), key.outcome);
                    }
                }
                _ => {}
            }
        }
        uses
    }

    /// The unit with the home of this number.
    #[must_use]
    pub fn unit_of(&self, home: u32) -> Option<UnitId> {
        self.homes.get(place(home)).map(|home| home.unit)
    }

    fn home(&self, event: u32) -> Option<(u32, &Home)> {
        let at = self.homes.partition_point(|home| home.first <= event).checked_sub(1)?;
        Some((number(at), self.homes.get(at)?))
    }

    /// The number of events.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The position of the first event at or after `time`.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> usize {
        self.order.partition_point(|event| self.key(*event).0 < time)
    }

    /// The home of the event at a position, and its position among the moments of that home, from 0.
    #[must_use]
    pub fn place_at(&self, position: usize) -> Option<(Home, usize)> {
        self.place(*self.order.get(position)?)
    }

    fn place(&self, event: u32) -> Option<(Home, usize)> {
        let (_, home) = self.home(event)?;
        Some((*home, place(event - home.first)))
    }

    /// The slowest steps of a kind, slowest first: the position of each in the session, its home and its position
    /// there.
    #[must_use]
    pub fn slowest(&self, kind: StepKind) -> Vec<(usize, Home, usize)> {
        let known = self.slowest.get(slot(kind)).map_or(&[][..], |known| &known.steps);
        let took: HashMap<u32, u64> = known.iter().map(|step| (step.event, step.milliseconds)).collect();
        let in_order = self.order.iter().enumerate();
        let mut placed: Vec<_> = in_order
            .filter_map(|(position, event)| Some((std::cmp::Reverse(*took.get(event)?), position, *event)))
            .collect();
        placed.sort_unstable();
        let slowest = placed.into_iter().take(SLOWEST_MAX);
        slowest
            .filter_map(|(_, position, event)| self.place(event).map(|(home, which)| (position, home, which)))
            .collect()
    }
}

const fn slot(kind: StepKind) -> usize {
    match kind {
        StepKind::Tool => 0,
        StepKind::Message => 1,
    }
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Appends numbers in LEB128: seven bits per byte, the lowest first, and the high bit set on all bytes but the last.
/// Most numbers here are small.
fn pack(bytes: &mut Vec<u8>, used: &SoFar, context_tokens: u64, model: u32) {
    let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = used.tokens;
    let cost = used.cost.picousd();
    // The sign of the cost is put into the lowest bit.
    let cost = cost.unsigned_abs() << 1 | u128::from(cost < 0);
    let tokens = [input, output, cache_read, cache_write_5m, cache_write_1h].map(u128::from);
    for number in tokens.into_iter().chain([cost, context_tokens.into(), model.into()]) {
        pack_number(bytes, number);
    }
}

fn pack_number(bytes: &mut Vec<u8>, mut rest: u128) {
    while rest > 0x7f {
        bytes.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or_default());
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap_or_default());
}

fn unpack_number(bytes: &mut &[u8]) -> u128 {
    let (mut number, mut shift) = (0, 0);
    while let Some((first, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u128::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            break;
        }
    }
    number
}

/// What was used, the tokens of the prompt, and the number of the model.
fn unpack(bytes: &mut &[u8]) -> (SoFar, u64, u32) {
    let mut tokens = || u64::try_from(unpack_number(bytes)).unwrap_or(u64::MAX);
    let tokens = Tokens {
        input: tokens(),
        output: tokens(),
        cache_read: tokens(),
        cache_write_5m: tokens(),
        cache_write_1h: tokens(),
    };
    let cost = unpack_number(bytes);
    let amount = i128::try_from(cost >> 1).unwrap_or(i128::MAX);
    let used = SoFar { tokens, cost: Money::from_picousd(if cost & 1 == 0 { amount } else { -amount }) };
    let context_tokens = u64::try_from(unpack_number(bytes)).unwrap_or(u64::MAX);
    (used, context_tokens, u32::try_from(unpack_number(bytes)).unwrap_or_default())
}
