//! Seeded worlds: files grow, fork, are torn, rewritten, replaced and deleted while the process crashes.
//!
//! Most worlds are small, so that there can be thousands of them; one in ten is large. They live in memory where there is
//! `/dev/shm`, and several run at a time. A failure says its seed.
//!
//! `TAILSPAN_TEST_SEEDS=50000 cargo test --release --test laws simulation::` runs more worlds than the usual ones, and
//! `TAILSPAN_TEST_FIRST_SEED=7 TAILSPAN_TEST_SEEDS=1` a certain one.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use tailspan::audit::selfcheck::SelfCheck;
use tailspan::engine::PARTS_MAX;
use tailspan::views::metrics::totals::{Sample, Snapshot};
use tailspan::vitals::Vitals;

use crate::support::world::{self, Dice, World, append, clean, copy_folder, files_below, recordings};
use crate::support::{counters, sums};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 2_500;

/// A session file that is written over time, and everything that was ever in it.
struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
}

/// How much happens in a world.
struct Size {
    recordings: usize,
    rounds: usize,
}

impl Size {
    fn of(dice: &mut Dice) -> Self {
        if dice.one_in(10) {
            return Self { recordings: 3, rounds: 25 };
        }
        Self { recordings: 1 + dice.below(2), rounds: 5 + dice.below(6) }
    }
}

/// Files of a few recordings, chosen by the seed.
fn sources(size: &Size, dice: &mut Dice) -> Vec<Source> {
    static ALL: LazyLock<Vec<PathBuf>> = LazyLock::new(recordings);
    let all = &*ALL;
    let mut sources = Vec::new();
    for number in 0..size.recordings {
        let projects = all[dice.below(all.len())].join("projects");
        for file in files_below(&projects) {
            let inside = file.strip_prefix(&projects).unwrap();
            let path = PathBuf::from(format!("slug{number}")).join(inside.components().skip(1).collect::<PathBuf>());
            if !path.to_str().unwrap().contains("tool-results") {
                sources.push(Source { path, bytes: fs::read(&file).unwrap(), at: 0 });
            }
        }
    }
    // The same recording twice is the same session in two folders: allowed, it is what a copied folder looks like.
    sources
}

/// What the files hold, or held: the truth is a clean pass over all of it.
struct Shadow {
    folder: PathBuf,
    generations: u32,
}

impl Shadow {
    /// Keeps the whole lines of a file that is about to lose them.
    fn keep(&mut self, file: &Path, inside: &Path) {
        let bytes = fs::read(file).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 || inside.extension().is_none_or(|extension| extension != "jsonl") {
            return;
        }
        self.generations += 1;
        // Beside the file: where nothing else tells whose a row is, the lower path decides.
        append(&self.folder.join(inside.with_extension(format!("{}.jsonl", self.generations))), &bytes[..whole]);
    }
}

/// One world from beginning to end.
fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let keep = room();
    let mut shadow = Shadow { folder: keep.path().join("shadow"), generations: 0 };
    let mut world = World::new(keep.path());
    world.limits.chunk_bytes = [400, 5_000, 1 << 20][dice.below(3)];
    // Of few parts already, a unit is stored in sections.
    world.parts_max = [1, 2, 5, PARTS_MAX][dice.below(4)];
    world.restart();
    let size = Size::of(&mut dice);
    let mut sources = sources(&size, &mut dice);
    let mut last = BTreeMap::new();
    for _ in 0..size.rounds {
        for _ in 0..4 {
            let which = dice.below(sources.len());
            grow(&mut sources[which], &world.root, &mut dice);
        }
        if dice.one_in(6) {
            let which = dice.below(sources.len());
            // What is lost must have been read and be durable, or nobody could know it.
            world.read(&mut dice, usize::MAX);
            world.settle();
            disturb(&mut sources[which], &world.root, &mut shadow, &mut dice);
        }
        let pieces = if dice.one_in(3) { dice.below(4) } else { usize::MAX };
        world.read(&mut dice, pieces);
        if dice.one_in(10) {
            // The clock is set back, by up to three days.
            world.now.0 -= i64::try_from(dice.below(3 * 86_400_000)).unwrap();
        }
        match dice.below(6) {
            0 => world.crash(),
            1 => world.restart(),
            2 | 3 => check_monotone(&world.settle(), &mut last),
            _ => {}
        }
    }
    for source in &mut sources {
        append(&world.root.join(&source.path), &source.bytes[source.at..]);
        source.at = source.bytes.len();
    }
    world.read(&mut dice, usize::MAX);
    let snapshot = world.settle();
    check_monotone(&snapshot, &mut last);
    if shadow.generations > 0 {
        copy_folder(&world.root, &shadow.folder);
    }
    let everything = if shadow.generations > 0 { &shadow.folder } else { &world.root };
    let (mut expected, mut found) = (clean(std::slice::from_ref(everything)), world.summary());
    if shadow.generations > 0 {
        // What is left of a file that lost lines does not say whether a process ended between two of its prompts; the
        // state has seen it.
        for session in [&mut expected, &mut found].into_iter().filter_map(|told| told.session_list.as_mut()).flatten() {
            session.resumed = false;
        }
    }
    assert_eq!(found, expected, "seed {seed}");
    let counted: i128 = sum(&snapshot, "tokens_total");
    assert_eq!(counted, i128::from(expected.tokens.total()), "tokens counted once, seed {seed}");
    assert_eq!(sum(&snapshot, "lifetime_tokens"), counted, "seed {seed}");
    assert_eq!(sum(&snapshot, "turns_total"), i128::from(expected.turns), "seed {seed}");
    assert_eq!(sum(&snapshot, "api_requests_total"), i128::from(expected.messages), "seed {seed}");
    let calls: u64 = expected.tools.values().map(|tool| tool.calls).sum();
    assert_eq!(sum(&snapshot, "tool_calls_total"), i128::from(calls), "seed {seed}");
    sums::check(world.reader.as_ref().unwrap(), &format!("seed {seed}"));
    if dice.one_in(4) {
        check_itself(&world, seed);
    }
    if dice.one_in(4) {
        counters::check(&mut world, &format!("seed {seed}"));
    }
}

/// Where a world lives: in memory if there is a place for it, for it makes everything durable again and again.
fn room() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The self-check finds nothing in a state that is right, whatever its files went through.
fn check_itself(world: &World, seed: u64) {
    let vitals = Arc::new(Vitals::new(world.now, Duration::from_secs(1_800)));
    let reader = world.reader.clone().unwrap();
    let roots = vec![world.root.clone()];
    let mut check = SelfCheck::new(reader, world::prices(), roots, Arc::clone(&vitals), Arc::default());
    let checked = check.check().unwrap();
    assert_eq!(checked.drifts, 0, "{checked:?}, seed {seed}");
    assert_eq!(vitals.state_drift.get(), 0);
}

/// Appends some bytes, which may end in the middle of a line.
fn grow(source: &mut Source, root: &Path, dice: &mut Dice) {
    let left = source.bytes.len() - source.at;
    let some = if dice.one_in(4) { left } else { dice.below(20_000).min(left) };
    let path = root.join(&source.path);
    if path.to_str().unwrap().ends_with(".meta.json") {
        // Written whole, as the client does.
        if some > 0 {
            append(&path, &source.bytes[source.at..]);
            source.at = source.bytes.len();
        }
    } else if some > 0 {
        append(&path, &source.bytes[source.at..source.at + some]);
        source.at += some;
    }
}

/// Takes lines away, as a garbage collection, a tombstone or a person does.
fn disturb(source: &mut Source, root: &Path, shadow: &mut Shadow, dice: &mut Dice) {
    let path = root.join(&source.path);
    if !path.exists() || path.to_str().unwrap().ends_with(".meta.json") {
        return;
    }
    shadow.keep(&path, &source.path);
    let bytes = fs::read(&path).unwrap();
    match dice.below(4) {
        // Replaced by a file without its first lines, then the writer goes on.
        0 => {
            let cut = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let new = path.with_extension("jsonl.compact.tmp.1");
            fs::write(&new, &bytes[cut..]).unwrap();
            fs::rename(&new, &path).unwrap();
        }
        // Cut in place, and what was cut is written again.
        1 => {
            let cut = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            fs::write(&path, &bytes[..cut]).unwrap();
            source.at = cut;
        }
        // Deleted; the rest of the session goes to a new file of the same name.
        2 => {
            fs::remove_file(&path).unwrap();
            source.at = source.bytes[..source.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        }
        // A torn line is sealed and writing goes on with the next one.
        _ => {
            let start = source.bytes[..source.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            append(&path, b"\n");
            source.at = start;
        }
    }
}

fn sum(snapshot: &Snapshot, metric: &str) -> i128 {
    let numbers = snapshot.iter().filter(|(series, _)| series.metric == metric).map(|(_, sample)| match sample {
        Sample::Number(number) => *number,
        Sample::Histogram(histogram) => i128::from(histogram.count),
    });
    numbers.sum()
}

/// What was shown may never shrink, crash or not.
fn check_monotone(snapshot: &Snapshot, last: &mut BTreeMap<String, i128>) {
    for (series, sample) in snapshot.iter().filter(|(series, _)| series.metric.ends_with("_total")) {
        let Sample::Number(number) = sample else { continue };
        let known = last.entry(format!("{series:?}")).or_insert(*number);
        assert!(*number >= *known, "{series:?} ran from {known} back to {number}");
        *known = *number;
    }
}

#[test]
fn worlds_with_crashes_count_everything_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let seeds: u64 = number("TAILSPAN_TEST_SEEDS").unwrap_or(SEEDS);
    let first: u64 = number("TAILSPAN_TEST_FIRST_SEED").unwrap_or(1);
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failed.load(Ordering::Relaxed) {
                return;
            }
            if let Err(panic) = catch_unwind(|| run(seed)) {
                failed.store(true, Ordering::Relaxed);
                println!(
                    "failed: TAILSPAN_TEST_FIRST_SEED={seed} TAILSPAN_TEST_SEEDS=1 cargo test --test laws simulation::"
                );
                resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}
