//! What turns wait for: the same to the millisecond as the turn lasts, as worked out by hand, as another, slower way finds.

use std::collections::BTreeMap;

use tailspan::ledger::unit::{Identity, Unit};
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::critical_path::{PathPart, TurnPath};
use tailspan::views::analytics::work::Work;

use crate::support::units::{Dice, recordings};

mod api;
mod examples;
mod last_child;
mod making;
mod oracle;

use making::{Thread, World, by_chance};

/// Why a path is no partition of the time from `started` to `ended`; `None` if it is one.
fn hole(path: &TurnPath<'_>, started: i64, ended: i64) -> Option<String> {
    let mut told = started;
    for stretch in &path.stretches {
        if stretch.start != Timestamp(told) || stretch.end <= stretch.start {
            return Some(format!("{stretch:?} after {told}"));
        }
        told = stretch.end.0;
    }
    let sum: u64 = path.parts.iter().map(|part| part.path_ms).sum();
    let whole = u64::try_from((ended - started).max(0)).unwrap();
    (told != ended.max(started) || sum != whole).then(|| format!("{told} instead of {ended}, sum {sum} of {whole}"))
}

/// What is told of a path, in the form of the oracle.
fn told(path: &TurnPath<'_>) -> oracle::Answer {
    let part = |part: &PathPart<'_>| {
        let name = format!("{} {}", part.kind.name(), part.name);
        (name, (part.path_ms, part.slack_ms, part.saved_if_halved_ms))
    };
    path.parts.iter().map(part).collect()
}

fn assert_right(world: &World, what: &str) {
    let path = world.path();
    assert_eq!(hole(&path, world.turn.started, world.turn.ended), None, "{what}: {world:#?}");
    let mut expected = oracle::answer(world);
    expected.retain(|_, (path, slack, _)| *path > 0 || *slack > 0);
    assert_eq!(told(&path), expected, "{what}: {world:#?}");
}

#[test]
fn every_moment_of_a_turn_is_in_one_part_as_a_slow_search_says() {
    for seed in 1..=10_000 {
        let world = by_chance(&mut Dice(seed), seed % 2 == 0);
        assert_right(&world, &format!("seed {seed}"));
        assert_right(&world.asked(), &format!("seed {seed}, asked"));
    }
}

#[test]
fn the_order_of_parts_and_their_sections_change_nothing() {
    for seed in 1..=1_000 {
        let world = by_chance(&mut Dice(seed), seed % 2 == 0);
        let mut dice = Dice(seed + 1);
        let mut other = world.clone();
        let threads = std::iter::once(&mut other.turn).chain(other.agents.values_mut().flatten());
        threads.for_each(|thread| shuffle(thread, &mut dice));
        other.agents.values_mut().for_each(|agents| agents.reverse());
        assert_eq!(other.path(), world.path(), "seed {seed}");
        let sections = sections(&world.turn.work, &mut dice);
        other.turn.work = Work::default();
        other.turn.work.append_all(sections.iter());
        assert_eq!(other.path(), world.path(), "seed {seed}");
    }
}

fn shuffle(thread: &mut Thread, dice: &mut Dice) {
    fn all<T>(items: &mut [T], dice: &mut Dice) {
        (1..items.len()).for_each(|at| items.swap(at, dice.below(at + 1)));
    }
    all(&mut thread.work.responses, dice);
    all(&mut thread.work.calls, dice);
    all(&mut thread.work.waits, dice);
}

fn sections(work: &Work, dice: &mut Dice) -> [Work; 3] {
    let mut sections = [Work::default(), Work::default(), Work::default()];
    work.responses.iter().for_each(|one| sections[dice.below(3)].responses.push(one.clone()));
    work.calls.iter().for_each(|one| sections[dice.below(3)].calls.push(one.clone()));
    work.waits.iter().for_each(|one| sections[dice.below(3)].waits.push(one.clone()));
    sections
}

/// Every turn of every recording, with the sub-agents below it, by the recording and the turn.
fn recorded() -> Vec<(String, World)> {
    let mut worlds = Vec::new();
    for (path, pass) in recordings() {
        for session in pass.sessions() {
            let units: Vec<Unit> = pass.units_of(session).into_iter().map(std::borrow::Cow::into_owned).collect();
            let turns = units.iter().filter(|unit| unit.is_turn());
            worlds.extend(turns.map(|turn| (format!("{} {:?}", path.display(), turn.key), world_of(turn, &units))));
        }
    }
    worlds
}

fn world_of(turn: &Unit, units: &[Unit]) -> World {
    let thread = |unit: &Unit, ended: Timestamp| Thread {
        started: unit.started().0,
        ended: ended.0,
        work: Work::of(&unit.parts),
    };
    let end = |unit: &Unit| unit.end().map_or(unit.activity_end(), |end| end.at);
    let mut agents: BTreeMap<u64, Vec<Thread>> = BTreeMap::new();
    for unit in units {
        let call = unit.agent.as_ref().filter(|agent| !agent.background).and_then(|agent| agent.call.as_deref());
        if let Some(call) = call {
            agents.entry(Identity::Call(call).hash()).or_default().push(thread(unit, end(unit)));
        }
    }
    World { turn: thread(turn, end(turn)), agents }
}

#[test]
fn every_turn_of_every_recording_is_as_a_slow_search_says() {
    let recorded = recorded();
    assert!(recorded.len() > 60, "only {} turns", recorded.len());
    recorded.iter().for_each(|(what, world)| assert_right(world, what));
}
