//! Faults that once broke something: each is a test whose name says it.

use std::fs;
use std::path::{Path, PathBuf};

use tailspan::engine::PARTS_MAX;
use tailspan::engine::turns::Policy;
use tailspan::store;
use tailspan::tail::ReadLimits;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::totals::{Sample, Snapshot};
use tailspan::views::traces::finish::SpanRules;

use crate::support::database;
use crate::support::world::{self, Dice, EVERYTHING, World, append, clean, copy_folder, files_below};

fn projects_of(fixture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture).join("projects")
}

fn number(snapshot: &Snapshot, metric: &str) -> i128 {
    let own = snapshot.iter().filter(|(series, _)| series.metric == metric);
    own.map(|(_, sample)| if let Sample::Number(number) = sample { *number } else { 0 }).sum()
}

fn prompt(session: &str, number: usize) -> String {
    format!(
        "{{\"type\":\"user\",{session}\"uuid\":\"00000000-0000-4000-8000-{number:012}\",\"message\":{{\"role\":\"user\",\
         \"content\":\"p\"}},\"timestamp\":\"2026-11-22T06:00:00.000Z\"}}\n"
    )
}

fn answer(session: &str, id: &str) -> String {
    format!(
        "{{\"type\":\"assistant\",{session}\"message\":{{\"id\":\"{id}\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\
         \"stop_reason\":\"end_turn\",\"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}},\
         \"timestamp\":\"2026-11-22T06:00:01.000Z\"}}\n"
    )
}

fn session(id: &str) -> String {
    format!("\"sessionId\":\"{id}\",")
}

#[test]
fn a_file_read_in_part_is_read_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.limits = ReadLimits { chunk_bytes: 500, ..ReadLimits::default() };
    let file = world.root.join("slug/s.jsonl");
    for number in 0..50 {
        append(&file, &(prompt(&session("s"), number) + &answer(&session("s"), &format!("m{number}"))).into_bytes());
    }
    world.read(&mut Dice::new(1), 5);
    world.restart();
    world.read(&mut Dice::new(2), usize::MAX);
    world.settle();
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
}

#[test]
fn a_file_that_was_seen_and_never_counted_shifts_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/a.jsonl"), b"{\"type\":\"user\"");
    for name in ["b", "c"] {
        let text = prompt(&session(name), usize::from(name.as_bytes()[0])) + &answer(&session(name), name);
        append(&world.root.join(format!("slug/{name}.jsonl")), text.as_bytes());
    }
    world.read(&mut Dice::new(1), usize::MAX);
    let before = world.settle();
    world.restart();
    append(&world.root.join("slug/d.jsonl"), (prompt(&session("d"), 4) + &answer(&session("d"), "d")).as_bytes());
    world.read(&mut Dice::new(2), usize::MAX);
    let after = world.settle();
    assert_eq!(number(&after, "lines_total"), number(&before, "lines_total") + 2, "only the new file was read");
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
}

#[test]
fn rows_without_a_session_belong_to_the_rows_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let main = world.root.join("slug/s.jsonl");
    append(&main, (prompt("", 1) + &answer("", "m1")).as_bytes());
    let agent = world.root.join("slug/s/subagents/agent-a1.jsonl");
    let row = |number| prompt("\"agentId\":\"a1\",\"isSidechain\":true,", number);
    append(&agent, row(2).as_bytes());
    for number in 3..6 {
        world.read(&mut Dice::new(1), usize::MAX);
        world.restart();
        append(&agent, row(number).as_bytes());
        append(&main, (prompt("", 10 + number) + &answer("", &format!("n{number}"))).as_bytes());
    }
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
}

#[test]
fn a_copied_folder_with_inline_sub_agents_is_read_after_a_restart() {
    for fixture in [
        "inline-sub-agents-of-1-0-are-told-apart-by-their-prompts",
        "inline-sub-agents-with-one-prompt-take-one-call-each",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        copy_folder(&projects_of(fixture), &world.root);
        world.read(&mut Dice::new(1), usize::MAX);
        world.restart();
        let expected = world.summary();
        for slug in fs::read_dir(projects_of(fixture)).unwrap().map(Result::unwrap) {
            copy_folder(&slug.path(), &world.root.join("backup"));
        }
        world.read(&mut Dice::new(2), usize::MAX);
        world.settle();
        assert_eq!(world.summary(), expected, "{fixture}");
    }
}

#[test]
fn an_ended_turn_that_nobody_wants_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(folder.path(), Policy { export: false, ..EVERYTHING });
    append(&world.root.join("slug/s.jsonl"), (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    for _ in 0..3 {
        world.settle();
    }
    let engine = world.engine.as_mut().unwrap();
    assert!(engine.next_tick().is_none() && !engine.is_dirty(), "nothing is left to do");
}

#[test]
fn an_unpriced_turn_is_not_observed_as_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let text = prompt(&session("s"), 1) + &answer(&session("s"), "m").replace("claude-sonnet-4-5", "gpt-4o");
    append(&world.root.join("slug/s.jsonl"), text.as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    let snapshot = world.settle();
    let count = |metric: &str| match snapshot.iter().find(|(series, _)| series.metric == metric).unwrap().1 {
        Sample::Histogram(histogram) => histogram.count,
        Sample::Number(_) => panic!("{metric} is a histogram"),
    };
    assert_eq!((count("turn_duration_seconds"), count("turn_cost_usd")), (1, 0));
}

#[test]
fn a_giant_id_costs_only_its_own_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let giant = "x".repeat(3 << 20);
    for _ in 0..2 {
        let text = prompt(&session("s"), 1) + &answer(&session("s"), &giant);
        append(&world.root.join("slug/s.jsonl"), text.as_bytes());
    }
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(world.summary().messages, 1);
    let state: u64 = files_below(&world.state).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(state < 2 << 20, "{state} bytes");
}

#[test]
fn a_rebuilt_state_does_not_send_again_what_has_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/s.jsonl"), (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(world.take_spans().len(), 2);
    world.close();
    fs::remove_dir_all(world.state.join("db")).unwrap();
    for _ in 0..2 {
        let floor = store::open(&world.state, world.now).unwrap().recovered.export_floor;
        assert_eq!(floor, Timestamp::parse("2026-11-22T06:00:01.000Z"));
    }
}

#[test]
fn what_waits_in_the_outbox_is_not_noted_as_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/s.jsonl"), (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    fs::remove_dir_all(world.state.join("db")).unwrap();
    assert_eq!(store::open(&world.state, world.now).unwrap().recovered.export_floor, None);
}

#[test]
fn a_database_marked_as_damaged_is_set_aside_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/s.jsonl"), (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    store::mark_damaged(&world.state).unwrap();
    let opened = store::open(&world.state, world.now).unwrap();
    assert!(opened.set_aside.unwrap().is_dir(), "renamed, not deleted");
    assert!(opened.recovered.paths.is_empty());
}

#[test]
fn flipped_bytes_in_the_database_never_change_what_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    copy_folder(&projects_of("recordings/2.1.330/z1_big_transcript"), &world.root);
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    let expected = clean(&[world.root.clone()]);
    let intact = folder.path().join("intact");
    copy_folder(&world.state, &intact);
    let mut dice = Dice::new(7);
    for _ in 0..8 {
        fs::remove_dir_all(&world.state).unwrap();
        copy_folder(&intact, &world.state);
        let file = world.state.join("db/db");
        let mut bytes = fs::read(&file).unwrap();
        let at = dice.below(bytes.len());
        bytes[at] ^= 0x55;
        fs::write(&file, bytes).unwrap();
        world.start();
        world.read(&mut Dice::new(2), usize::MAX);
        world.settle();
        assert_eq!(world.summary(), expected, "byte {at} flipped");
        world.close();
    }
}

#[test]
fn changed_prices_are_applied_to_everything_even_after_a_crash() {
    check_changed_prices(400, 1, PARTS_MAX);
    // A turn that is too long to be in memory.
    check_changed_prices(1, 5_000, 5);
}

fn check_changed_prices(turns: usize, responses: usize, parts_max: usize) {
    use tailspan::engine::{Engine, Start};
    use tailspan::ledger::prices::{Override, Prices, Rate};
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.parts_max = parts_max;
    world.restart();
    let mut text = String::new();
    for number in 0..turns {
        text += &prompt(&session("s"), number);
        (0..responses).for_each(|part| text += &answer(&session("s"), &format!("m{number}-{part}")));
    }
    append(&world.root.join("slug/s.jsonl"), text.as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    let rate = Rate::parse_usd_per_million("10").unwrap();
    let double = Override {
        model: "claude-sonnet-4-5".to_owned(),
        from: None,
        until: None,
        input: rate,
        output: rate,
        cache_read: rate,
        cache_write_5m: rate,
        cache_write_1h: rate,
        long_context: None,
    };
    let prices = Prices::with_overrides(&[double]).unwrap();
    for _ in 0..2 {
        let opened = store::open(&world.state, world.now).unwrap();
        let (writer, recovered, epoch) = (opened.writer, opened.recovered, opened.epoch);
        let start = Start {
            writer,
            recovered,
            epoch,
            prices: prices.clone(),
            labels: LabelRules::default(),
            policy: EVERYTHING,
            spans: SpanRules::default(),
            parts_max,
        };
        let mut engine = Engine::new(start, world.now).unwrap();
        let cost = number(&engine.flush().unwrap(), "lifetime_cost_usd");
        // Each of 3 tokens at 10 dollars per million.
        assert_eq!(cost, 30_000_000 * (turns * responses) as i128);
    }
}

#[test]
fn a_state_that_is_opened_again_hides_nothing_that_was_shown() {
    use std::sync::{Arc, atomic::AtomicBool};
    use std::time::Duration;

    use tailspan::engine::{Engine, PARTS_MAX, Start};
    use tailspan::sidecar::clock::now;
    use tailspan::sidecar::tailer::{Shared, TailSources, Tailer};
    use tailspan::vitals::{LiveSession, Vitals};

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let opened = store::open(&state, now()).unwrap();
    let start = Start {
        writer: opened.writer,
        recovered: opened.recovered,
        epoch: opened.epoch,
        prices: world::prices(),
        labels: LabelRules::default(),
        policy: EVERYTHING,
        spans: SpanRules::default(),
        parts_max: PARTS_MAX,
    };
    let engine = Engine::new(start, now()).unwrap();
    let vitals = Arc::new(Vitals::new(now(), Duration::from_secs(3600)));
    // What an engine before this one has told, of which this one knows nothing.
    let last = now();
    vitals.set_sessions(vec![LiveSession::new("one", "cli", last)]);
    vitals.last_event.set(Some(last));
    [&vitals.files_total, &vitals.files_done].iter().for_each(|number| number.set(7));
    // It scans once, publishes and ends.
    let (published, stop) = (tokio::sync::watch::channel(None).0, Arc::new(AtomicBool::new(true)));
    let (limits, news, waits, attending) = Default::default();
    let shared = Arc::new(Shared { vitals: Arc::clone(&vitals), stop, limits, published, news, waits, attending });
    let sources = TailSources {
        roots: vec![folder.path().to_owned()],
        streams: PathBuf::new(),
        rescan: Duration::from_secs(1),
        outbox_bytes_max: u64::MAX,
        idle_ms: 3_600_000,
        threads: 1,
        archive: Default::default(),
        rules: tailspan::custom::Rules::default(),
        end_after: None,
    };
    Tailer::new(engine, Arc::clone(&shared), sources, tailspan::tail::Hints::default()).run(|_, _, _, _| {}).unwrap();
    let shown = shared.published.borrow().clone().unwrap();
    assert_eq!((vitals.last_event.get(), vitals.live(&shown, last)["cli"].active), (Some(last), 1));
    assert_eq!((vitals.files_done.get(), vitals.files_total.get()), (0, 0));
}

#[test]
fn a_start_that_was_killed_while_it_wrote_a_snapshot_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let file = world.root.join("slug/s.jsonl");
    append(&file, (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    // What is lost could not be read again.
    fs::remove_file(file).unwrap();
    // A second start writes the first snapshot.
    world.start();
    world.close();
    for unfinished in [0, 5, 40] {
        let snapshots = files_below(&world.state.join("db"));
        let snapshot = snapshots.iter().find(|file| file.file_name().unwrap().to_str().unwrap().starts_with("snap."));
        let bytes = fs::read(snapshot.unwrap()).unwrap();
        fs::write(world.state.join("db/snap.7FFFFFFFFFFFFFFF.generating"), &bytes[..unfinished]).unwrap();
        let opened = store::open(&world.state, world.now).unwrap();
        assert!(opened.set_aside.is_none(), "{unfinished} bytes of a snapshot");
        drop(opened);
        world.start();
        assert_eq!(world.summary().messages, 1);
        world.close();
    }
}

/// Adds to the version that is last in a row of a database.
fn change_version(state: &Path, row: &str, by: i8) {
    let db = database::open(state);
    let mut value = db.get(row).unwrap().unwrap().to_vec();
    let last = value.len() - 1;
    value[last] = value[last].checked_add_signed(by).unwrap();
    db.insert(row, value).unwrap();
    db.flush().unwrap();
}

#[test]
fn a_database_that_was_never_released_is_set_aside_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join("slug/s.jsonl"), (prompt(&session("s"), 1) + &answer(&session("s"), "m")).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    change_version(&world.state, "mschema", -5);
    let aside = store::open(&world.state, world.now).unwrap().set_aside.unwrap();
    assert!(aside.exists(), "it is renamed, never deleted");
    world.start();
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(world.summary().messages, 1);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    // The layout as a whole, and rows of one kind.
    for (row, refused) in [
        ("mschema", "has schema 10, this program knows up to 9"),
        ("mversions", "has rows `y` of version 2, this program knows up to 1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        world.close();
        change_version(&world.state, row, 1);
        for _ in 0..2 {
            let error = store::open(&world.state, world.now).unwrap_err().to_string();
            assert!(error.contains(refused) && error.contains("use a newer tailspan"), "{error}");
        }
    }
}

#[test]
fn a_marker_of_damage_without_a_database_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.close();
    store::mark_damaged(&world.state).unwrap();
    fs::remove_dir_all(world.state.join("db")).unwrap();
    assert!(store::open(&world.state, world.now).unwrap().set_aside.is_none());
    assert!(store::open(&world.state, world.now).unwrap().set_aside.is_none(), "the marker is gone");
}

#[test]
fn an_open_turn_that_is_held_is_not_written_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(folder.path(), Policy { settle_ms: 0, ..EVERYTHING });
    let call = answer(&session("s"), "m")
        .replace("\"content\":[]", "\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Bash\",\"input\":{}}]");
    let text = prompt(&session("s"), 1) + &call.replace("end_turn", "tool_use");
    append(&world.root.join("slug/s.jsonl"), text.as_bytes());
    world.now = Timestamp::parse("2026-11-22T06:10:00.000Z").unwrap();
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    let engine = world.engine.as_mut().unwrap();
    for _ in 0..10 {
        engine.tick(world.now).unwrap();
        assert!(!engine.is_dirty());
    }
    let next = engine.next_tick().unwrap();
    assert!(next.since_ms(world.now) >= 50_000, "looked at again after the hold, not at once");
}

#[test]
fn a_database_cut_at_any_length_never_changes_what_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    copy_folder(&projects_of("recordings/2.1.330/z1_big_transcript"), &world.root);
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    let expected = clean(&[world.root.clone()]);
    let intact = folder.path().join("intact");
    copy_folder(&world.state, &intact);
    let whole = fs::metadata(intact.join("db/db")).unwrap().len();
    let mut dice = Dice::new(9);
    for part in 0..8 {
        fs::remove_dir_all(&world.state).unwrap();
        copy_folder(&intact, &world.state);
        let length = whole * part / 8 + dice.below(4096) as u64;
        fs::OpenOptions::new().write(true).open(world.state.join("db/db")).unwrap().set_len(length).unwrap();
        world.start();
        world.read(&mut Dice::new(2), usize::MAX);
        world.settle();
        assert_eq!(world.summary(), expected, "cut to {length} of {whole} bytes");
        world.close();
    }
}

#[test]
fn a_file_that_vanishes_between_the_look_and_the_reading_delays_no_other() {
    use std::ops::ControlFlow;
    use tailspan::engine::ahead::{Parsed, for_each};
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for number in 0..9 {
        let name = format!("s{number}");
        let text = prompt(&session(&name), number) + &answer(&session(&name), &name);
        append(&world.root.join(format!("slug/{name}.jsonl")), text.as_bytes());
    }
    let found = tailspan::tail::scan(&world.root, &mut |problem| panic!("{problem}"));
    let (now, engine) = (world.now, world.engine.as_mut().unwrap());
    let jobs = engine.jobs(found).unwrap();
    // Deleted, replaced by a folder, replaced by another file.
    fs::remove_file(world.root.join("slug/s0.jsonl")).unwrap();
    fs::remove_file(world.root.join("slug/s4.jsonl")).unwrap();
    fs::create_dir(world.root.join("slug/s4.jsonl")).unwrap();
    fs::write(world.root.join("new"), prompt(&session("s8"), 8) + &answer(&session("s8"), "other")).unwrap();
    fs::rename(world.root.join("new"), world.root.join("slug/s8.jsonl")).unwrap();
    let mut gone = 0;
    for_each(&jobs, 2, |parsed| {
        match parsed {
            Parsed::Piece(piece) => engine.step(&piece, now).unwrap(),
            Parsed::Done { gone: is_gone, .. } => gone += u32::from(is_gone),
            other => panic!("{other:?}"),
        }
        ControlFlow::Continue(())
    });
    world.settle();
    assert_eq!(gone, 2);
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
    assert_eq!(world.summary().messages, 7);
}
