//! The span tree of a turn, and of what its sub-agents did.
//!
//! ```text
//! invoke_agent claude-code          a turn: prompt -> end                   one trace per turn
//! ├─ chat claude-opus-5             a model call: request -> last block     CLIENT
//! ├─ execute_tool Bash              a tool call: call -> result             INTERNAL, siblings of the chat that called
//! └─ execute_tool Agent
//!    └─ invoke_agent Explore        its sub-agent: first -> last activity
//!       ├─ chat claude-haiku-4-5
//!       └─ execute_tool Grep
//! ```
//!
//! - A background sub-agent outlives its call and its turn. It has a trace of its own, linked to the call, and the call
//!   names that trace. A sub-agent that is nested deeper than [`DEPTH_MAX`](crate::ledger::family::DEPTH_MAX) has a
//!   trace of its own too, and so has one whose call is not known, without a link.
//! - Times come from the rows. A call without a result ends with the turn or sub-agent that it belongs to; a call whose
//!   result was filled in by a later resume ends where it starts. Both last at least as long as the sub-agent below
//!   them.
//! - Spans carry ids, names, times, sizes and numbers; no text of the conversation and no paths.
//! - Spans are a function of the facts: the same facts give the same spans, byte for byte.

mod build;
mod count;
mod critical;
mod describe;
mod events;
mod facts;
mod family;
mod list;
mod order;
mod run;
mod text;

use std::collections::HashSet;

pub use count::span_count;
pub use critical::HELD_SPANS_MAX;
pub use events::EVENTS_MAX;
pub use facts::{Earlier, ForkedFrom, Own, Position, Slice, TurnFacts, invocation_id, position_of};
pub use family::{family_spans, started_in};
pub use order::TurnOrder;
pub use run::{RunFacts, run_span};
pub use text::is_printable;

use crate::ledger::unit::Unit;
use crate::views::traces::ids::SpanAt;
use crate::views::traces::span::{SpanBatch, SpanEvent};

/// The spans of a turn: first its own trace, then one batch per sub-agent that has a trace of its own.
///
/// In a batch the spans stand in order of their start, then of their natural key; the root is the last.
#[must_use]
pub fn turn_spans(facts: &TurnFacts<'_>) -> Vec<SpanBatch> {
    build::all_traces(facts, true)
}

/// [`turn_spans`] without the traces of background sub-agents, which go on after their calls have returned.
#[must_use]
pub fn own_spans(facts: &TurnFacts<'_>) -> Vec<SpanBatch> {
    build::all_traces(facts, false)
}

/// The spans of some parts of a unit and of the sub-agents below them, and the events among these parts that belong to
/// the unit itself. `named` holds hashes of the request ids that span ids of the trace were derived from already; those
/// of further ones are added.
#[must_use]
pub fn slice_spans<'a>(
    facts: &TurnFacts<'a>,
    slice: &Slice<'a>,
    named: &mut HashSet<u64>,
) -> (SpanBatch, Vec<SpanEvent>) {
    build::slice(facts, slice, named)
}

/// The own span of a unit, as a batch.
#[must_use]
pub fn own_span<'a>(facts: &TurnFacts<'a>, own: &Own<'a>) -> SpanBatch {
    build::own(facts, own)
}

/// The spans of a sub-agent that has a trace of its own. `facts` are those of the turn that it was started in,
/// `started_by` is the span of the call that started it.
#[must_use]
pub fn apart_spans<'a>(facts: &TurnFacts<'a>, agent: &'a Unit, started_by: SpanAt) -> SpanBatch {
    build::apart_trace(facts, agent, started_by)
}
