//! Session files of every shape that clients write, in every order, cut and crash: what the state says is what a clean pass
//! says.
//!
//! A failure is made smaller until nothing can be left out, and then shown: rows in the order in which they were written,
//! and what happened after each.
//!
//! `TAILSPAN_TEST_SEEDS=50000 cargo test --release --test laws shapes::` runs more stories than the usual ones, and
//! `TAILSPAN_TEST_FIRST_SEED=7 TAILSPAN_TEST_SEEDS=1` a certain one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;
use tailspan::audit::pass::{Pass, find};
use tailspan::engine::PARTS_MAX;
use tailspan::views::metrics::totals::{Sample, Snapshot};
use tailspan::views::traces::attributes::CRITICAL_PATH_SECONDS;
use tailspan::views::traces::ids::TraceScope;
use tailspan::views::traces::span::Span;

use crate::support::shapes::{Files, story};
use crate::support::world::{self, Dice, World, append, clean};
use crate::support::{calls, counters, settings, sums};

/// Stories in an ordinary run of the tests.
const SEEDS: u64 = 600;

/// What happens after a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Read,
    /// Read in part, and then the process dies and loses what it had not made durable.
    Crash(usize),
    /// Read, and then the process dies after a commit.
    Die,
    /// Read, and everything that has ended leaves.
    Settle,
    Restart,
    /// The session's files go to another folder, or back.
    Move,
}

/// A line that is written to a file.
#[derive(Debug, Clone)]
struct Line {
    path: PathBuf,
    text: String,
    then: Then,
}

/// Lines in the order in which they are written, and how they are read.
#[derive(Debug, Clone)]
struct Tape {
    lines: Vec<Line>,
    parts_max: usize,
    chunk_bytes: usize,
    order: u64,
    /// Which of [`settings::matrix`] it is under.
    settings: usize,
}

/// What becomes of a world while lines are written.
struct Happens {
    moves: bool,
    settles: bool,
}

impl Tape {
    fn of(files: &Files, happens: &Happens, dice: &mut Dice) -> Self {
        let mut left: Vec<_> = files.iter().map(|(path, lines)| (path, lines.iter())).collect();
        let mut lines = Vec::new();
        let (parts_max, chunk_bytes) = ([1, 2, 5, PARTS_MAX][dice.below(4)], [400, 5_000, 1 << 20][dice.below(3)]);
        let (order, eager) = (dice.below(1 << 20) as u64, 2 + dice.below(12));
        let settings = if dice.one_in(2) { 0 } else { dice.below(settings::matrix().len()) };
        while !left.is_empty() {
            let which = dice.below(left.len());
            // Some lines of one file, or all.
            let some = if dice.one_in(3) { usize::MAX } else { 1 + dice.below(3) };
            let (path, texts) = &mut left[which];
            for text in texts.by_ref().take(some) {
                let then = if dice.one_in(eager) { Self::happens(happens, dice) } else { Then::Nothing };
                lines.push(Line { path: path.clone(), text: text.clone(), then });
            }
            left.retain(|(_, lines)| lines.len() > 0);
        }
        Self { lines, parts_max, chunk_bytes, order, settings }
    }

    fn happens(happens: &Happens, dice: &mut Dice) -> Then {
        match dice.below(12) {
            0..=3 => Then::Die,
            4 | 5 => Then::Crash(dice.below(4)),
            6 if happens.settles => Then::Settle,
            7 if happens.settles => Then::Restart,
            8 if happens.moves => Then::Move,
            _ => Then::Read,
        }
    }

    /// Writes and reads all of it; returns the world at its end.
    fn play(&self, folder: &Path) -> World {
        let mut world = World::under(folder, self.settings);
        world.limits.chunk_bytes = self.chunk_bytes;
        world.parts_max = self.parts_max;
        world.restart();
        let mut dice = Dice::new(self.order);
        let mut last = BTreeMap::new();
        let mut moved = BTreeSet::new();
        for line in &self.lines {
            append(&world.root.join(place(&line.path, &moved)), line.text.as_bytes());
            match line.then {
                Then::Nothing => {}
                Then::Read => world.read(&mut dice, usize::MAX),
                Then::Crash(pieces) => {
                    world.read(&mut dice, pieces);
                    world.crash();
                }
                Then::Die => {
                    world.read(&mut dice, usize::MAX);
                    world.engine.as_mut().unwrap().commit(world.now).unwrap();
                    world.die();
                }
                Then::Settle => {
                    world.read(&mut dice, usize::MAX);
                    monotone(&world.settle(), &mut last);
                }
                Then::Restart => {
                    world.read(&mut dice, usize::MAX);
                    world.restart();
                }
                Then::Move => move_session(&world.root, &line.path, &mut moved),
            }
        }
        world.read(&mut dice, usize::MAX);
        monotone(&world.settle(), &mut last);
        world
    }
}

/// The name of a session's own file, without its ending.
fn session_of(path: &Path) -> String {
    let inside = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    inside.trim_end_matches(".jsonl").to_owned()
}

/// Where a file is while some sessions are elsewhere.
fn place(path: &Path, moved: &BTreeSet<String>) -> PathBuf {
    if !moved.contains(&session_of(path)) {
        return path.to_owned();
    }
    Path::new("-home-dev-app--claude-worktrees-x").join(path.components().skip(1).collect::<PathBuf>())
}

fn move_session(root: &Path, path: &Path, moved: &mut BTreeSet<String>) {
    let session = session_of(path);
    let file = |moved: &BTreeSet<String>| {
        root.join(place(&path.components().take(1).collect::<PathBuf>().join(format!("{session}.jsonl")), moved))
    };
    let from = file(moved);
    if !moved.remove(&session) {
        moved.insert(session.clone());
    }
    let to = file(moved);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    for (from, to) in [(from.clone(), to.clone()), (from.with_extension(""), to.with_extension(""))] {
        if from.exists() {
            fs::rename(from, to).unwrap();
        }
    }
}

/// What was shown may never shrink.
fn monotone(snapshot: &Snapshot, last: &mut BTreeMap<String, i128>) {
    for (series, sample) in snapshot.iter().filter(|(series, _)| series.metric.ends_with("_total")) {
        let Sample::Number(number) = sample else { continue };
        let known = last.entry(format!("{series:?}")).or_insert(*number);
        assert!(*number >= *known, "{series:?} ran from {known} back to {number}");
        *known = *number;
    }
}

fn room() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What goes wrong with a tape, if anything does.
fn trouble(tape: &Tape, check: &dyn Fn(&Tape)) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| check(tape))).err()?;
    let said = panic.downcast_ref::<String>().cloned();
    Some(said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default())
}

/// The first field that is named in a message.
fn field_of(said: &str) -> String {
    said.split_once(':').map_or(said, |(field, _)| field).to_owned()
}

/// The `uuid` in a line; of a line without one, all of it.
fn row_of(text: &str) -> String {
    let uuid = text.rsplit_once("\"uuid\":\"").and_then(|(_, rest)| rest.split_once('"'));
    uuid.map_or(text, |(uuid, _)| uuid).to_owned()
}

/// The smallest tape with some trouble, and what that is.
fn smallest(mut tape: Tape, check: &dyn Fn(&Tape)) -> (Tape, String) {
    let mut said = String::new();
    // Another trouble is another story: it is the same while the same field differs.
    let first = trouble(&tape, check).map(|said| field_of(&said));
    let trouble = |tape: &Tape, check| trouble(tape, check).filter(|said| Some(field_of(said)) == first);
    loop {
        let mut smaller = false;
        // A row goes with its copies: what is left is something that clients write.
        let rows: BTreeSet<String> = tape.lines.iter().map(|line| row_of(&line.text)).collect();
        let mut rows: Vec<String> = rows.into_iter().collect();
        let mut some = rows.len().next_power_of_two();
        while some > 0 {
            let mut from = 0;
            while from < rows.len() {
                let out: BTreeSet<String> = rows.iter().skip(from).take(some).cloned().collect();
                let mut less = tape.clone();
                less.lines.retain(|line| !out.contains(&row_of(&line.text)));
                match trouble(&less, check) {
                    Some(new) => {
                        rows.retain(|row| !out.contains(row));
                        (tape, said, smaller) = (less, new, true);
                    }
                    None => from += some,
                }
            }
            some /= 2;
        }
        for at in 0..tape.lines.len() {
            let mut less = tape.clone();
            if std::mem::replace(&mut less.lines[at].then, Then::Nothing) != Then::Nothing
                && let Some(new) = trouble(&less, check)
            {
                (tape, said, smaller) = (less, new, true);
            }
        }
        let plain = Tape { parts_max: PARTS_MAX, chunk_bytes: 1 << 20, order: 1, settings: 0, ..tape.clone() };
        if let Some(new) = trouble(&plain, check) {
            (tape, said) = (plain, new);
        }
        if !smaller {
            return (tape, said);
        }
    }
}

/// Runs stories, several at a time. The first one that fails is made smaller and shown.
fn each_story(happens: &Happens, check: &(dyn Fn(&Tape) + Sync)) {
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
            let mut dice = Dice::new(seed);
            // Where nothing tells a copy from its source the lower path counts, which a move changes.
            let files = story(&mut dice, happens.moves);
            let tape = Tape::of(&files, happens, &mut dice);
            if trouble(&tape, check).is_none() || failed.swap(true, Ordering::Relaxed) {
                continue;
            }
            println!("seed {seed}, {} lines: {}", tape.lines.len(), trouble(&tape, check).unwrap_or_default());
            let (tape, said) = smallest(tape, check);
            for line in &tape.lines {
                println!("{} {:?}\n    {}", line.path.display(), line.then, line.text.trim_end());
            }
            println!(
                "parts {}, chunks {}, order {}, settings {}",
                tape.parts_max, tape.chunk_bytes, tape.order, tape.settings
            );
            panic!("seed {seed}: {said}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}

/// The facts of the state are those of a clean pass, and its counters are what they count.
fn facts(tape: &Tape) {
    let folder = room();
    let mut world = tape.play(folder.path());
    let (found, expected) = (world.summary(), clean(&[world.root.clone()]));
    if found != expected {
        panic!("{}", difference(&found, &expected));
    }
    sums::check(world.reader.as_ref().unwrap(), "a story");
    calls::check(&world, &world.root);
    calls::check_inputs(&world);
    counters::check(&mut world, "a story");
}

/// What two summaries say differently, field by field.
fn difference<T: serde::Serialize>(found: &T, expected: &T) -> String {
    fn walk(at: &str, found: &Value, expected: &Value, all: &mut Vec<String>) {
        match (found, expected) {
            (Value::Object(one), Value::Object(other)) => {
                for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                    let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                    walk(&format!("{at} {key:?}"), &of(one), &of(other), all);
                }
            }
            (Value::Array(one), Value::Array(other)) if at.ends_with("\"session_list\"") => {
                let by_id = |list: &[Value]| -> Value {
                    list.iter()
                        .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                };
                walk("", &by_id(one), &by_id(other), all);
            }
            _ if found == expected => {}
            _ => all.push(format!("{at}: {found} but {expected}")),
        }
    }
    let mut all = Vec::new();
    walk("", &serde_json::to_value(found).unwrap(), &serde_json::to_value(expected).unwrap(), &mut all);
    all.join("; ")
}

#[test]
fn the_state_of_a_story_is_that_of_a_clean_pass() {
    each_story(&Happens { moves: false, settles: true }, &facts);
}

#[test]
fn sessions_that_move_count_once() {
    each_story(&Happens { moves: true, settles: true }, &facts);
}

/// Which field of two spans differs first, and how.
fn unlike(one: &Span, other: &Span) -> String {
    let fields = |span: &Span| {
        let Span { trace, id, parent, name, start, end, attributes, events, links, .. } = span;
        let plain = [
            format!("{trace} {id}"),
            format!("{parent:?}"),
            name.to_string(),
            format!("{start:?}"),
            format!("{end:?}"),
        ];
        let mut fields: Vec<(String, String)> =
            ["id", "parent", "name", "start", "end"].into_iter().map(str::to_owned).zip(plain).collect();
        fields.extend(attributes.iter().map(|attribute| (attribute.key.to_string(), format!("{:?}", attribute.value))));
        fields.push(("events".to_owned(), format!("{events:?}")));
        fields.push(("links".to_owned(), format!("{links:?}")));
        fields
    };
    let (one, other) = (fields(one), fields(other));
    let first = one.iter().find(|field| !other.contains(field)).or(other.iter().find(|field| !one.contains(field)));
    let Some((key, _)) = first else { return "other: the spans differ in something else".to_owned() };
    let of = |fields: &[(String, String)]| fields.iter().find(|(known, _)| known == key).cloned();
    format!("{key}: {:?} but {:?} in {:?}", of(&one), of(&other), one.get(2))
}

/// Spans in order of their ids.
fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    // A span that leaves while its turn goes on cannot know the turn's path, and when that is depends on the order.
    spans.iter_mut().for_each(|span| span.attributes.retain(|own| own.key != CRITICAL_PATH_SECONDS));
    spans.sort_by_key(|span| (span.trace, span.id));
    spans
}

#[test]
fn the_spans_of_a_story_do_not_depend_on_the_order() {
    each_story(&Happens { moves: false, settles: false }, &|tape| {
        let (here, there) = (room(), room());
        let mut plain = tape.clone();
        plain.lines.sort_by(|a, b| a.path.cmp(&b.path));
        plain.lines.iter_mut().for_each(|line| line.then = Then::Nothing);
        plain.order = 1;
        let [found, expected] =
            [(tape, &here), (&plain, &there)].map(|(tape, folder)| sorted(tape.play(folder.path()).take_spans()));
        if let Some((one, other)) = found.iter().zip(&expected).find(|(one, other)| one != other) {
            panic!("{}", unlike(one, other));
        }
        assert_eq!(found.len(), expected.len());
    });
}

/// What each counter of turns, responses and calls comes to. Which of its series takes something depends on what was known
/// of it by then. A session counts once it has a row that no other is known to own: that a fork was read first cannot be
/// taken back. What had no series of its own is counted at each commit.
fn sums_of(snapshot: &Snapshot) -> BTreeMap<String, i128> {
    let mut sums = BTreeMap::new();
    for (series, sample) in snapshot.iter().filter(|(series, _)| series.metric.ends_with("_total")) {
        let of_reading = series.metric.contains("lines_total") || series.metric.contains("records_total");
        let of_reading =
            of_reading || ["sessions_started_total", "series_dropped_total"].contains(&series.metric.as_ref());
        if let (Sample::Number(number), false) = (sample, of_reading) {
            *sums.entry(series.metric.to_string()).or_default() += number;
        }
    }
    sums
}

#[test]
fn the_counters_of_a_story_are_those_of_a_scan() {
    each_story(&Happens { moves: false, settles: false }, &|tape| {
        let folder = room();
        let mut world = tape.play(folder.path());
        let found = sums_of(&world.settle());
        let files = find(&[world.root.clone()], &mut Vec::new()).unwrap();
        let scan = Pass::over(&files, &world::prices(), |_, _| {}).totals(world.labels.clone());
        let expected = sums_of(&scan);
        let apart: Vec<_> = expected.iter().filter(|(name, sum)| found.get(*name).unwrap_or(&0) != *sum).collect();
        let told: Vec<_> =
            apart.iter().map(|(name, sum)| format!("{name}: {:?} but {sum}", found.get(*name))).collect();
        assert!(told.is_empty(), "{}", told.join("; "));
    });
}

#[test]
fn every_span_leaves_once_below_its_parent() {
    each_story(&Happens { moves: false, settles: true }, &|tape| {
        let folder = room();
        let spans = tape.play(folder.path()).take_spans();
        let mut ids = BTreeSet::new();
        for span in &spans {
            assert!(ids.insert((span.trace, span.id)), "twice: {span:?}");
            assert!(span.start <= span.end, "ends before it begins: {span:?}");
        }
        // A turn that left before its file told that another session owns it goes on in that one's trace.
        let of_turns = settings::shares_a_trace(tape.settings) == TraceScope::Turn;
        for span in spans.iter().filter(|_| of_turns) {
            if let Some(parent) = span.parent {
                let of_trace = || spans.iter().filter(|other| other.trace == span.trace);
                let names = || of_trace().map(|span| (&span.name, span.id, span.parent)).collect::<Vec<_>>();
                assert!(ids.contains(&(span.trace, parent)), "no parent: {} {} in {:?}", span.name, span.id, names());
            }
        }
    });
}
