//! Makes the graph of a turn from what was done in it and in the sub-agents below it.

use std::collections::{HashMap, HashSet};

use crate::ledger::family::DEPTH_MAX;
use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::graph::{Chain, Fork, Piece};
use crate::views::analytics::critical_path::steps::{Made, Step, ThreadTime, steps};
use crate::views::analytics::critical_path::stretch::{IDLE, PartNames, PathKind, PathPlace, PathUnit};
use crate::views::analytics::critical_path::waits::{Layer, Span, Waited};
use crate::views::analytics::work::{WaitKind, Work, WorkResponse, WorkWait};

/// What is needed to make the chain of a turn.
pub(super) struct Threads<'a, 'f> {
    pub(super) names: PartNames<'a>,
    pub(super) agents: &'f dyn Fn(u64) -> Vec<PathUnit<'a>>,
    /// The calls whose sub-agents are in the graph: a circle in damaged files ends, and nothing is in it twice.
    pub(super) met: HashSet<u64>,
    /// As [`TurnPath::busy_ms`](super::TurnPath::busy_ms).
    pub(super) busy_ms: u64,
    /// From when to when the first piece of a response was waited for, by response, where a stream tells.
    pub(super) first_chunks: HashMap<u64, (Timestamp, Timestamp)>,
}

/// What was waited for in a thread.
struct Waits {
    /// Everything but what one call alone waited for.
    all: Layer,
    /// Hooks of calls and waits for permissions, by call.
    of_calls: Vec<(u64, Waited)>,
    /// Pauses after failed attempts, from when to when, by their ends.
    retries: Vec<(Timestamp, Timestamp)>,
}

/// What is known around the calls of one step.
struct Around<'w> {
    waits: &'w Waits,
    thread: ThreadTime,
    is_last: bool,
    depth: usize,
}

impl<'a> Threads<'a, '_> {
    /// The chain of a turn, or of a sub-agent that is this many levels below it.
    pub(super) fn thread(&mut self, unit: PathUnit<'a>, depth: usize) -> Chain {
        let thread = ThreadTime { start: unit.started, end: unit.ended.max(unit.started) };
        let mut responses: Vec<&'a WorkResponse> = unit.work.responses.iter().collect();
        responses.sort_by_key(|response| (response.start, response.end, response.id));
        for response in &responses {
            self.busy_ms += thread.clip(response.end).since_ms(thread.clip(response.start));
        }
        let steps = steps(&responses, self.calls(unit.work, depth), thread);
        let waits = self.waits(unit.work, &steps);
        let mut opening = Vec::new();
        let first = steps.first().map_or(thread.end, |step| step.start);
        waits.all.tell(&self.idle(thread.start, first), None, &mut opening);
        let mut forks = Vec::with_capacity(steps.len() + 1);
        let start = thread.start;
        forks.push(Fork { start, own_end: start, lead: Vec::new(), branches: Vec::new(), tail: opening });
        let count = steps.len();
        for (position, step) in steps.into_iter().enumerate() {
            let around = Around { waits: &waits, thread, is_last: position + 1 == count, depth };
            forks.push(self.step(position, step, &around));
        }
        Chain { start, end: thread.end, forks }
    }

    /// The calls of a thread in order of time, with the sub-agents that they wait for.
    fn calls(&mut self, work: &'a Work, depth: usize) -> Vec<Made<'a>> {
        let mut calls: Vec<_> = work.calls.iter().collect();
        calls.sort_by_key(|call| (call.at, call.id));
        let made = calls.into_iter().map(|call| {
            let descends = call.waits_for_agents && depth < DEPTH_MAX && self.met.insert(call.id);
            let mut agents = if descends { (self.agents)(call.id) } else { Vec::new() };
            // One of which nothing is known but its times says less than the name of the tool.
            agents.retain(|agent| !agent.work.responses.is_empty() || !agent.work.calls.is_empty());
            let told = call.took_ms.map(|took| after(call.at, took));
            let end = told.or_else(|| agents.iter().map(|agent| agent.ended).max());
            Made { call, end, agents }
        });
        made.collect()
    }

    fn waits(&mut self, work: &'a Work, steps: &[Step<'_>]) -> Waits {
        let mut waits: Vec<&'a WorkWait> = work.waits.iter().collect();
        waits.sort_by(|a, b| (a.start, a.end, &a.kind).cmp(&(b.start, b.end, &b.kind)));
        let has_calls = waits.iter().any(|wait| matches!(wait.kind, WaitKind::Hook(_, Some(_))));
        let mut steps_of: Vec<(u64, usize)> = Vec::new();
        if has_calls {
            let calls = |(position, step): (usize, &Step<'_>)| -> Vec<(u64, usize)> {
                step.calls.iter().map(|made| (made.call.id, position)).collect()
            };
            steps_of = steps.iter().enumerate().flat_map(calls).collect();
            steps_of.sort_unstable();
        }
        let step_of = |call: u64| {
            let found = steps_of.binary_search_by_key(&call, |(id, _)| *id).ok()?;
            steps_of.get(found).map(|(_, step)| *step)
        };
        let (mut all, mut of_calls, mut retries) = (Vec::with_capacity(waits.len()), Vec::new(), Vec::new());
        for wait in waits {
            let (kind, name, call) = match &wait.kind {
                WaitKind::Retry(reason) => (PathKind::Retry, &**reason, None),
                WaitKind::Compaction(trigger) => (PathKind::Compaction, &**trigger, None),
                WaitKind::Hook(name, call) => (PathKind::Hook, &**name, *call),
                WaitKind::Permission(tool, call) => (PathKind::Permission, &**tool, Some(*call)),
            };
            let part = self.names.number(kind, name);
            let waited = Waited { start: wait.start, end: wait.end, part, step: call.and_then(step_of) };
            // While one call waits to be allowed, the model writes on, and other calls run.
            all.extend((kind != PathKind::Permission).then_some(waited));
            of_calls.extend(call.map(|call| (call, waited)));
            retries.extend((kind == PathKind::Retry).then_some((wait.start, wait.end)));
        }
        of_calls.sort_by_key(|(call, _)| *call);
        retries.sort_by_key(|(start, end)| (*end, *start));
        Waits { all: Layer::of(all), of_calls, retries }
    }

    fn idle(&mut self, start: Timestamp, end: Timestamp) -> Span {
        Span { start, end, part: self.names.number(PathKind::Idle, IDLE), place: PathPlace::Nothing }
    }

    fn step(&mut self, position: usize, step: Step<'a>, around: &Around<'_>) -> Fork {
        let Step { start, until, response, calls, .. } = step;
        let own_end = response.map_or(start, |response| response.end.clamp(start, until));
        let mut branches = Vec::with_capacity(calls.len());
        for made in calls {
            branches.extend(self.branch(made, ThreadTime { start, end: until }, around));
        }
        let mut lead = Vec::new();
        let layer = &around.waits.all;
        if let Some(response) = response {
            let part = self.names.number(PathKind::Model, &response.model);
            let place = PathPlace::Response(response.id);
            // Hooks of its own calls run while it writes on, and hold up the calls only.
            layer.tell(&Span { start, end: own_end, part, place }, Some(position), &mut lead);
            if let Some(ms) = response.first_chunk_ms {
                let asked = around.waits.last_attempt(start, own_end);
                self.first_chunks.insert(response.id, (asked, after(asked, ms.into()).min(own_end)));
            }
        }
        let last_start = branches.iter().map(|branch| branch.start).fold(own_end, Timestamp::max);
        layer.tell(&self.idle(own_end, last_start), None, &mut lead);
        let mut fork = Fork { start, own_end, lead, branches, tail: Vec::new() };
        layer.tell(&self.idle(fork.finish(), until), None, &mut fork.tail);
        fork
    }

    /// A call of a step; `None` if it is not known when it ended, but something followed, so that it ended before.
    fn branch(&mut self, made: Made<'a>, step: ThreadTime, around: &Around<'_>) -> Option<Chain> {
        let thread = around.thread;
        let is_open = around.is_last && made.call.took_ms.is_none();
        let told_end = made.end.filter(|_| !is_open).or(is_open.then_some(thread.end))?;
        let start = step.clip(made.call.at);
        let end = step.clip(told_end).max(start);
        let mut agents: Vec<PathUnit<'a>> = made.agents;
        for agent in &mut agents {
            (agent.started, agent.ended) = (agent.started.max(start), agent.ended.min(end));
        }
        agents.retain(|agent| agent.started < agent.ended);
        agents.sort_by_cached_key(order);
        if agents.is_empty() {
            self.busy_ms += thread.clip(told_end).since_ms(thread.clip(made.call.at));
        }
        let threads: Vec<Chain> = agents.into_iter().map(|agent| self.thread(agent, around.depth + 1)).collect();
        let part = self.names.number(PathKind::Tool, &made.call.tool);
        let place = PathPlace::Call(made.call.id);
        let hooks = around.waits.of_call(made.call.id);
        let tell = |start: Timestamp, end: Timestamp| -> Vec<Piece> {
            let mut pieces = Vec::new();
            hooks.tell(&Span { start, end, part, place }, None, &mut pieces);
            pieces
        };
        let begun = threads.iter().map(|thread| thread.start).max();
        let done = threads.iter().map(|thread| thread.end).max().unwrap_or(end);
        let own_end = if begun.is_some() { start } else { end };
        let (lead, tail) = (tell(start, begun.unwrap_or(end)), tell(done, end));
        Some(Chain { start, end, forks: vec![Fork { start, own_end, lead, branches: threads, tail }] })
    }
}

impl Waits {
    fn of_call(&self, call: u64) -> Layer {
        let first = self.of_calls.partition_point(|(other, _)| *other < call);
        let own = self.of_calls.iter().skip(first).take_while(|(other, _)| *other == call);
        Layer::of(own.map(|(_, wait)| *wait).collect())
    }

    /// When the last attempt of a request began that was first sent at `start` and answered by `end`.
    fn last_attempt(&self, start: Timestamp, end: Timestamp) -> Timestamp {
        let before = self.retries.partition_point(|(_, until)| *until <= end);
        let last = before.checked_sub(1).and_then(|last| self.retries.get(last));
        last.filter(|(since, _)| start <= *since).map_or(start, |(_, until)| *until)
    }
}

/// By what sub-agents of one call are in order, whatever order they are found in.
fn order(agent: &PathUnit<'_>) -> (Timestamp, Timestamp, Option<u64>, Option<u64>) {
    let response = agent.work.responses.iter().map(|response| response.id).min();
    (agent.started, agent.ended, response, agent.work.calls.iter().map(|call| call.id).min())
}

fn after(time: Timestamp, milliseconds: u64) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}
