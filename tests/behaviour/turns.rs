//! When spans leave: at the end of a turn, early, late, at a limited rate, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tailspan::engine::turns::Policy;
use tailspan::transcript::ids::SessionId;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::ids::{SpanId, TraceId};
use tailspan::views::traces::span::Span;
use tailspan::waiting::{Told, ToldKind};

use crate::support::world::{Dice, EVERYTHING, World, append, files_below};

fn recording(scenario: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(scenario).join("projects");
    let files = files_below(&projects).into_iter();
    files.map(|file| (file.strip_prefix(&projects).unwrap().to_path_buf(), fs::read(&file).unwrap())).collect()
}

/// Offsets behind each line.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

/// All spans of a recording that was read at once, long after it ended.
fn undisturbed(scenario: &str) -> Vec<Span> {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    recording(scenario).iter().for_each(|(path, bytes)| append(&world.root.join(path), bytes));
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    world.take_spans()
}

fn by_id(spans: Vec<Span>) -> BTreeMap<(TraceId, SpanId), Span> {
    let count = spans.len();
    let by_id: BTreeMap<_, _> = spans.into_iter().map(|span| ((span.trace, span.id), span)).collect();
    assert_eq!(by_id.len(), count, "a span left twice");
    by_id
}

#[test]
fn a_turn_leaves_whole_after_a_moment_of_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for (path, bytes) in recording("2.1.330/b_tools") {
        append(&world.root.join(path), &bytes);
    }
    world.now = at("2026-11-22T06:02:54.100Z");
    world.read(&mut Dice::new(1), usize::MAX);
    let engine = world.engine.as_mut().unwrap();
    engine.commit(world.now).unwrap();
    engine.tick(world.now).unwrap();
    engine.flush().unwrap();
    assert_eq!(world.take_spans(), [], "its last rows may still come");
    world.now = at("2026-11-22T06:02:55.200Z");
    let engine = world.engine.as_mut().unwrap();
    engine.tick(world.now).unwrap();
    engine.flush().unwrap();
    let spans = world.take_spans();
    assert_eq!(spans.len(), 16, "1 turn, 8 responses, 7 calls");
    assert!(spans.last().unwrap().parent.is_none(), "the root is last");
}

#[test]
fn a_turn_ends_a_moment_after_its_process_let_go_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for (path, bytes) in recording("2.1.330/b_tools") {
        let ends = line_ends(&bytes);
        append(&world.root.join(path), &bytes[..ends[ends.len() / 2]]);
    }
    world.now = at("2026-11-22T06:02:54.100Z");
    world.read(&mut Dice::new(1), usize::MAX);
    let session = SessionId("5fb3d16f-f9e3-4142-a37d-c727bd6ab70f".into());
    let mut look = |time: &str, told: Option<&str>| {
        world.now = at(time);
        let engine = world.engine.as_mut().unwrap();
        let told = told.map(|time| Told { at: at(time), kind: ToldKind::SessionEnded, agent: None, tool: None });
        let news: Vec<_> = told.map(|told| (session.clone(), told)).into_iter().collect();
        engine.commit(world.now).unwrap();
        engine.note_told(&news, world.now).unwrap();
        engine.tick(world.now).unwrap();
        engine.flush().unwrap();
        world.take_spans().iter().filter(|span| span.parent.is_none()).count()
    };
    assert_eq!(look("2026-11-22T06:02:54.900Z", Some("2026-11-22T06:02:54.800Z")), 0);
    assert_eq!(look("2026-11-22T06:02:55.200Z", None), 0, "its last rows may still come");
    assert_eq!(look("2026-11-22T06:02:55.900Z", None), 1);
}

#[test]
fn a_turn_that_stays_open_sends_its_finished_children_early_and_its_root_last() {
    for scenario in ["2.1.330/b_tools", "2.1.330/e6_subagent_sync", "2.1.330/c_parallel"] {
        let expected = by_id(undisturbed(scenario));
        let files = recording(scenario);
        let mut sent_early = 0;
        // Cut at every tenth line of the whole.
        for step in 1..10 {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::new(folder.path());
            for (path, bytes) in &files {
                let ends = line_ends(bytes);
                let cut = if ends.is_empty() { bytes.len() } else { ends[(ends.len() - 1) * step / 10] };
                append(&world.root.join(path), &bytes[..cut]);
            }
            world.now = at("2026-11-22T06:40:00.000Z");
            world.spans.idle_ms = 86_400_000;
            world.restart();
            world.read(&mut Dice::new(1), usize::MAX);
            world.settle();
            let early = world.take_spans();
            sent_early += early.iter().filter(|span| span.parent.is_some()).count();
            for (path, bytes) in &files {
                let ends = line_ends(bytes);
                let cut = if ends.is_empty() { bytes.len() } else { ends[(ends.len() - 1) * step / 10] };
                append(&world.root.join(path), &bytes[cut..]);
            }
            world.read(&mut Dice::new(2), usize::MAX);
            world.settle();
            let late = world.take_spans();
            if let Some(last) = late.last() {
                assert!(last.parent.is_none(), "the root is last");
            }
            let all = by_id(early.into_iter().chain(late).collect());
            let ids: BTreeSet<_> = all.keys().collect();
            assert_eq!(ids, expected.keys().collect(), "{scenario} cut at {step}/10");
            for (id, span) in &all {
                assert_eq!(
                    (span.start, span.end, &span.name),
                    (expected[id].start, expected[id].end, &expected[id].name)
                );
            }
        }
        assert!(sent_early > 0, "{scenario} sent nothing early");
    }
}

#[test]
fn a_turn_without_an_end_leaves_when_it_has_been_idle() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let (path, bytes) = recording("2.1.330/b_tools").remove(0);
    let ends = line_ends(&bytes);
    append(&world.root.join(path), &bytes[..ends[ends.len() / 2]]);
    world.now = at("2026-11-22T06:30:00.000Z");
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert!(world.take_spans().iter().all(|span| span.parent.is_some()), "27 minutes are not idle yet");
    world.now = at("2026-11-22T06:33:00.000Z");
    world.settle();
    let spans = world.take_spans();
    let root = spans.last().unwrap();
    assert!(root.parent.is_none());
    assert!(format!("{:?}", root.attributes).contains("idle"));
    assert!(root.end < at("2026-11-22T06:03:00.000Z"), "it ends with its last row, not with the waiting");
}

#[test]
fn history_leaves_at_a_limited_rate_and_completely() {
    let expected: usize = by_id(undisturbed("2.1.330/z1_big_transcript")).len();
    let folder = tempfile::tempdir().unwrap();
    let epoch = at("2027-01-01T00:00:00.000Z");
    let policy = Policy { epoch, history_rate: 10, ..EVERYTHING };
    let mut world = World::with(folder.path(), policy);
    recording("2.1.330/z1_big_transcript").iter().for_each(|(path, bytes)| append(&world.root.join(path), bytes));
    world.now = epoch;
    world.read(&mut Dice::new(1), usize::MAX);
    let engine = world.engine.as_mut().unwrap();
    engine.commit(world.now).unwrap();
    let (mut total, mut seconds) = (0, 0);
    while total < expected {
        world.now = Timestamp(world.now.0 + 1_000);
        seconds += 1;
        let engine = world.engine.as_mut().unwrap();
        for _ in 0..5 {
            engine.tick(world.now).unwrap();
        }
        engine.flush().unwrap();
        let left = world.take_spans().len();
        assert!(left <= 10 + 20, "{left} spans in one second: the rate, and the turn that exceeds it");
        total += left;
        assert!(seconds < 1_000, "{total} of {expected} after {seconds} seconds");
    }
    assert_eq!(total, expected);
    assert!(seconds >= expected / 30, "{expected} spans in {seconds} seconds");
}

#[test]
fn a_sub_agent_whose_call_is_not_read_yet_waits_for_it_after_a_restart_too() {
    const SCENARIO: &str = "2.1.330/e6_subagent_sync";
    let expected = by_id(undisturbed(SCENARIO));
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let (agents, rest): (Vec<_>, Vec<_>) = recording(SCENARIO)
        .into_iter()
        .partition(|(path, _)| path.components().any(|part| part.as_os_str() == "subagents"));
    let rows = agents.iter().filter(|(path, _)| path.extension().is_some_and(|ending| ending == "jsonl"));
    rows.for_each(|(path, bytes)| append(&world.root.join(path), bytes));
    world.now = at("2026-11-22T06:25:40Z");
    world.read(&mut Dice::new(1), usize::MAX);
    world.restart();
    world.now = at("2026-11-22T06:25:50Z");
    let engine = world.engine.as_mut().unwrap();
    engine.tick(world.now).unwrap();
    engine.flush().unwrap();
    assert_eq!(world.take_spans(), [], "nobody knows yet which trace it belongs to");
    agents.iter().chain(&rest).for_each(|(path, bytes)| {
        if !world.root.join(path).exists() {
            append(&world.root.join(path), bytes);
        }
    });
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(by_id(world.take_spans()), expected);
}
