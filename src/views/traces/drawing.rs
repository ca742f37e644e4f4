//! Writes the spans of a session as text for people: an outline with durations, tokens and outcomes.
//!
//! ```text
//! session 1f3c  2 turns  in 12400  out 3180  $0.1123
//! turn 1  31.2s  trace 5b1d6c1e...
//!   chat claude-opus-5-5          5.9s  in 12000 out 210
//!   execute_tool Bash             8.4s  failed
//!   execute_tool Agent           20.1s
//!     invoke_agent Explore       19.8s
//!       execute_tool Grep         0.1s
//! ```
//!
//! It is made from the same spans that are exported, so it shows what a trace backend gets.

use std::collections::{BTreeMap, HashMap};

use crate::ledger::ended;
use crate::ledger::family::roots;
use crate::ledger::session::Session;
use crate::ledger::unit::Unit;
use crate::transcript::ids::AgentId;
use crate::views::traces::attributes as name;
use crate::views::traces::ids::{SpanAt, SpanId};
use crate::views::traces::span::{Attribute, Span, SpanBatch, Value};
use crate::views::traces::tree::{TurnFacts, TurnOrder, position_of, turn_spans};

/// Characters of a session's id that are shown.
const ID_CHARS: usize = 4;

/// A session as text, which ends with a newline. `units` are all units of the session, in any order.
#[must_use]
pub fn session_tree(session: &Session, units: &[&Unit]) -> String {
    let agents: HashMap<&str, &Unit> =
        units.iter().filter_map(|unit| Some((unit.agent.as_ref()?.id.plain(), *unit))).collect();
    let find = |id: &AgentId| agents.get(id.plain()).copied();
    let (roots, order) = (roots(units), TurnOrder::among(units.iter().copied()));
    let batches = roots.iter().flat_map(|unit| {
        let position = position_of(session, unit, order.earlier(unit));
        turn_spans(&TurnFacts { turn: unit, agents: &find, position, end: ended::so_far(unit) })
    });
    let blocks: Vec<_> = blocks(&batches.collect::<Vec<_>>());
    let tokens = session.tally.tokens();
    let mut text = format!(
        "session {}  {}  in {}  out {}  ${}\n",
        session.id.0.chars().take(ID_CHARS).collect::<String>(),
        counted(session.tally.turns, "turn"),
        tokens.prompt(),
        tokens.output,
        session.tally.cost(),
    );
    let lines = || blocks.iter().flat_map(|block| &block.lines);
    let name_width = lines().map(|line| line.name.chars().count()).max().unwrap_or(0);
    let time_width = lines().map(|line| line.duration.len()).max().unwrap_or(0).max("100.0s".len());
    for block in &blocks {
        text.push_str(&block.title);
        text.push('\n');
        for Line { name, duration, notes } in &block.lines {
            let line = format!("{name:name_width$}  {duration:>time_width$}  {notes}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// One trace.
struct Block {
    title: String,
    lines: Vec<Line>,
}

/// One span below a title.
struct Line {
    name: String,
    duration: String,
    notes: String,
}

fn blocks(batches: &[SpanBatch]) -> Vec<Block> {
    let spans = batches.iter().flat_map(|batch| &batch.spans);
    let names: HashMap<_, _> =
        spans.map(|span| (SpanAt { trace: span.trace, span: span.id }, span.name.as_str())).collect();
    let block = |batch: &SpanBatch| {
        let root = batch.spans.iter().find(|span| span.parent.is_none())?;
        let mut children: BTreeMap<SpanId, Vec<&Span>> = BTreeMap::new();
        for span in &batch.spans {
            if let Some(parent) = span.parent {
                children.entry(parent).or_default().push(span);
            }
        }
        let mut lines = Vec::new();
        let title = if text_of(root, name::TURN_END).is_some() {
            outline(root, &children, 1, &mut lines);
            let compactions = batch.spans.iter().filter(|span| span.name == name::COMPACT).count();
            turn_title(root, compactions + 1 == batch.spans.len())
        } else {
            lines.push(line(root, 1));
            outline(root, &children, 2, &mut lines);
            let caller = root.links.first().and_then(|link| names.get(&SpanAt { trace: link.trace, span: link.span }));
            let caller = caller.map_or_else(
                || "sub-agent, its call is not known".to_owned(),
                |name| format!("background, started by {name}"),
            );
            format!("trace {} ({caller})", root.trace)
        };
        Some(Block { title, lines })
    };
    batches.iter().filter_map(block).collect()
}

/// Adds a line for each span below `parent`. Spans are in order of time in a batch, so siblings are too.
fn outline(parent: &Span, children: &BTreeMap<SpanId, Vec<&Span>>, depth: usize, lines: &mut Vec<Line>) {
    for child in children.get(&parent.id).into_iter().flatten() {
        lines.push(line(child, depth));
        outline(child, children, depth + 1, lines);
    }
}

/// A title such as `turn 2  31.2s  trace 5b1d...  interrupted`; the end is left out if it is `stop`.
fn turn_title(root: &Span, is_compaction: bool) -> String {
    let what = match int_of(root, name::TURN_INDEX) {
        Some(index) => format!("turn {index}"),
        None if is_compaction => "between turns".to_owned(),
        None => "before the first prompt".to_owned(),
    };
    let mut title = format!("{what}  {}  trace {}", duration(root), root.trace);
    let end = text_of(root, name::TURN_END).filter(|end| *end != "stop");
    for note in end.map(str::to_owned).into_iter().chain(event_notes(root)) {
        title.push_str("  ");
        title.push_str(&note);
    }
    title
}

fn line(span: &Span, depth: usize) -> Line {
    let tokens = match text_of(span, name::OPERATION) {
        Some("chat") => int_of(span, name::INPUT_TOKENS).zip(int_of(span, name::OUTPUT_TOKENS)),
        _ => None,
    };
    let tokens = tokens.map(|(input, output)| format!("in {input} out {output}"));
    let outcome = text_of(span, name::TOOL_OUTCOME).filter(|outcome| *outcome != "ok").map(str::to_owned);
    let started = text_of(span, name::SUBAGENT_TRACE).map(|trace| format!("started trace {trace}"));
    let notes: Vec<_> = tokens.into_iter().chain(outcome).chain(started).chain(event_notes(span)).collect();
    let indent = "  ".repeat(depth);
    Line { name: format!("{indent}{}", span.name), duration: duration(span), notes: notes.join("  ") }
}

/// Notes on the events of a span, such as `2 failed attempts` or `1 hook`.
fn event_notes(span: &Span) -> impl Iterator<Item = String> {
    let count = |event: &str| span.events.iter().filter(|known| known.name == event).count() as u64;
    let (errors, hooks, fallbacks) = (count(name::API_ERROR), count(name::HOOK), count(name::FALLBACK));
    let notes = [(errors, "failed attempt"), (hooks, "hook"), (fallbacks, "model fallback")];
    notes.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what))
}

/// A count with its noun, such as `1 turn` or `2 turns`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The length of a span in seconds with one decimal, rounded half up.
fn duration(span: &Span) -> String {
    let tenths = span.end.since_ms(span.start).saturating_add(50) / 100;
    format!("{}.{}s", tenths / 10, tenths % 10)
}

fn value_of<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

fn text_of<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match value_of(&span.attributes, key) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn int_of(span: &Span, key: &str) -> Option<i64> {
    match value_of(&span.attributes, key) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}
