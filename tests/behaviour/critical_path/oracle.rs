//! The same answers in another, slower way: every activity is an edge of a graph with its milliseconds one by one, the
//! longest way is searched anew for each question, and slack is the latest time at which something could end less the
//! time at which it does.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tailspan::views::analytics::work::{WaitKind, Work, WorkResponse, WorkWait};

use super::making::{Thread, World};

/// `kind name`, and milliseconds on the path, slack and saved if halved.
pub(super) type Answer = BTreeMap<String, (u64, u64, u64)>;

/// Milliseconds of an activity by `kind name`.
type Spent = BTreeMap<String, u64>;

#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    spent: Spent,
}

/// A call or sub-agent that others are waited for besides.
#[derive(Debug, Clone, Copy)]
struct Branch {
    start: usize,
    end: usize,
}

#[derive(Debug, Default)]
struct Graph {
    /// An edge ends at a node with a higher number than the one at which it begins.
    nodes: usize,
    edges: Vec<Edge>,
    /// Branches by the node at which all of them are done, in order of preference.
    joins: BTreeMap<usize, Vec<Branch>>,
    met: HashSet<u64>,
}

/// What a turn waited for, by kind and name.
pub(super) fn answer(world: &World) -> Answer {
    let mut graph = Graph::default();
    let start = graph.node();
    let end = graph.thread(world, &world.turn, start, 0);
    let mut answer = Answer::new();
    for edge in graph.path(start, end) {
        for (part, ms) in &graph.edges[edge].spent {
            answer.entry(part.clone()).or_default().0 += ms;
        }
    }
    graph.slack(end, &mut answer);
    let whole = graph.distances("")[end];
    for (part, (.., saved)) in &mut answer {
        *saved = (whole - graph.distances(part)[end]) / 2;
    }
    answer
}

impl Graph {
    fn node(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    fn edge(&mut self, from: usize, to: usize, spent: Spent) {
        assert!(from < to);
        self.edges.push(Edge { from, to, spent });
    }

    /// When each node is reached, in half milliseconds, if everything of `halved` takes half the time.
    fn distances(&self, halved: &str) -> Vec<u64> {
        let mut distances = vec![0; self.nodes];
        for node in 0..self.nodes {
            for edge in self.edges.iter().filter(|edge| edge.to == node) {
                let length: u64 = edge.spent.iter().map(|(part, ms)| if part == halved { *ms } else { 2 * ms }).sum();
                distances[node] = distances[node].max(distances[edge.from] + length);
            }
        }
        distances
    }

    /// The edges of the longest way from `start` to `end`; of several it is the one by the first edge.
    fn path(&self, start: usize, end: usize) -> Vec<usize> {
        let distances = self.distances("");
        let length = |edge: &Edge| 2 * edge.spent.values().sum::<u64>();
        let (mut path, mut node) = (Vec::new(), end);
        while node != start {
            let is_last = |edge: &Edge| edge.to == node && distances[edge.from] + length(edge) == distances[node];
            let edge = self.edges.iter().position(is_last).unwrap();
            path.push(edge);
            node = self.edges[edge].from;
        }
        path
    }

    /// Adds how much later each branch beside the way of its siblings could end without `end` being later.
    fn slack(&self, end: usize, answer: &mut Answer) {
        let distances = self.distances("");
        let mut latest = vec![u64::MAX; self.nodes];
        latest[end] = distances[end];
        for node in (0..self.nodes).rev() {
            for edge in self.edges.iter().filter(|edge| edge.from == node) {
                let to = latest[edge.to];
                assert!(to < u64::MAX, "everything leads to the end");
                latest[node] = latest[node].min(to - 2 * edge.spent.values().sum::<u64>());
            }
        }
        for (join, branches) in &self.joins {
            // The first edge by which a join is reached in time is that of the branch that is waited for.
            let waited_for =
                self.edges.iter().find(|edge| edge.to == *join && distances[edge.from] == distances[*join]);
            for branch in branches.iter().filter(|branch| waited_for.is_none_or(|edge| edge.from != branch.end)) {
                let float = (latest[branch.end] - distances[branch.end]) / 2;
                let parts = self.path(branch.start, branch.end).into_iter().flat_map(|edge| {
                    let spent = self.edges[edge].spent.iter();
                    spent.filter(|(_, ms)| **ms > 0).map(|(part, _)| part.clone())
                });
                for part in parts.collect::<BTreeSet<String>>() {
                    answer.entry(part).or_default().1 += float;
                }
            }
        }
    }

    /// Adds a thread that begins at `from`; returns the node at which it ends.
    fn thread(&mut self, world: &World, thread: &Thread, from: usize, depth: usize) -> usize {
        let steps = steps(world, thread, &mut self.met, depth);
        let (started, ended) = (thread.started, thread.ended.max(thread.started));
        let first = steps.first().map_or(ended, |step| step.start);
        let mut node = self.node();
        self.edge(from, node, gap(&thread.work, started, first));
        for position in 0..steps.len() {
            let until = steps.get(position + 1).map_or(ended, |next| next.start);
            node = self.step(world, thread, &steps, position, (node, until), depth);
        }
        node
    }

    fn step(
        &mut self,
        world: &World,
        thread: &Thread,
        steps: &[Step],
        position: usize,
        (from, until): (usize, i64),
        depth: usize,
    ) -> usize {
        let (step, work) = (&steps[position], &thread.work);
        let own_end = step.end.clamp(step.start, until);
        let lead = |time: i64| {
            let mut spent = Spent::new();
            for ms in step.start..time {
                let wait = wait_at(work, ms).filter(|wait| ms >= own_end || step_of(wait, steps) != Some(position));
                let own = if ms < own_end { &step.model } else { "idle idle" };
                *spent.entry(wait.map_or_else(|| own.to_owned(), name)).or_default() += 1;
            }
            spent
        };
        let (mut branches, mut done) = (Vec::new(), own_end);
        for made in &step.calls {
            let call = &work.calls[made.call];
            let is_open = position + 1 == steps.len() && call.took_ms.is_none();
            let end = if is_open { Some(thread.ended.max(thread.started)) } else { made.end };
            let Some(end) = end else { continue };
            let start = call.at.0.clamp(step.start, until);
            let end = end.clamp(start, until);
            let node = self.node();
            self.edge(from, node, lead(start));
            branches.push(Branch { start: node, end: self.call(world, thread, made, (node, start, end), depth) });
            done = done.max(end);
        }
        let own = self.node();
        self.edge(from, own, lead(own_end));
        let all = self.join(branches, Some(own));
        let next = self.node();
        self.edge(all, next, gap(work, done, until));
        next
    }

    fn call(
        &mut self,
        world: &World,
        thread: &Thread,
        made: &Made,
        (from, start, end): (usize, i64, i64),
        depth: usize,
    ) -> usize {
        let call = &thread.work.calls[made.call];
        let own = |since: i64, until: i64| {
            let mut spent = Spent::new();
            for ms in since..until {
                let hooks = thread.work.waits.iter().filter(|wait| is_of(wait, call.id));
                let part = latest(hooks, ms).map_or_else(|| format!("tool {}", call.tool), name);
                *spent.entry(part).or_default() += 1;
            }
            spent
        };
        let mut agents: Vec<Thread> = made.agents.iter().map(|agent| world.agents[&call.id][*agent].clone()).collect();
        for agent in &mut agents {
            (agent.started, agent.ended) = (agent.started.max(start), agent.ended.min(end));
        }
        agents.retain(|agent| agent.started < agent.ended);
        if agents.is_empty() {
            let node = self.node();
            self.edge(from, node, own(start, end));
            return node;
        }
        let first = |agent: &Thread| {
            let response = agent.work.responses.iter().map(|response| response.id).min();
            (agent.started, agent.ended, response, agent.work.calls.iter().map(|call| call.id).min())
        };
        agents.sort_by_key(first);
        let mut branches = Vec::new();
        for agent in &agents {
            let node = self.node();
            self.edge(from, node, own(start, agent.started));
            branches.push(Branch { start: node, end: self.thread(world, agent, node, depth + 1) });
        }
        let all = self.join(branches, None);
        let node = self.node();
        self.edge(all, node, own(agents.iter().map(|agent| agent.ended).max().unwrap(), end));
        node
    }

    fn join(&mut self, branches: Vec<Branch>, own: Option<usize>) -> usize {
        let all = self.node();
        for end in branches.iter().map(|branch| branch.end).chain(own) {
            self.edge(end, all, Spent::new());
        }
        self.joins.insert(all, branches);
        all
    }
}

struct Made {
    /// Position in the work of the thread.
    call: usize,
    end: Option<i64>,
    /// Positions among the sub-agents of the call.
    agents: Vec<usize>,
}

struct Step {
    start: i64,
    end: i64,
    model: String,
    calls: Vec<Made>,
    finish: i64,
    ids: Vec<u64>,
}

/// Which response made which calls. Each call looks through all responses.
fn steps(world: &World, thread: &Thread, met: &mut HashSet<u64>, depth: usize) -> Vec<Step> {
    let (started, ended) = (thread.started, thread.ended.max(thread.started));
    let clip = |time: i64| time.clamp(started, ended);
    let mut responses = thread.work.responses.clone();
    responses.sort_by_key(|response| (response.start, response.end, response.id));
    let step = |response: &WorkResponse| Step {
        start: clip(response.start.0),
        end: clip(response.end.0),
        model: format!("model {}", response.model),
        calls: Vec::new(),
        finish: clip(response.end.0),
        ids: Vec::new(),
    };
    let mut steps: Vec<Step> = responses.iter().map(step).collect();
    let starts: Vec<i64> = steps.iter().map(|step| step.start).collect();
    let mut order: Vec<usize> = (0..thread.work.calls.len()).collect();
    order.sort_by_key(|call| (thread.work.calls[*call].at, thread.work.calls[*call].id));
    let mut others = Vec::new();
    for position in order {
        let call = &thread.work.calls[position];
        let is_waiting = call.waits_for_agents && depth < 16 && met.insert(call.id);
        let all = world.agents.get(&call.id).filter(|_| is_waiting).map_or(&[][..], |agents| agents);
        let worked = |agent: &Thread| !agent.work.responses.is_empty() || !agent.work.calls.is_empty();
        let agents: Vec<usize> = (0..all.len()).filter(|agent| worked(&all[*agent])).collect();
        let last = agents.iter().map(|agent| all[*agent].ended).max();
        let end = call.took_ms.map_or(last, |took| Some(call.at.0 + i64::try_from(took).unwrap()));
        let made = Made { call: position, end, agents };
        let own = responses.iter().position(|response| response.id == call.response);
        let at = clip(call.at.0);
        let in_time = |own: &usize| starts.get(own + 1).is_none_or(|next| at < *next || end.map_or(at, clip) <= *next);
        match own.filter(in_time) {
            Some(own) => add(&mut steps[own], made, call.id, clip),
            None => others.push((at, made, call.id)),
        }
    }
    for (at, made, id) in others {
        let latest = steps.iter().rposition(|step| step.start <= at);
        match latest.filter(|latest| at < steps[*latest].finish) {
            Some(latest) => add(&mut steps[latest], made, id, clip),
            None => {
                let model = String::new();
                let mut step = Step { start: at, end: at, model, calls: Vec::new(), finish: at, ids: Vec::new() };
                add(&mut step, made, id, clip);
                steps.insert(latest.map_or(0, |latest| latest + 1), step);
            }
        }
    }
    for step in &mut steps {
        step.calls.sort_by_key(|made| (thread.work.calls[made.call].at, thread.work.calls[made.call].id));
    }
    steps
}

fn add(step: &mut Step, made: Made, id: u64, clip: impl Fn(i64) -> i64) {
    step.finish = step.finish.max(made.end.map_or(step.finish, clip));
    step.calls.push(made);
    step.ids.push(id);
}

fn gap(work: &Work, since: i64, until: i64) -> Spent {
    let mut spent = Spent::new();
    for ms in since..until {
        *spent.entry(wait_at(work, ms).map_or_else(|| "idle idle".to_owned(), name)).or_default() += 1;
    }
    spent
}

fn wait_at(work: &Work, ms: i64) -> Option<&WorkWait> {
    latest(work.waits.iter().filter(|wait| !matches!(wait.kind, WaitKind::Permission(..))), ms)
}

/// The wait that a millisecond belongs to: of several the one that ended last, then the one that began first.
fn latest<'w>(waits: impl Iterator<Item = &'w WorkWait>, ms: i64) -> Option<&'w WorkWait> {
    let mut waits: Vec<&WorkWait> = waits.filter(|wait| wait.start.0 <= ms && ms < wait.end.0).collect();
    waits.sort_by(|a, b| (b.end, a.start, &a.kind).cmp(&(a.end, b.start, &b.kind)));
    waits.first().copied()
}

fn step_of(wait: &WorkWait, steps: &[Step]) -> Option<usize> {
    steps.iter().position(|step| step.ids.iter().any(|call| is_of(wait, *call)))
}

fn is_of(wait: &WorkWait, call: u64) -> bool {
    matches!(wait.kind, WaitKind::Hook(_, Some(of)) | WaitKind::Permission(_, of) if of == call)
}

fn name(wait: &WorkWait) -> String {
    match &wait.kind {
        WaitKind::Retry(reason) => format!("retry {reason}"),
        WaitKind::Compaction(trigger) => format!("compaction {trigger}"),
        WaitKind::Hook(name, _) => format!("hook {name}"),
        WaitKind::Permission(tool, _) => format!("permission {tool}"),
    }
}
