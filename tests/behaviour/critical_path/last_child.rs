//! The walk that tracers do, which only know spans: from the end of a span back to the child that ended last, then to the
//! one that ended last before that one began, and so on; in each child the same. What is between is the span's own.
//! Source: `critical-path` of Jaeger's UI, after Uber's CRISP.

use std::collections::{BTreeMap, BTreeSet};

use tailspan::views::analytics::critical_path::{PathKind, PathPlace, TurnPath};

use super::making::{Thread, World, by_chance};
use super::recorded;
use crate::support::units::Dice;

/// Milliseconds by `kind name`.
type Spent = BTreeMap<String, u64>;

struct Span {
    name: String,
    start: i64,
    end: i64,
    children: Vec<Span>,
}

fn of_thread(world: &World, thread: &Thread, depth: usize) -> Span {
    let (start, end) = (thread.started, thread.ended.max(thread.started));
    let leaf = |name: String, start: i64, end: i64| Span { name, start, end, children: Vec::new() };
    let chats = thread.work.responses.iter().map(|one| leaf(format!("model {}", one.model), one.start.0, one.end.0));
    let mut children: Vec<Span> = chats.collect();
    for call in &thread.work.calls {
        let took = call.took_ms.map(|took| call.at.0 + i64::try_from(took).unwrap());
        let mut span = leaf(format!("tool {}", call.tool), call.at.0, took.unwrap_or(end));
        if depth < 16 && call.waits_for_agents {
            let agents = world.agents.get(&call.id).into_iter().flatten();
            span.children = agents.map(|agent| of_thread(world, agent, depth + 1)).collect();
        }
        children.push(span);
    }
    Span { name: "idle idle".to_owned(), start, end, children }
}

/// Adds what a span comes to until `until`.
fn walk(span: &Span, start: i64, until: i64, spent: &mut Spent) {
    let mut children: Vec<&Span> = span.children.iter().collect();
    children.sort_by_key(|child| child.end);
    let mut now = until;
    while let Some(child) = children.pop() {
        // A child that is not over when the next one begins did not lead to it.
        let is_late = child.end > now;
        let from = child.start.max(start);
        if is_late && now < until || child.end.min(now) <= from {
            continue;
        }
        let end = child.end.min(now);
        add(spent, &span.name, now - end);
        walk(child, from, end, spent);
        now = from;
    }
    add(spent, &span.name, now - start);
}

fn add(spent: &mut Spent, name: &str, ms: i64) {
    *spent.entry(name.to_owned()).or_default() += u64::try_from(ms.max(0)).unwrap();
}

/// The path by the causes, told as far as spans could: a hook within a call is the call.
fn as_spans(world: &World, path: &TurnPath<'_>) -> Spent {
    let threads = || std::iter::once(&world.turn).chain(world.agents.values().flatten());
    let mut spent = Spent::new();
    for stretch in &path.stretches {
        let name = match (stretch.kind, stretch.at) {
            (PathKind::Model | PathKind::Tool, _) => format!("{} {}", stretch.kind.name(), stretch.name),
            (_, PathPlace::Response(id)) => {
                let model = threads().flat_map(|thread| &thread.work.responses).find(|one| one.id == id);
                format!("model {}", model.unwrap().model)
            }
            (_, PathPlace::Call(id)) => {
                let tool = threads().flat_map(|thread| &thread.work.calls).find(|call| call.id == id);
                format!("tool {}", tool.unwrap().tool)
            }
            _ => "idle idle".to_owned(),
        };
        *spent.entry(name).or_default() += stretch.ms();
    }
    spent
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    turns: usize,
    differ: usize,
    ms: u64,
    moved_ms: u64,
    /// Milliseconds that the walk gives more or less than the causes, by kind.
    by_kind: BTreeMap<String, i64>,
}

/// What the walk says of some turns, against the causes.
fn differences(worlds: impl Iterator<Item = (String, World)>) -> Differences {
    let mut found = Differences::default();
    for (what, world) in worlds {
        let (path, mut walked) = (world.path(), Spent::new());
        let root = of_thread(&world, &world.turn, 0);
        walk(&root, root.start, root.end, &mut walked);
        let mut ours = as_spans(&world, &path);
        ours.retain(|_, ms| *ms > 0);
        walked.retain(|_, ms| *ms > 0);
        let ms: u64 = ours.values().sum();
        assert_eq!(ms, walked.values().sum::<u64>(), "{what}");
        found.turns += 1;
        found.ms += ms;
        found.differ += usize::from(ours != walked);
        let names: BTreeSet<&String> = ours.keys().chain(walked.keys()).collect();
        for name in names {
            let (ours, walked) = (ours.get(name).copied().unwrap_or(0), walked.get(name).copied().unwrap_or(0));
            found.moved_ms += ours.saturating_sub(walked);
            let more = i64::try_from(walked).unwrap() - i64::try_from(ours).unwrap();
            *found.by_kind.entry(name.split(' ').next().unwrap().to_owned()).or_default() += more;
        }
    }
    found.by_kind.retain(|_, more| *more != 0);
    found
}

fn by_kind(kinds: &[(&str, i64)]) -> BTreeMap<String, i64> {
    kinds.iter().map(|(kind, ms)| ((*kind).to_owned(), *ms)).collect()
}

/// `docs/bottlenecks.md` names these numbers and says why.
#[test]
fn the_last_child_is_not_always_what_was_waited_for() {
    let found = differences(recorded().into_iter());
    let more = by_kind(&[("idle", 1_002), ("model", -1_002)]);
    assert_eq!(found, Differences { turns: 132, differ: 4, ms: 310_562, moved_ms: 1_002, by_kind: more });
    let made = (1..=2_000).map(|seed| (format!("seed {seed}"), by_chance(&mut Dice(seed), false)));
    let found = differences(made);
    let more = by_kind(&[("idle", 97_721), ("model", -103_070), ("tool", 5_349)]);
    assert_eq!(found, Differences { turns: 2_000, differ: 1_547, ms: 572_567, moved_ms: 104_585, by_kind: more });
}
