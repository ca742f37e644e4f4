//! Turns for the tests of critical paths: made by hand, and made by chance.

use std::collections::BTreeMap;

use tailspan::ledger::tokens::Tokens;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::critical_path::{PathUnit, TurnPath, critical_path};
use tailspan::views::analytics::work::{WaitKind, Work, WorkCall, WorkResponse, WorkWait};

use crate::support::units::Dice;

/// A turn with the sub-agents below it.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) turn: Thread,
    /// By the call that waits for them.
    pub(super) agents: BTreeMap<u64, Vec<Thread>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Thread {
    pub(super) started: i64,
    pub(super) ended: i64,
    pub(super) work: Work,
}

impl World {
    /// The same, where a host was asked instead of every second hook of a call.
    pub(super) fn asked(mut self) -> Self {
        for thread in std::iter::once(&mut self.turn).chain(self.agents.values_mut().flatten()) {
            for wait in &mut thread.work.waits {
                match wait.kind {
                    WaitKind::Hook(ref name, Some(call)) if **name == *"guard" => {
                        wait.kind = WaitKind::Permission("Write".into(), call);
                    }
                    _ => {}
                }
            }
        }
        self
    }

    pub(super) fn path(&self) -> TurnPath<'_> {
        critical_path(self.turn.unit(), &|call| {
            self.agents.get(&call).into_iter().flatten().map(Thread::unit).collect()
        })
    }
}

impl Thread {
    pub(super) fn new(started: i64, ended: i64) -> Self {
        Self { started, ended, work: Work::default() }
    }

    pub(super) fn unit(&self) -> PathUnit<'_> {
        PathUnit { started: Timestamp(self.started), ended: Timestamp(self.ended), work: &self.work }
    }

    /// A response of the model `opus`.
    pub(super) fn response(self, id: u64, start: i64, end: i64) -> Self {
        self.response_of("opus", id, start, end)
    }

    pub(super) fn response_of(mut self, model: &str, id: u64, start: i64, end: i64) -> Self {
        self.work.responses.push(WorkResponse {
            id,
            model: model.into(),
            start: Timestamp(start),
            end: Timestamp(end),
            tokens: Tokens::default(),
            picousd: None,
            first_chunk_ms: None,
        });
        self
    }

    pub(super) fn call(
        mut self,
        tool: &str,
        (id, response): (u64, u64),
        at: i64,
        took: impl Into<Option<u64>>,
    ) -> Self {
        self.work.calls.push(WorkCall {
            id,
            response,
            tool: tool.into(),
            at: Timestamp(at),
            took_ms: took.into(),
            outcome: None,
            bytes: 0,
            input: 0,
            file: 0,
            extension: None,
            lines_added: 0,
            lines_removed: 0,
            by_person: false,
            waits_for_agents: false,
        });
        self
    }

    /// A call of the tool `Task` that waits for sub-agents.
    pub(super) fn task(self, ids: (u64, u64), at: i64, took: impl Into<Option<u64>>) -> Self {
        let mut thread = self.call("Task", ids, at, took);
        thread.work.calls.last_mut().unwrap().waits_for_agents = true;
        thread
    }

    pub(super) fn hook(self, name: &str, call: Option<u64>, start: i64, end: i64) -> Self {
        self.wait(WaitKind::Hook(name.into(), call), start, end)
    }

    /// The last response came in pieces, the first of them so many milliseconds after its request.
    pub(super) fn first_chunk_after(mut self, ms: u32) -> Self {
        self.work.responses.last_mut().unwrap().first_chunk_ms = Some(ms);
        self
    }

    pub(super) fn asked(self, tool: &str, call: u64, start: i64, end: i64) -> Self {
        self.wait(WaitKind::Permission(tool.into(), call), start, end)
    }

    pub(super) fn wait(mut self, kind: WaitKind, start: i64, end: i64) -> Self {
        self.work.waits.push(WorkWait { kind, start: Timestamp(start), end: Timestamp(end) });
        self
    }
}

/// A turn that a client could have had; if `wild`, with clocks that run wrong and results that nobody knows.
pub(super) fn by_chance(dice: &mut Dice, wild: bool) -> World {
    let mut making = Making { dice, wild, ids: 0, agents: BTreeMap::new() };
    let steps = making.dice.below(7);
    let turn = making.thread(1000, steps, 0);
    World { turn, agents: making.agents }
}

struct Making<'d> {
    dice: &'d mut Dice,
    wild: bool,
    ids: u64,
    agents: BTreeMap<u64, Vec<Thread>>,
}

const TOOLS: [&str; 4] = ["Bash", "Read", "Edit", "Grep"];
const MODELS: [&str; 3] = ["opus", "opus", "haiku"];

impl Making<'_> {
    fn id(&mut self) -> u64 {
        self.ids += 1;
        // In no order, as hashes are.
        self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn span(&mut self, most: usize) -> i64 {
        i64::try_from(self.dice.below(most)).unwrap()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.dice.below(many) == 0
    }

    /// A time, or another one if clocks run wrong.
    fn told(&mut self, time: i64) -> i64 {
        if self.wild && self.one_in(4) { time + self.span(81) - 40 } else { time }
    }

    fn thread(&mut self, started: i64, steps: usize, depth: usize) -> Thread {
        let mut thread = Thread::new(self.told(started), 0);
        let mut now = started + self.span(10);
        for _ in 0..steps {
            thread = self.waits(thread, now, None);
            now = self.step(&mut thread, now, depth);
            thread = self.waits(thread, now, None);
            now += self.span(12);
        }
        now += self.span(6);
        thread.ended = self.told(now);
        thread
    }

    /// A request with its calls; returns when all results were there.
    fn step(&mut self, thread: &mut Thread, now: i64, depth: usize) -> i64 {
        let (response, end) = (self.id(), now + self.span(60));
        let model = MODELS[self.dice.below(3)];
        *thread = std::mem::take(thread).response_of(model, response, self.told(now), self.told(end));
        if self.one_in(5) {
            let (start, pause) = (now + self.span(10), self.span(20));
            let reason = ["overloaded", "rate_limit"][self.dice.below(2)];
            let start = self.told(start);
            *thread = std::mem::take(thread).wait(WaitKind::Retry(reason.into()), start, start + pause);
        }
        let mut all_done = end;
        for _ in 0..self.dice.below(4) {
            let (call, at) = (self.id(), now + self.span(usize::try_from(end - now).unwrap() + 1));
            let response = if self.wild && self.one_in(6) { 7 } else { response };
            let done = if depth < 3 && self.one_in(4) {
                self.task(thread, (call, response), at, depth)
            } else {
                let took = self.span(90);
                let known = !(self.wild && self.one_in(8));
                let tool = TOOLS[self.dice.below(4)];
                let told = self.told(at);
                let told_took = u64::try_from(self.told(took).max(0)).ok().filter(|_| known);
                *thread = std::mem::take(thread).call(tool, (call, response), told, told_took);
                at + took
            };
            *thread = self.waits(std::mem::take(thread), at, Some(call));
            all_done = all_done.max(done);
        }
        all_done
    }

    /// A call with sub-agents; returns when its result was there.
    fn task(&mut self, thread: &mut Thread, (call, response): (u64, u64), at: i64, depth: usize) -> i64 {
        let mut agents = Vec::new();
        for _ in 0..self.dice.below(4) {
            let (start, steps) = (at + self.span(8), self.dice.below(3));
            agents.push(self.thread(start, steps, depth + 1));
        }
        let done = agents.iter().map(|agent| agent.ended).fold(at, i64::max) + self.span(8);
        self.agents.insert(call, agents);
        let known = !(self.wild && self.one_in(8));
        let took = u64::try_from(self.told(done - at).max(0)).ok().filter(|_| known);
        let told = self.told(at);
        *thread = std::mem::take(thread).task((call, response), told, took);
        done
    }

    /// Hooks and compactions around a moment, now and then.
    fn waits(&mut self, mut thread: Thread, now: i64, call: Option<u64>) -> Thread {
        for _ in 0..self.dice.below(10).saturating_sub(7) {
            let (start, length) = (now + self.span(15) - 5, self.span(20));
            let start = self.told(start);
            let name = ["lint", "guard"][self.dice.below(2)];
            let kind = match call {
                None if self.one_in(3) => WaitKind::Compaction("auto".into()),
                _ => WaitKind::Hook(name.into(), call.filter(|_| !self.one_in(9))),
            };
            thread = thread.wait(kind, start, start + length);
        }
        thread
    }
}
