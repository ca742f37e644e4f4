//! Whatever happens to the files, the process and the connection, a client that comes back with the last id that it has got
//! is told everything once.
//!
//! `TAILSPAN_TEST_SEEDS=10000 cargo test --release --test laws events::` runs more worlds than the usual ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tailspan::store::{EventLimits, StoreReader};
use tailspan::views::sessions::events::events;
use tokio::runtime::Builder;

use crate::simulation::{Playing, room};
use crate::support::follower::{Follower, Stream, key_of};
use crate::support::plan::Plan;
use crate::support::world::{Dice, World, append};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 300;

/// When something that must end is taken for endless.
const DEADLINE: Duration = Duration::from_secs(60);

/// The kinds that are told as soon as there is a first row.
const AT_ONCE: [&str; 6] = ["prompt", "message", "tool_call", "tool_result", "api_error", "subagent_start"];

/// What the replay tells of all sessions, of the kinds that events have.
fn replayed(reader: &StoreReader) -> BTreeMap<(String, String), usize> {
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    let mut told = BTreeMap::new();
    for session in sessions {
        for event in events(&reader.units_of(&session).unwrap()) {
            let event: Value = serde_json::to_value(&event).unwrap();
            if AT_ONCE.contains(&event["kind"].as_str().unwrap()) {
                *told.entry(key_of(&event)).or_default() += 1;
            }
        }
    }
    told
}

fn run(plan: &Plan, seed: u64) {
    let keep = room();
    let mut playing = Playing::of(plan, keep.path());
    playing.world.events = EventLimits { keep_ms: u64::MAX, bytes_max: u64::MAX };
    playing.world.restart();
    let (mut dice, mut follower) = (Dice::new(seed), Follower::default());
    let stream = |playing: &Playing| Stream::of(playing.world.reader.clone().unwrap());
    // A first client has to be there before anything happens.
    follower.come(&stream(&playing), &mut dice, true);
    for action in &plan.actions {
        playing.act(*action);
        if dice.one_in(2) {
            follower.come(&stream(&playing), &mut dice, false);
        }
    }
    playing.end();
    follower.come(&stream(&playing), &mut dice, true);
    let of = |kinds: &[&str]| -> BTreeMap<_, _> {
        let told = follower.told.iter().filter(|((kind, _), _)| kinds.contains(&kind.as_str()));
        told.map(|(key, count)| (key.clone(), *count)).collect()
    };
    let (told, expected) = (of(&AT_ONCE), replayed(playing.world.reader.as_ref().unwrap()));
    let wrong: Vec<_> = expected.keys().chain(told.keys()).filter(|key| told.get(*key) != expected.get(*key)).collect();
    let counts = |key| (told.get(key), expected.get(key));
    assert!(
        wrong.is_empty(),
        "told, and expected: {:?}",
        wrong.iter().map(|key| (key, counts(key))).collect::<Vec<_>>()
    );
    let twice: Vec<_> = of(&["session", "turn"]).into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(follower.resyncs, 0);
}

/// A client that is away for longer than events are kept is told so, and then what there is, and nothing twice.
fn run_forgetful(plan: &Plan, seed: u64) -> usize {
    let keep = room();
    let mut playing = Playing::of(plan, keep.path());
    // Nothing but the last row is kept.
    playing.world.events = EventLimits { keep_ms: 0, bytes_max: 0 };
    playing.world.restart();
    let (mut dice, mut follower) = (Dice::new(seed), Follower::default());
    let stream = |playing: &Playing| Stream::of(playing.world.reader.clone().unwrap());
    follower.come(&stream(&playing), &mut dice, true);
    for action in &plan.actions {
        playing.act(*action);
        if dice.one_in(4) {
            follower.come(&stream(&playing), &mut dice, true);
        }
    }
    playing.end();
    follower.come(&stream(&playing), &mut dice, true);
    let expected = replayed(playing.world.reader.as_ref().unwrap());
    let wrong: Vec<_> = follower
        .told
        .iter()
        .filter(|((kind, _), _)| AT_ONCE.contains(&kind.as_str()))
        .filter(|(key, count)| expected.get(*key).is_none_or(|most| *count > most))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let told: usize = AT_ONCE.iter().map(|kind| follower.told.keys().filter(|(own, _)| own == kind).count()).sum();
    assert!(follower.resyncs > 0 || told == expected.len(), "{told} of {}, and nobody said so", expected.len());
    follower.resyncs
}

/// Every world of some seeds, several at a time. `run` is given the seed.
fn each_seed(run: impl Fn(u64) + Sync + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let seeds: u64 = number("TAILSPAN_TEST_SEEDS").unwrap_or(SEEDS);
    let first: u64 = number("TAILSPAN_TEST_FIRST_SEED").unwrap_or(1);
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failed.load(Ordering::Relaxed) {
                return;
            }
            let Err(panic) = catch_unwind(|| run(seed)) else { continue };
            if !failed.swap(true, Ordering::Relaxed) {
                println!("failed: seed {seed}");
            }
            resume_unwind(panic);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}

#[test]
fn a_client_that_comes_back_is_told_everything_once() {
    each_seed(|seed| run(&Plan::of(seed), seed));
}

#[test]
fn a_client_that_is_away_for_too_long_is_told_so() {
    let resyncs = AtomicU64::new(0);
    each_seed(|seed| {
        resyncs.fetch_add(run_forgetful(&Plan::of(seed), seed) as u64, Ordering::Relaxed);
    });
    assert!(resyncs.into_inner() > 0);
}

/// Does something at the first write, when the client is there and has got nothing.
struct AtFirst<F>(Option<F>);

impl<F: FnOnce()> Write for AtFirst<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(first) = self.0.take() {
            first();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends turns to a session, and has them told.
fn tell(world: &mut World, turns: Range<usize>) {
    let (session, at) = ("00000001-0000-4000-8000-000000000000", "2025-06-01T12:00:00.000Z");
    for turn in turns {
        let head = format!("\"sessionId\":\"{session}\",\"timestamp\":\"{at}\",\"cwd\":\"/home/dev/shop\",\"uuid\"");
        let rows = format!(
            "{{\"type\":\"user\",{head}:\"{turn:08x}-0000-4000-9000-000000000001\",\"promptId\":\"p{turn}\",\
             \"message\":{{\"role\":\"user\",\"content\":\"Go on\"}}}}\n\
             {{\"type\":\"assistant\",{head}:\"{turn:08x}-0000-4000-9000-000000000002\",\
             \"parentUuid\":\"{turn:08x}-0000-4000-9000-000000000001\",\"message\":{{\"id\":\"msg_{turn}\",\
             \"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"stop_reason\":\"end_turn\",\
             \"content\":[{{\"type\":\"text\",\"text\":\"Yes.\"}}],\"usage\":{{\"output_tokens\":1}}}}}}\n"
        );
        let folder = world.root.join("-home-dev-shop");
        fs::create_dir_all(&folder).unwrap();
        append(&folder.join(format!("{session}.jsonl")), rows.as_bytes());
    }
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
}

#[test]
fn what_is_not_kept_any_more_when_it_is_to_be_told_stops_nothing() {
    let keep = room();
    let mut world = World::new(keep.path());
    // Nothing but the last row is kept.
    world.events = EventLimits { keep_ms: 0, bytes_max: 0 };
    world.restart();
    let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    let inside = runtime.enter();
    let stream = Stream::of(world.reader.clone().unwrap());
    let yielded = async || {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    };
    // The only thread that could make events is busy.
    let (go_on, wait) = channel::<()>();
    tokio::task::spawn_blocking(move || wait.recv());
    stream.hand_to(&mut AtFirst(Some(|| {
        runtime.block_on(yielded());
        tell(&mut world, 0..3);
        // It will make events up to here,
        runtime.block_on(yielded());
        // which are removed meanwhile.
        tell(&mut world, 3..300);
    })));
    drop(go_on);
    // The client has gone, so the thread is free once everything is made that was to be made.
    let has_ended = runtime.block_on(async {
        yielded().await;
        tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(|| ())).await.is_ok()
    });
    drop(inside);
    runtime.shutdown_background();
    assert!(has_ended, "it is made for ever");
}
