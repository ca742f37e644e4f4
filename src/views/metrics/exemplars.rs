//! Finds the span that shows an observation, so that a number on a graph can link to its trace.
//!
//! ```text
//! a model call's duration and cost   its `chat` span
//! a tool call's duration             its `execute_tool` span
//! a turn's duration and cost         the root of its trace
//! ```
//!
//! If the facts do not tell the span for sure, there is no exemplar: a link that leads nowhere is worse than no link.

use crate::ledger::family;
use crate::ledger::unit::{Message, Parts, Tool, Unit, UnitId, UnitKey};
use crate::measures::SpanPlace;
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{CHAT, EXECUTE_TOOL, SpanAt, root_of_turn, span_id};
use crate::views::traces::ids::{TraceId, trace_of};

/// One observation and the span that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    pub at: SpanAt,
    /// The observed value, in the stored unit of its metric.
    pub value: i128,
    /// When the observed call or turn ended.
    pub time: Timestamp,
}

/// The trace that a unit's spans are in: its own, or that of the turn above it. `find` finds the units above,
/// `find_call` a call of one of them.
///
/// `None` while the call that started a sub-agent is not known, or a unit above it is not in memory: its spans may end
/// up in another trace than the facts so far tell.
#[must_use]
pub fn trace_around<'a>(
    unit: &'a Unit,
    find: &dyn Fn(UnitId) -> Option<&'a Unit>,
    find_call: &dyn Fn(&'a Unit, &str) -> Option<&'a Tool>,
) -> Option<TraceId> {
    let root = family::root_around(unit, find, find_call)?;
    // A background sub-agent whose first row was not read yet may get another trace.
    let is_named = root.agent.as_ref().is_none_or(|agent| agent.first_row.is_some());
    is_named.then(|| trace_of(root))
}

/// The span that shows what was observed at `place`, and when that ended; `trace` is the trace of the unit's spans.
pub(super) fn of(place: &SpanPlace<'_>, trace: Option<TraceId>) -> Option<(SpanAt, Timestamp)> {
    match place {
        SpanPlace::Message(parts, message) => trace.map(|trace| (chat(trace, parts, message), message.end)),
        SpanPlace::Tool(tool) => {
            let ended = tool.told_result().map(|end| end.rank.time);
            trace
                .zip(ended)
                .map(|(trace, ended)| (SpanAt { trace, span: span_id(trace, EXECUTE_TOOL, &tool.id) }, ended))
        }
        SpanPlace::Turn(unit) => match unit.key {
            UnitKey::Turn(prompt) => Some((root_of_turn(prompt), unit.activity_end())),
            UnitKey::Loose(_) | UnitKey::Agent(..) => None,
        },
        SpanPlace::Superseded | SpanPlace::Nowhere => None,
    }
}

/// The span of a model call among `parts`.
fn chat(trace: TraceId, parts: &Parts, message: &Message) -> SpanAt {
    // Of several responses with the same request id only the first has a span id derived from it.
    let is_earlier =
        |other: &Message| other.request == message.request && (other.start, &other.id) < (message.start, &message.id);
    let request = message.request.as_deref().filter(|_| !parts.messages.iter().any(is_earlier));
    SpanAt { trace, span: span_id(trace, CHAT, request.unwrap_or(&message.id)) }
}
