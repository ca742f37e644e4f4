//! Seeded worlds: files grow, fork, are torn, rewritten, replaced and deleted while the process crashes.
//!
//! A world is a [`Plan`]: a list of what happens. Most are small, so that there can be thousands of them; one in ten is
//! large. They live in memory where there is `/dev/shm`, and several run at a time. One that fails is made smaller until
//! nothing can be left out, and is then written to a file; moved to `tests/laws/worlds`, it is tried in every run.
//!
//! `TAILSPAN_TEST_SEEDS=50000 cargo test --release --test laws simulation::` runs more worlds than the usual ones, and
//! `TAILSPAN_TEST_FIRST_SEED=7 TAILSPAN_TEST_SEEDS=1` a certain one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tailspan::audit::selfcheck::SelfCheck;
use tailspan::views::metrics::totals::{Sample, Snapshot};
use tailspan::vitals::Vitals;

use crate::support::plan::{Action, Loss, Plan};
use crate::support::world::{self, Dice, World, append, clean, copy_folder};
use crate::support::{calls, counters, settings, sums};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 2_500;

/// A session file that is written over time, and everything that was ever in it.
struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
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

/// A world while its plan is carried out.
pub(crate) struct Playing {
    pub(crate) world: World,
    sources: Vec<Source>,
    shadow: Shadow,
    /// What was shown last.
    last: BTreeMap<String, i128>,
}

impl Playing {
    /// The beginning of a plan, in a folder.
    pub(crate) fn of(plan: &Plan, folder: &Path) -> Self {
        let mut world = World::under(folder, plan.settings);
        world.limits.chunk_bytes = plan.chunk_bytes;
        world.parts_max = plan.parts_max;
        world.restart();
        let sources = plan.files().into_iter().map(|(path, bytes)| Source { path, bytes, at: 0 }).collect();
        let shadow = Shadow { folder: folder.join("shadow"), generations: 0 };
        Self { world, sources, shadow, last: BTreeMap::new() }
    }

    pub(crate) fn act(&mut self, action: Action) {
        let Self { world, sources, shadow, last } = self;
        let count = sources.len();
        match action {
            Action::Grow { file, bytes } => grow(&mut sources[file % count], &world.root, bytes),
            Action::Lose { file, how } => {
                // What is lost must have been read and be durable, or nobody could know it.
                world.read(&mut Dice::new(0), usize::MAX);
                world.settle();
                lose(&mut sources[file % count], &world.root, shadow, how);
            }
            Action::Read { order, pieces } => {
                world.read(&mut Dice::new(order as u64), pieces.unwrap_or(usize::MAX));
            }
            Action::ClockBack { ms } => world.now.0 -= ms,
            Action::Crash => world.crash(),
            Action::Restart => world.restart(),
            Action::Settle => check_monotone(&world.settle(), last),
        }
    }

    /// Everything is written, read and has left.
    pub(crate) fn end(&mut self) -> Snapshot {
        for source in &mut self.sources {
            append(&self.world.root.join(&source.path), &source.bytes[source.at..]);
            source.at = source.bytes.len();
        }
        self.world.read(&mut Dice::new(0), usize::MAX);
        let snapshot = self.world.settle();
        check_monotone(&snapshot, &mut self.last);
        snapshot
    }
}

/// One world from beginning to end.
fn run(plan: &Plan) {
    let keep = room();
    let mut playing = Playing::of(plan, keep.path());
    for action in &plan.actions {
        playing.act(*action);
    }
    let snapshot = playing.end();
    let Playing { mut world, shadow, .. } = playing;
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
    assert_eq!(found, expected);
    let counted: i128 = sum(&snapshot, "tokens_total");
    assert_eq!(counted, i128::from(expected.tokens.total()), "tokens counted once");
    assert_eq!(sum(&snapshot, "lifetime_tokens"), counted);
    assert_eq!(sum(&snapshot, "turns_total"), i128::from(expected.turns));
    assert_eq!(sum(&snapshot, "api_requests_total"), i128::from(expected.messages));
    let calls: u64 = expected.tools.values().map(|tool| tool.calls).sum();
    assert_eq!(sum(&snapshot, "tool_calls_total"), i128::from(calls));
    sums::check(world.reader.as_ref().unwrap(), "a world");
    if plan.audited {
        check_itself(&world);
        calls::check(&world, everything);
        counters::check(&mut world, "a world");
    }
}

/// Where a world lives: in memory if there is a place for it, for it makes everything durable again and again.
pub(crate) fn room() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The self-check finds nothing in a state that is right, whatever its files went through.
fn check_itself(world: &World) {
    let vitals = Arc::new(Vitals::new(world.now, Duration::from_secs(1_800)));
    let reader = world.reader.clone().unwrap();
    let roots = (vec![world.root.clone()], world.streams());
    let mut check = SelfCheck::new(reader, world::prices(), roots, Arc::clone(&vitals), Arc::default());
    let checked = check.check().unwrap();
    assert_eq!(checked.drifts, 0, "{checked:?}");
    assert_eq!(vitals.state_drift.get(), 0);
}

/// Appends some bytes, which may end in the middle of a line.
fn grow(source: &mut Source, root: &Path, bytes: Option<usize>) {
    let left = source.bytes.len() - source.at;
    let some = bytes.unwrap_or(left).min(left);
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
fn lose(source: &mut Source, root: &Path, shadow: &mut Shadow, how: Loss) {
    let path = root.join(&source.path);
    if !path.exists() || path.to_str().unwrap().ends_with(".meta.json") {
        return;
    }
    shadow.keep(&path, &source.path);
    let bytes = fs::read(&path).unwrap();
    match how {
        Loss::Head => {
            let cut = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let new = path.with_extension("jsonl.compact.tmp.1");
            fs::write(&new, &bytes[cut..]).unwrap();
            fs::rename(&new, &path).unwrap();
        }
        Loss::Tail => {
            let cut = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            fs::write(&path, &bytes[..cut]).unwrap();
            source.at = cut;
        }
        Loss::Whole => {
            fs::remove_file(&path).unwrap();
            source.at = source.bytes[..source.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        }
        Loss::Torn => {
            let start = source.bytes[..source.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            append(&path, b"\n");
            source.at = start;
        }
    }
}

pub(crate) fn sum(snapshot: &Snapshot, metric: &str) -> i128 {
    let numbers = snapshot.iter().filter(|(series, _)| series.metric == metric).map(|(_, sample)| match sample {
        Sample::Number(number) => *number,
        Sample::Histogram(histogram) => i128::from(histogram.count),
    });
    numbers.sum()
}

/// What was shown may never shrink, crash or not.
pub(crate) fn check_monotone(snapshot: &Snapshot, last: &mut BTreeMap<String, i128>) {
    for (series, sample) in snapshot.iter().filter(|(series, _)| series.metric.ends_with("_total")) {
        let Sample::Number(number) = sample else { continue };
        let known = last.entry(format!("{series:?}")).or_insert(*number);
        assert!(*number >= *known, "{series:?} ran from {known} back to {number}");
        *known = *number;
    }
}

/// Makes a plan that fails smaller, and keeps it as a file.
fn kept_smallest(plan: Plan) -> PathBuf {
    let smallest = plan.shrunk(&|plan| catch_unwind(|| run(plan)).is_err());
    let path = std::env::temp_dir().join(format!("tailspan-world-{}.json", std::process::id()));
    fs::write(&path, serde_json::to_string_pretty(&smallest).unwrap()).unwrap();
    path
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
            let plan = Plan::of(seed);
            let Err(panic) = catch_unwind(|| run(&plan)) else { continue };
            if !failed.swap(true, Ordering::Relaxed) {
                println!("failed: seed {seed}; the smallest world that does is {}", kept_smallest(plan).display());
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
fn worlds_that_failed_once_count_everything_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laws/worlds");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        run(&serde_json::from_slice(&fs::read(&file).unwrap()).unwrap());
    }
}

#[test]
fn a_world_is_made_as_small_as_its_failure() {
    let loses_then_dies = |plan: &Plan| {
        let lost = plan.actions.iter().position(|action| matches!(action, Action::Lose { how: Loss::Torn, .. }));
        lost.is_some_and(|lost| plan.actions[lost..].contains(&Action::Crash))
    };
    let plan = (1..).map(Plan::of).find(|plan| plan.recordings.len() > 1 && loses_then_dies(plan)).unwrap();
    let smallest = plan.shrunk(&loses_then_dies);
    assert!(matches!(smallest.actions[..], [Action::Lose { how: Loss::Torn, .. }, Action::Crash]), "{smallest:?}");
    assert_eq!((smallest.recordings.len(), smallest.settings), (1, 0));
    let text = serde_json::to_string(&smallest).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), smallest, "{text}");
}

#[test]
fn each_pair_of_settings_is_tried_together() {
    let rows: Vec<Vec<String>> = settings::matrix().iter().map(settings::Settings::values).collect();
    for first in 0..rows[0].len() {
        for second in first + 1..rows[0].len() {
            let of = |column: usize| rows.iter().map(|row| row[column].clone()).collect::<BTreeSet<_>>();
            let together: BTreeSet<_> = rows.iter().map(|row| (&row[first], &row[second])).collect();
            assert_eq!(together.len(), of(first).len() * of(second).len(), "{} {}", rows[0][first], rows[0][second]);
        }
    }
}
