//! Laws of the ledger: order, cuts, repetition and crashes do not change what is counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tailspan::engine::turns::Policy;
use tailspan::tail::ReadLimits;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::Sample;
use tailspan::views::traces::attributes::CRITICAL_PATH_SECONDS;
use tailspan::views::traces::span::Span;

use crate::support::world::{self, Dice, EVERYTHING, World, append, clean, files_below, recordings};
use crate::support::{calls, counters, sums};

/// All recordings, each in a folder of its own below one root.
fn everything() -> (tempfile::TempDir, Vec<(PathBuf, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for recording in recordings() {
        let projects = recording.join("projects");
        let version = recording.parent().unwrap().file_name().unwrap().to_str().unwrap().replace('.', "-");
        for file in files_below(&projects) {
            let inside = file.strip_prefix(&projects).unwrap();
            let slug = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let rest: PathBuf = inside.components().skip(1).collect();
            files.push((PathBuf::from(format!("{slug}-{version}")).join(rest), fs::read(&file).unwrap()));
        }
    }
    for (path, bytes) in &files {
        append(&folder.path().join("projects").join(path), bytes);
    }
    (folder, files)
}

#[test]
fn the_state_says_what_a_clean_pass_says() {
    let (folder, _) = everything();
    let mut world = World::new(folder.path());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let expected = clean(&[world.root.clone()]);
    assert_eq!(world.summary(), expected);
    sums::check(world.reader.as_ref().unwrap(), "all recordings");
    assert!(calls::check(&world, &world.root) > 100, "the recordings have calls");
    counters::check(&mut world, "all recordings");
    assert!(expected.messages > 150, "the recordings were read");
}

#[test]
fn any_cut_of_the_bytes_gives_the_same_facts() {
    let (folder, _) = everything();
    let expected = clean(&[folder.path().join("projects")]);
    for (seed, chunk_bytes) in [(1, 300), (2, 4_000), (3, 33_000)] {
        let other = tempfile::tempdir().unwrap();
        world::copy_folder(&folder.path().join("projects"), &other.path().join("projects"));
        let mut world = World::new(other.path());
        world.limits = ReadLimits { chunk_bytes, ..ReadLimits::default() };
        world.read(&mut Dice::new(seed), usize::MAX);
        world.settle();
        assert_eq!(world.summary(), expected, "chunks of {chunk_bytes} bytes");
    }
}

#[test]
fn growing_byte_by_byte_gives_the_same_facts_as_reading_once() {
    let (_keep, files) = everything();
    for seed in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        let mut dice = Dice::new(seed);
        let mut written = vec![0; files.len()];
        while written.iter().zip(&files).any(|(at, (_, bytes))| *at < bytes.len()) {
            for _ in 0..40 {
                let which = dice.below(files.len());
                let (path, bytes) = &files[which];
                let left = bytes.len() - written[which];
                let some = if dice.one_in(3) { left } else { dice.below(9_000).min(left) };
                if some > 0 {
                    append(&world.root.join(path), &bytes[written[which]..written[which] + some]);
                    written[which] += some;
                }
            }
            world.read(&mut dice, usize::MAX);
            if dice.one_in(4) {
                world.settle();
            }
        }
        world.read(&mut dice, usize::MAX);
        world.settle();
        assert_eq!(world.summary(), clean(&[world.root.clone()]), "seed {seed}");
    }
}

#[test]
fn reading_again_adds_nothing() {
    let (folder, files) = everything();
    let mut world = World::new(folder.path());
    world.read(&mut Dice::new(1), usize::MAX);
    let before = world.settle();
    let summary = world.summary();
    for (path, bytes) in &files {
        // A new inode with the same bytes is a new file to the reader.
        let path = world.root.join(path);
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, &path).unwrap();
    }
    world.read(&mut Dice::new(2), usize::MAX);
    let after = world.settle();
    assert_eq!(world.summary(), summary);
    assert_eq!(counted(&after), counted(&before));
}

#[test]
fn a_restart_changes_nothing() {
    let (folder, _) = everything();
    let mut world = World::new(folder.path());
    world.read(&mut Dice::new(1), usize::MAX);
    let before = world.settle();
    let summary = world.summary();
    world.restart();
    world.read(&mut Dice::new(2), usize::MAX);
    let after = world.settle();
    assert_eq!(world.summary(), summary);
    assert_eq!(counted(&after), counted(&before));
}

#[test]
fn a_crash_loses_nothing_that_was_shown() {
    let (folder, files) = everything();
    let mut world = World::new(folder.path());
    world.read(&mut Dice::new(1), files.len() / 2);
    let before = world.settle();
    world.read(&mut Dice::new(2), files.len() / 4);
    world.crash();
    let engine = world.engine.as_mut().unwrap();
    let recovered = engine.flush().unwrap();
    assert_eq!(counted(&recovered), counted(&before));
    world.read(&mut Dice::new(3), usize::MAX);
    world.settle();
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
}

/// Spans in order of their ids: in which order they left is another matter.
fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    // A span that leaves while its turn goes on cannot know the turn's path, and when that is depends on the order.
    spans.iter_mut().for_each(|span| span.attributes.retain(|own| own.key != CRITICAL_PATH_SECONDS));
    spans.sort_by_key(|span| (span.trace, span.id));
    spans
}

fn same(found: &[Span], expected: &[Span], said: &str) {
    let too_many: Vec<_> = found.iter().filter(|span| !expected.contains(span)).collect();
    let missing: Vec<_> = expected.iter().filter(|span| !found.contains(span)).collect();
    assert!(too_many.is_empty() && missing.is_empty(), "{said}: not {too_many:#?} but {missing:#?}");
    assert_eq!(found.len(), expected.len(), "{said}: each once");
}

/// A world in which units are stored in sections of so many parts, and leave in pieces.
fn in_pieces(folder: &Path, parts_max: usize, policy: Policy) -> World {
    let mut world = World::with(folder, policy);
    world.parts_max = parts_max;
    world.restart();
    world
}

#[test]
fn a_span_lies_within_its_parent() {
    let (folder, _) = everything();
    let mut world = World::new(folder.path());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let spans = world.take_spans();
    let times: BTreeMap<_, _> = spans.iter().map(|span| ((span.trace, span.id), (span.start, span.end))).collect();
    let inside = |span: &Span| {
        let parent = span.parent.map(|parent| times[&(span.trace, parent)]);
        parent.is_none_or(|(start, end)| start <= span.start && span.end <= end)
    };
    let outside: Vec<_> = spans.iter().filter(|span| !inside(span)).map(|span| &span.name).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn a_turn_that_leaves_in_pieces_has_the_spans_of_one_that_leaves_whole() {
    let (folder, _) = everything();
    let mut whole = World::new(folder.path());
    whole.read(&mut Dice::new(1), usize::MAX);
    whole.settle();
    let expected = sorted(whole.take_spans());
    assert!(expected.len() > 300, "only {} spans", expected.len());
    for parts_max in [1, 3, 10] {
        let other = tempfile::tempdir().unwrap();
        world::copy_folder(&folder.path().join("projects"), &other.path().join("projects"));
        let mut world = in_pieces(other.path(), parts_max, Policy { whole_spans_max: 1, ..EVERYTHING });
        world.read(&mut Dice::new(1), usize::MAX);
        world.settle();
        sums::check(world.reader.as_ref().unwrap(), "in pieces");
        let found = sorted(world.take_spans());
        counters::check(&mut world, "in pieces");
        same(&found, &expected, &format!("sections of {parts_max}"));
    }
}

#[test]
fn a_turn_that_grows_leaves_in_pieces_what_it_leaves_whole() {
    let (_keep, files) = everything();
    for seed in 1..=6 {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        // Finished children leave at once.
        let policy = Policy { hold_ms: 0, ..EVERYTHING };
        let mut worlds = [
            World::with(folders[0].path(), policy),
            in_pieces(folders[1].path(), 2, Policy { whole_spans_max: 1, ..policy }),
        ];
        let (mut dice, mut written) = (Dice::new(seed), vec![0; files.len()]);
        while written.iter().zip(&files).any(|(at, (_, bytes))| *at < bytes.len()) {
            for _ in 0..60 {
                let which = dice.below(files.len());
                let (path, bytes) = &files[which];
                let some = dice.below(30_000).min(bytes.len() - written[which]);
                if some > 0 {
                    for world in &worlds {
                        append(&world.root.join(path), &bytes[written[which]..written[which] + some]);
                    }
                    written[which] += some;
                }
            }
            let order = dice.below(1 << 20) as u64;
            for world in &mut worlds {
                world.read(&mut Dice::new(order), usize::MAX);
                world.settle();
            }
        }
        let [whole, pieces] = worlds.map(|mut world| sorted(world.take_spans()));
        same(&pieces, &whole, &format!("seed {seed}"));
    }
}

#[test]
fn the_spans_of_a_sub_agent_leave_however_late_its_file_is_read() {
    let is_late = |file: &Path| file.components().any(|part| part.as_os_str() == "subagents");
    let (_keep, files) = everything();
    let policy = Policy { hold_ms: 0, ..EVERYTHING };
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [mut once, whole, pieces] = [
        World::with(folders[0].path(), policy),
        World::with(folders[1].path(), policy),
        in_pieces(folders[2].path(), 2, Policy { whole_spans_max: 1, ..policy }),
    ];
    files.iter().for_each(|(path, bytes)| append(&once.root.join(path), bytes));
    once.read(&mut Dice::new(1), usize::MAX);
    once.settle();
    let [whole, pieces] = [whole, pieces].map(|mut world| {
        for late in [false, true] {
            let some = files.iter().filter(|(path, _)| is_late(path) == late);
            some.for_each(|(path, bytes)| append(&world.root.join(path), bytes));
            world.read(&mut Dice::new(1), usize::MAX);
            world.settle();
        }
        sorted(world.take_spans())
    });
    let ids = |spans: Vec<Span>| sorted(spans).into_iter().map(|span| (span.trace, span.id, span.name)).collect();
    let (expected, found): (Vec<_>, Vec<_>) = (ids(once.take_spans()), ids(whole.clone()));
    assert_eq!(found, expected);
    same(&pieces, &whole, "in pieces");
}

/// Every counted series but those that count reading itself.
fn counted(snapshot: &tailspan::views::metrics::totals::Snapshot) -> Vec<String> {
    snapshot.iter().filter(|(series, _)| !series.metric.contains("lines_total")).map(|row| format!("{row:?}")).collect()
}

/// Every order of pieces in which those of one file stay in theirs.
fn orders(pieces: &[(PathBuf, Vec<u8>)]) -> Vec<Vec<usize>> {
    let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in pieces {
        let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            let comes = |next: &usize| {
                let before = (0..*next).filter(|before| pieces[*before].0 == pieces[*next].0);
                !order.contains(next) && before.into_iter().all(|before| order.contains(&before))
            };
            (0..pieces.len()).filter(comes).map(|next| order.iter().copied().chain([next]).collect()).collect()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

#[test]
fn the_files_of_a_sub_agent_may_be_read_in_any_order() {
    for fixture in [
        "a-side-file-that-names-no-call-leaves-it-to-the-result",
        "a-sub-agent-without-a-side-file-is-found-by-its-result",
        "a-background-sub-agent-has-a-trace-of-its-own",
        "sub-agents-nest",
    ] {
        let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture).join("projects");
        let mut pieces = Vec::new();
        for file in files_below(&projects) {
            let (inside, bytes) = (file.strip_prefix(&projects).unwrap().to_owned(), fs::read(&file).unwrap());
            let ends: Vec<usize> = (1..=bytes.len()).filter(|end| bytes[end - 1] == b'\n').collect();
            // The session's own file in two: its calls, and their results.
            let cut = if inside.components().count() == 2 { ends[ends.len() / 2 - 1] } else { 0 };
            let (first, second) = bytes.split_at(cut);
            pieces.extend(
                [first, second].into_iter().filter(|some| !some.is_empty()).map(|some| (inside.clone(), some.to_vec())),
            );
        }
        let (orders, mut expected) = (orders(&pieces), None);
        // At most some sixty of them.
        for (number, order) in orders.iter().step_by(1 + orders.len() / 60).enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::new(folder.path());
            for piece in order {
                let (path, bytes) = &pieces[*piece];
                append(&world.root.join(path), bytes);
                world.read(&mut Dice::new(1), usize::MAX);
                world.engine.as_mut().unwrap().commit(world.now).unwrap();
                if number % 2 == 1 {
                    world.die();
                }
            }
            world.settle();
            assert_eq!(world.summary(), clean(&[world.root.clone()]), "{fixture} {order:?}");
            let spans = sorted(world.take_spans());
            let expected = expected.get_or_insert_with(|| spans.clone());
            same(&spans, expected, &format!("{fixture} {order:?}"));
        }
        let linked = expected.iter().flatten().filter(|span| span.name.starts_with("invoke_agent")).count();
        assert!(linked > 1, "{fixture} has the span of a sub-agent");
    }
}

fn prompt(session: &str, number: usize) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\
         \"message\":{{\"role\":\"user\",\"content\":\"p\"}},\"timestamp\":\"2026-11-22T06:00:00.000Z\"}}\n"
    )
}

#[test]
fn of_many_files_with_many_turns_each_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    // Each has so many turns that a commit comes while it is folded; once, the rows of more than 300 are in memory then.
    for file in 0..310 {
        let id = format!("s{file}");
        let text: String = (0..150).map(|turn| prompt(&id, file * 150 + turn)).collect();
        append(&world.root.join(format!("slug/{id}.jsonl")), text.as_bytes());
    }
    for _ in 0..2 {
        world.read(&mut Dice::new(1), usize::MAX);
        let snapshot = world.settle();
        let lines = snapshot.get(&catalog::LINES, &[]).unwrap();
        assert_eq!(*lines, Sample::Number(46_500));
        world.restart();
    }
}
