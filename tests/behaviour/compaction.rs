//! The database gives back what rewritten rows took on disk, and a kill while it does so costs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use tailspan::ledger::known::Thread;
use tailspan::store::{self, Commit, FileRow};
use tailspan::transcript::chunk::{FileNumber, FileRole};
use tailspan::views::sessions::summary::Summary;

use crate::support::privileges::Mount;
use crate::support::spans::waiting;
use crate::support::world::{Dice, World, copy_folder, recordings};

/// A state with everything that the recordings bring, its spans still waiting.
fn filled(folder: &Path) -> World {
    let mut world = World::new(folder);
    for recording in recordings().into_iter().filter(|recording| recording.starts_with(version("2.1.330"))) {
        copy_folder(&recording.join("projects"), &world.root);
    }
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    world
}

fn version(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name)
}

/// What the state says after a start, and the spans that wait.
fn told(world: &mut World) -> (Summary, usize) {
    world.start();
    let told = (world.summary(), waiting(world).len());
    world.close();
    told
}

#[test]
fn a_compacted_database_says_the_same_to_all_who_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = filled(folder.path());
    let spans = waiting(&mut world);
    world.close();
    let expected = told(&mut world);

    let mut opened = store::open(&world.state, world.now).unwrap();
    let mut queue = opened.outbox.readers(&["default"]).unwrap().pop().unwrap();
    let sessions = |reader: &store::StoreReader| {
        let mut ids = Vec::new();
        reader.each_session(|session| ids.push(session.id)).unwrap();
        ids
    };
    let before = sessions(&opened.reader);
    opened.writer.compact().unwrap();
    assert_eq!(sessions(&opened.reader), before, "a reader goes on");
    let sent = queue.peek(20, usize::MAX).unwrap();
    queue.acknowledge(&sent.iter().map(|(id, _)| *id).collect::<Vec<_>>()).unwrap();
    opened.writer.flush().unwrap();
    opened.writer.compact().unwrap();
    drop((opened.writer, opened.reader, opened.kept, queue));

    let count: usize = sent.iter().map(|(_, batch)| batch.spans.len()).sum();
    assert!(count > 0 && count < spans.len());
    assert_eq!(told(&mut world), (expected.0, expected.1 - count), "what was acknowledged stays so");
    let names = || fs::read_dir(&world.state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names().any(|name| name == "db.new" || name == "db.old"));
}

#[test]
fn a_compaction_that_has_no_room_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = filled(folder.path());
    world.close();
    let expected = told(&mut world);
    let mut opened = store::open(&world.state, world.now).unwrap();
    // As good as a full disk: the copy cannot be made.
    fs::write(world.state.join("db.new"), "").unwrap();
    opened.writer.compact().unwrap();
    opened.writer.flush().unwrap();
    fs::remove_file(world.state.join("db.new")).unwrap();
    drop(opened);
    assert_eq!(told(&mut world), expected);
}

#[test]
fn a_copy_leaves_room_on_the_disk_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=128m") else { return };
    let state = disk.join("state");
    let mut writer = store::open(&state, tailspan::transcript::time::Timestamp(0)).unwrap().writer;
    let live = 8_000 * 2_000;
    for number in 0..8_000 {
        let row = FileRow { path: vec![7; 2_000], role: FileRole::Rows, cursor: None, thread: Thread::default() };
        writer.commit(&Commit { files: vec![(FileNumber(number), &row)], ..Commit::default() }).unwrap();
    }
    writer.flush().unwrap();
    let names = || fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let free = || {
        let disk = rustix::fs::statvfs(&disk).unwrap();
        usize::try_from(disk.f_bavail * disk.f_frsize).unwrap()
    };
    // Enough for the copy alone.
    let filler = disk.join("filler");
    fs::write(&filler, vec![1; free() - live * 19 / 10]).unwrap();
    let before = free();
    writer.compact().unwrap();
    assert!(!names().any(|name| name.starts_with("db-") || name == "db.new"), "no copy is begun");
    assert!(free() + 100_000 > before, "{} of {before} bytes are still free", free());
    fs::remove_file(filler).unwrap();
    writer.compact().unwrap();
    assert!(names().any(|name| name == "db-1"), "with room again");
}

#[test]
fn a_kill_at_any_step_of_a_compaction_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = filled(folder.path());
    world.close();
    let expected = told(&mut world);
    let world_state = world.state.clone();
    let (db, new, old) = (world.state.join("db"), world.state.join("db.new"), world.state.join("db.old"));
    let incomplete = |new: &Path| {
        copy_folder(&db, new);
        let file = fs::OpenOptions::new().write(true).open(new.join("db")).unwrap();
        file.set_len(file.metadata().unwrap().len() / 3).unwrap();
    };

    let numbered = |number: u32| world_state.join(format!("db-{number}"));
    incomplete(&new);
    assert_eq!(told(&mut world), expected, "while the new one was filled");
    assert!(!new.exists());

    copy_folder(&db, &numbered(1));
    incomplete(&old);
    fs::remove_dir_all(&db).unwrap();
    copy_folder(&old, &db);
    assert_eq!(told(&mut world), expected, "the newest is used, whatever became of the one before");
    assert!(!numbered(1).exists() && !old.exists());

    copy_folder(&db, &numbered(10));
    incomplete(&numbered(9));
    assert_eq!(told(&mut world), expected, "after several");
    assert!(!numbered(9).exists() && !numbered(10).exists());

    copy_folder(&db, &numbered(3));
    incomplete(&old);
    fs::remove_dir_all(&db).unwrap();
    assert_eq!(told(&mut world), expected, "a start was killed between its renames");
    assert!(!numbered(3).exists() && !old.exists());

    copy_folder(&db, &numbered(1));
    fs::write(numbered(1).join("db"), [7; 5000]).unwrap();
    assert_eq!(told(&mut world), expected, "the newest cannot be opened: back to the one before");
}

#[test]
fn a_large_value_is_read_whole_while_it_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let opened = store::open(folder.path(), tailspan::transcript::time::Timestamp(0)).unwrap();
    let (mut writer, reader) = (opened.writer, opened.reader);
    let mut write = |round: u32| {
        // Several parts, all different in each round; the length changes too.
        let path = vec![u8::try_from(round % 251).unwrap(); 300_000 + (round % 7) as usize];
        let row = FileRow { path, role: FileRole::Rows, cursor: None, thread: Thread::default() };
        writer.commit(&Commit { files: vec![(FileNumber(1), &row)], ..Commit::default() }).unwrap();
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut read = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                let path = reader.file(FileNumber(1)).unwrap().unwrap().path;
                assert!(path.iter().all(|byte| *byte == path[0]), "parts of two commits");
                read += 1;
            }
            read
        });
        (1..400).for_each(&mut write);
        done.store(true, std::sync::atomic::Ordering::Release);
        assert!(reading.join().unwrap() > 0);
    });
}

#[test]
fn who_reads_while_the_database_is_compacted_reads_on() {
    const ROWS: u32 = 60;
    let folder = tempfile::tempdir().unwrap();
    let mut opened = store::open(folder.path(), tailspan::transcript::time::Timestamp(0)).unwrap();
    for number in 0..ROWS {
        // A page of this size would have a file of its own, were it written as one row.
        let row = FileRow { path: vec![7; 85_000], role: FileRole::Rows, cursor: None, thread: Thread::default() };
        opened.writer.commit(&Commit { files: vec![(FileNumber(number), &row)], ..Commit::default() }).unwrap();
    }
    opened.writer.flush().unwrap();
    drop((opened.writer, opened.reader, opened.kept, opened.outbox));
    let store::Opened { mut writer, reader, .. } =
        store::open(folder.path(), tailspan::transcript::time::Timestamp(0)).unwrap();
    let blobs = fs::read_dir(folder.path().join("db/blobs")).unwrap().count();
    assert_eq!(blobs, 0, "no page is so large that it has a file of its own");
    let mut seen = 0;
    reader
        .each_file(|_, _| {
            if seen == 0 {
                writer.compact().unwrap();
                writer.compact().unwrap();
            }
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, ROWS);
    writer.flush().unwrap();
    let databases = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("db"));
    assert_eq!(databases.count(), 1, "what nobody reads any more is removed");
}

#[test]
fn a_database_that_is_rewritten_all_the_time_stays_small() {
    const ROWS: u32 = 4000;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = store::open(folder.path(), tailspan::transcript::time::Timestamp(0)).unwrap().writer;
    let mut dice = Dice::new(7);
    let (mut most, mut before, mut shrunk, live) = (0, 0, 0, u64::from(ROWS) * 1520);
    for round in 0..30_000u32 {
        let number = if round < ROWS { round } else { u32::try_from(dice.below(ROWS as usize)).unwrap() };
        let path: Vec<u8> = (0..1500).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        let row = FileRow { path, role: FileRole::Rows, cursor: None, thread: Thread::default() };
        writer.commit(&Commit { files: vec![(FileNumber(number), &row)], ..Commit::default() }).unwrap();
        if round % 100 == 99 {
            writer.flush().unwrap();
            let now = writer.bytes_on_disk();
            shrunk += usize::from(now < before / 4 * 3);
            before = now;
            most = most.max(if round > ROWS { now } else { 0 });
        }
    }
    println!("at most {most} bytes on disk for {live} live ones, {shrunk} times compacted");
    // Without compaction it comes to more than 4 times; how often it is due depends on sled's own threads.
    assert!(most < live * 4, "{most} bytes on disk for {live} live ones");
}

#[test]
fn an_end_does_not_wait_for_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = filled(folder.path());
    world.close();
    let expected = told(&mut world);
    let mut opened = store::open(&world.state, world.now).unwrap();
    opened.kept.pulse.end();
    opened.writer.compact().unwrap();
    assert!(world.state.join("db").exists(), "the database is the one that it was");
    drop((opened.writer, opened.reader, opened.kept, opened.outbox));
    assert_eq!(told(&mut world), expected);
}
