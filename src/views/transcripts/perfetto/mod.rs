//! A session as a trace of Perfetto, for <https://ui.perfetto.dev> and `trace_processor`: `TrackEvent`s in protobuf.
//!
//! ```text
//! Session
//!   Cost, Context              counters: dollars so far, tokens of the prompt of the main thread
//!   Main                       turns, with instants for prompts, failures, compactions and the like
//!     Messages                 from the request to the last row
//!     Tool calls               from the call to its result; calls that overlap stand on tracks of their own
//!     Explore a1b2             a sub-agent, from its start to its end, with tracks as the main thread has
//! ```
//!
//! An arrow leads from the call of a sub-agent to the sub-agent; if the call starts several, or has ended, from an instant
//! for each. Texts and everything that the replay tells of an event are debug annotations of it; those of a result stand
//! below `result` with its call. Times are nanoseconds since 1970-01-01 UTC. What has not ended when the session does ends with its last event, and has `open` set.
//!
//! In memory are the tracks and the slices that are open.

mod messages;
mod tracks;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use self::messages::{Annotation, Clock, ClockSnapshot, Kind, Packet, TrackEvent};
use self::tracks::{FOLD_BASE, Lanes, NewTrack, Tracks, fold};
use super::entry::{Entry, Form, Head, Texts};
use super::escape::{one_line, seen};
use super::shown::{Line, bytes, title};
use crate::transcript::time::Timestamp;
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::kinds::EventKind;

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;
/// Tools that start one sub-agent.
const AGENT_TOOLS: [&str; 2] = ["Agent", "Task"];
/// Members of an event that are not annotated: they are what its slice shows.
const SHOWN: [&str; 2] = ["at", "gap_seconds"];

/// Writes a trace.
#[derive(Debug, Default)]
pub(super) struct Perfetto {
    tracks: Tracks,
    session: u64,
    counters: Option<Counters>,
    threads: BTreeMap<Option<Arc<str>>, Thread>,
    /// Calls without a result yet, by their ids.
    calls: HashMap<Box<str>, OpenCall>,
    /// The turn that has no end yet.
    open_turn: Option<u64>,
    /// The latest time of an event.
    last: u64,
}

#[derive(Debug)]
struct Counters {
    cost: u64,
    context: u64,
    /// What was told last.
    told: (Option<i128>, Option<u64>),
}

/// The main thread, or a sub-agent.
#[derive(Debug)]
struct Thread {
    track: u64,
    /// Turns of the main thread, or runs of the sub-agent.
    turns: Lanes,
    messages: Lanes,
    calls: Lanes,
    /// Tracks on which a run of the sub-agent is open.
    runs: Vec<u64>,
}

#[derive(Debug)]
struct OpenCall {
    thread: Option<Arc<str>>,
    track: u64,
    begin: u64,
    /// The arrow that begins at the call leads nowhere yet.
    has_arrow: bool,
}

/// A slice, or an instant, to be written.
struct Shown {
    category: &'static str,
    name: String,
    annotations: Vec<Annotation>,
}

impl Form for Perfetto {
    /// A packet that says nothing but who wrote it, `trusted_packet_sequence_id: 1`.
    fn pause(&self) -> &'static [u8] {
        b"\x0a\x02\x50\x01"
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        self.tracks = Tracks::of(&head.session.id);
        let begin = head.session.started_at.as_deref().and_then(Timestamp::parse).map_or(0, ns);
        let clocks = [1, 6].map(|clock_id| Clock { clock_id, timestamp: begin }).to_vec();
        let snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(6) };
        Packet { clock_snapshot: Some(snapshot), timestamp: Some(begin), ..Packet::default() }.write(out);
        self.last = begin;
        let name = format!("Session {}", line(title(head)));
        self.session = self.tracks.add(NewTrack { name: &name, parent: None, rank: 0, unit: None }, out);
        let mut counter = |name, unit, rank| {
            let new = NewTrack { name, parent: Some(self.session), rank, unit: Some(unit) };
            self.tracks.add(new, out)
        };
        let (cost, context) = (counter("Cost", "USD", 0), counter("Context", "tokens", 1));
        self.counters = Some(Counters { cost, context, told: (None, None) });
        self.thread(&None, None, None, out);
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let event = entry.event;
        let at = ns(event.at);
        self.last = self.last.max(at);
        self.thread(&event.agent, event.parent_agent.as_ref(), entry.agent_type, out);
        if let Some(turn) = entry.turn {
            let end = turn.duration_seconds.map(|seconds| ns(turn.started_at) + whole_ns(seconds));
            let title = if turn.title.is_empty() { String::new() } else { format!(": {}", line(&turn.title)) };
            let annotations = serde_json::to_value(turn).map(|value| members(&value)).unwrap_or_default();
            let shown = Shown { category: "turn", name: format!("Turn {}{title}", turn.index), annotations };
            self.turn(ns(turn.started_at), end, shown, out);
        }
        match &event.detail {
            Detail::Message { model, .. } => self.message(entry, model, out),
            Detail::ToolCall { tool_call_id, tool, .. } => self.call(entry, tool_call_id, tool, out),
            Detail::ToolResult { tool_call_id, filled_in, .. } => {
                self.result(entry, tool_call_id, *filled_in, out);
            }
            Detail::SubagentStart { tool_call_id, .. } => self.run(entry, tool_call_id.as_deref(), out),
            Detail::SubagentEnd { .. } => self.run_ended(entry, out),
            _ => self.instant(entry, out),
        }
        self.count(entry, at, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let calls = std::mem::take(&mut self.calls).into_values().map(|call| (call.track, call.begin));
        let runs = self.threads.values_mut().flat_map(|thread| thread.runs.drain(..).rev()).map(|run| (run, 0));
        let mut open: Vec<(u64, u64)> = calls.chain(runs).chain(self.open_turn.take().map(|turn| (turn, 0))).collect();
        open.sort_unstable();
        for (track, begin) in open {
            end_slice(track, self.last.max(begin), vec![annotation("open", &Value::Bool(true))], out);
        }
    }
}

impl Perfetto {
    /// The tracks of the main thread or a sub-agent, which are made when it is first seen.
    fn thread(&mut self, id: &Option<Arc<str>>, parent: Option<&Arc<str>>, of_type: Option<&str>, out: &mut Vec<u8>) {
        if self.threads.contains_key(id) {
            return;
        }
        let (name, parent) = match id {
            None => ("Main".to_owned(), self.session),
            Some(id) => {
                let parent = parent.filter(|parent| *parent != id).cloned();
                self.thread(&parent, None, None, out);
                let name = format!("{} {id}", of_type.unwrap_or("Sub-agent"));
                (line(&name), self.threads.get(&parent).map_or(self.session, |parent| parent.track))
            }
        };
        let rank = i32::try_from(self.threads.len()).unwrap_or(i32::MAX).saturating_add(4);
        let track = self.tracks.add(NewTrack { name: &name, parent: Some(parent), rank, unit: None }, out);
        let thread = Thread {
            track,
            turns: Lanes::on("Turns", track),
            messages: Lanes::new("Messages", track, 1),
            calls: Lanes::new("Tool calls", track, 2),
            runs: Vec::new(),
        };
        self.threads.insert(id.clone(), thread);
    }

    fn turn(&mut self, begin: u64, end: Option<u64>, shown: Shown, out: &mut Vec<u8>) {
        let Some(thread) = self.threads.get_mut(&None) else { return };
        let track = thread.turns.take(begin, &mut self.tracks, out);
        begin_slice(track, begin, shown, Flow::None, out);
        match end {
            Some(end) => {
                end_slice(track, end, Vec::new(), out);
                thread.turns.free(track, end);
            }
            None => self.open_turn = Some(track),
        }
    }

    fn message(&mut self, entry: &Entry<'_>, model: &str, out: &mut Vec<u8>) {
        let Some(thread) = self.threads.get_mut(&entry.event.agent) else { return };
        let end = ns(entry.event.at);
        let begin = end.saturating_sub(entry.event.duration_seconds.map_or(0, whole_ns));
        let track = thread.messages.take(begin, &mut self.tracks, out);
        let shown = Shown { category: "message", name: line(model), annotations: annotations(entry) };
        begin_slice(track, begin, shown, Flow::None, out);
        end_slice(track, end, Vec::new(), out);
        thread.messages.free(track, end);
    }

    fn call(&mut self, entry: &Entry<'_>, id: &str, tool: &str, out: &mut Vec<u8>) {
        let Some(thread) = self.threads.get_mut(&entry.event.agent) else { return };
        let begin = ns(entry.event.at);
        let track = thread.calls.take(begin, &mut self.tracks, out);
        let shown = Shown { category: "tool", name: line(tool), annotations: annotations(entry) };
        let has_arrow = AGENT_TOOLS.contains(&tool);
        let flow = if has_arrow { Flow::From(fold(FOLD_BASE, id)) } else { Flow::None };
        begin_slice(track, begin, shown, flow, out);
        self.calls.insert(id.into(), OpenCall { thread: entry.event.agent.clone(), track, begin, has_arrow });
    }

    fn result(&mut self, entry: &Entry<'_>, id: &str, filled_in: bool, out: &mut Vec<u8>) {
        let Some(call) = self.calls.remove(id) else { return self.instant(entry, out) };
        // When a call ended that was filled in later, nobody knows.
        let end = if filled_in { call.begin } else { ns(entry.event.at).max(call.begin) };
        let result =
            Annotation { name: Some("result".to_owned()), dict_entries: annotations(entry), ..Annotation::default() };
        end_slice(call.track, end, vec![result], out);
        if let Some(thread) = self.threads.get_mut(&call.thread) {
            thread.calls.free(call.track, end);
        }
    }

    fn run(&mut self, entry: &Entry<'_>, call: Option<&str>, out: &mut Vec<u8>) {
        let Some(thread) = self.threads.get_mut(&entry.event.agent) else { return };
        let begin = ns(entry.event.at);
        let track = thread.turns.take(begin, &mut self.tracks, out);
        let name = line(entry.agent_type.unwrap_or("Sub-agent"));
        thread.runs.push(track);
        let flow = call.map_or(Flow::None, |call| Flow::To(self.arrow(call, &name, entry, out)));
        let shown = Shown { category: "agent", name, annotations: annotations(entry) };
        begin_slice(track, begin, shown, flow, out);
    }

    /// The arrow from a call to the sub-agent that it started. If it does not begin at the call, an instant is made for it:
    /// within the call, or on the thread that made it if the call has ended.
    fn arrow(&mut self, id: &str, name: &str, entry: &Entry<'_>, out: &mut Vec<u8>) -> u64 {
        let arrow = fold(FOLD_BASE, id);
        let (track, begin) = match self.calls.get_mut(id) {
            Some(call) if call.has_arrow => {
                call.has_arrow = false;
                return arrow;
            }
            Some(call) => (call.track, call.begin),
            None => (self.threads.get(&entry.event.parent_agent).map_or(self.session, |thread| thread.track), 0),
        };
        let arrow = fold(arrow, entry.event.agent.as_deref().unwrap_or_default());
        let instant = TrackEvent {
            kind: Kind::Instant.into(),
            track_uuid: track,
            categories: vec!["start".to_owned()],
            name: Some(format!("starts {name}")),
            flow_ids: vec![arrow],
            ..TrackEvent::default()
        };
        write(ns(entry.event.at).max(begin), instant, out);
        arrow
    }

    fn run_ended(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let end = ns(entry.event.at);
        let Some(thread) = self.threads.get_mut(&entry.event.agent) else { return };
        let Some(track) = thread.runs.pop() else { return self.instant(entry, out) };
        let ended =
            Annotation { name: Some("end".to_owned()), dict_entries: annotations(entry), ..Annotation::default() };
        end_slice(track, end, vec![ended], out);
        thread.turns.free(track, end);
    }

    fn instant(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let Some(thread) = self.threads.get(&entry.event.agent) else { return };
        let Line { what, name, failed, .. } = Line::of(entry);
        let name = name.filter(|name| !name.is_empty()).map(|name| format!(" {}", line(&name))).unwrap_or_default();
        let shown = TrackEvent {
            kind: Kind::Instant.into(),
            track_uuid: thread.track,
            categories: vec![if failed { "error" } else { kind_name(entry.event) }.to_owned()],
            name: Some(format!("{what}{name}")),
            debug_annotations: annotations(entry),
            ..TrackEvent::default()
        };
        write(ns(entry.event.at), shown, out);
    }

    /// Writes the counters that have changed.
    fn count(&mut self, entry: &Entry<'_>, at: u64, out: &mut Vec<u8>) {
        let Some(counters) = &mut self.counters else { return };
        let cost = entry.event.cost_usd_so_far;
        let counter = |track_uuid| TrackEvent { kind: Kind::Counter.into(), track_uuid, ..TrackEvent::default() };
        if counters.told.0 != Some(cost.picousd()) {
            counters.told.0 = Some(cost.picousd());
            let event = TrackEvent { double_counter_value: Some(cost.to_f64()), ..counter(counters.cost) };
            write(at, event, out);
        }
        if let Some(context) = entry.context_tokens.filter(|context| counters.told.1 != Some(*context)) {
            counters.told.1 = Some(context);
            let value = i64::try_from(context).unwrap_or(i64::MAX);
            write(at, TrackEvent { counter_value: Some(value), ..counter(counters.context) }, out);
        }
    }
}

/// An arrow that begins or ends at a slice.
enum Flow {
    None,
    From(u64),
    To(u64),
}

fn begin_slice(track_uuid: u64, at: u64, shown: Shown, flow: Flow, out: &mut Vec<u8>) {
    let (flow_ids, terminating_flow_ids) = match flow {
        Flow::None => (Vec::new(), Vec::new()),
        Flow::From(id) => (vec![id], Vec::new()),
        Flow::To(id) => (Vec::new(), vec![id]),
    };
    let event = TrackEvent {
        kind: Kind::Begin.into(),
        track_uuid,
        categories: vec![shown.category.to_owned()],
        name: Some(shown.name),
        debug_annotations: shown.annotations,
        flow_ids,
        terminating_flow_ids,
        ..TrackEvent::default()
    };
    write(at, event, out);
}

fn end_slice(track_uuid: u64, at: u64, debug_annotations: Vec<Annotation>, out: &mut Vec<u8>) {
    write(at, TrackEvent { kind: Kind::End.into(), track_uuid, debug_annotations, ..TrackEvent::default() }, out);
}

fn write(at: u64, event: TrackEvent, out: &mut Vec<u8>) {
    Packet { timestamp: Some(at), track_event: Some(event), ..Packet::default() }.write(out);
}

fn kind_name(event: &Event) -> &'static str {
    let kind = event.detail.kind();
    EventKind::NAMES.iter().find(|(_, named)| *named == kind).map_or("event", |(name, _)| name)
}

/// What the replay tells of an event, and its texts.
fn annotations(entry: &Entry<'_>) -> Vec<Annotation> {
    let mut annotations = fields(entry.event);
    match entry.texts {
        Texts::Told(pieces) => {
            let mut times: HashMap<&str, usize> = HashMap::new();
            for piece in pieces {
                let again = times.entry(&piece.kind).or_default();
                *again += 1;
                let name = if *again == 1 { piece.kind.clone() } else { format!("{} {again}", piece.kind) };
                let text = piece.text.clone().unwrap_or_else(|| format!("{}, not text", bytes(piece.bytes as u64)));
                annotations.push(annotation(&name, &Value::String(text)));
            }
        }
        Texts::LeftOut => annotations.push(annotation("text", &Value::String("left out".to_owned()))),
        Texts::Missing(reason) => annotations.push(annotation("text", &Value::String(format!("missing: {reason}")))),
    }
    annotations
}

fn fields(event: &Event) -> Vec<Annotation> {
    serde_json::to_value(event).map(|value| members(&value)).unwrap_or_default()
}

fn members(value: &Value) -> Vec<Annotation> {
    let members = value.as_object().into_iter().flatten();
    let told = members.filter(|(name, value)| !SHOWN.contains(&name.as_str()) && !value.is_null());
    told.map(|(name, value)| annotation(name, value)).collect()
}

fn annotation(name: &str, value: &Value) -> Annotation {
    let mut annotation = Annotation { name: Some(name.to_owned()), ..Annotation::default() };
    match value {
        Value::Null => {}
        Value::Bool(bool) => annotation.bool_value = Some(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(int) => annotation.int_value = Some(int),
            None => annotation.double_value = number.as_f64(),
        },
        Value::String(text) => annotation.string_value = Some(text.clone()),
        Value::Array(values) => {
            annotation.array_values = values.iter().map(|value| self::annotation("", value)).collect()
        }
        Value::Object(_) => annotation.dict_entries = members(value),
    }
    annotation
}

/// A name in one line, in which nothing is unseen.
fn line(text: &str) -> String {
    one_line(&seen(text))
}

/// Nanoseconds since 1970-01-01 UTC; 0 before.
fn ns(at: Timestamp) -> u64 {
    at.since_ms(Timestamp(0)).saturating_mul(MS)
}

/// Seconds that were milliseconds, as nanoseconds.
fn whole_ns(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is not negative")]
    let ms = (seconds.max(0.0) * 1000.0).round() as u64;
    ms.saturating_mul(MS)
}
