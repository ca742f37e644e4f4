//! A request that may have arrived goes again with the same bytes, also after a crash and whatever was queued since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tailspan::export::{Exporter, OtlpConfig, OtlpEndpoint};
use tailspan::store::OutboxReader;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::outbox::State;
use crate::support::queue::{PATIENCE, ids, impatient};
use crate::support::sink::{Answer, Received, Sink};

/// Runs one exporter until `end`; then it is gone, as in a crash.
async fn run_until(reader: OutboxReader, sink: &Sink, end: impl Future<Output = ()>) {
    let resource = (0..8).map(|number| (format!("key{number}"), "value".to_owned())).collect();
    let config = OtlpConfig { endpoint: sink.url(), timeout: PATIENCE, resource, ..OtlpConfig::default() };
    let (_stop, stopped) = watch::channel(false);
    let exporter = tokio::spawn(Exporter::new(reader, OtlpEndpoint::new(config).unwrap(), impatient()).run(stopped));
    tokio::time::timeout(PATIENCE, end).await.expect("it hangs");
    exporter.abort();
    assert!(exporter.await.unwrap_err().is_cancelled());
}

/// What the sink read from one start to the next: `first` is queued before the start, `then` while the first request is
/// in flight, and `after` once the process is gone and the next has begun.
async fn requests(
    folder: &Path,
    first: impl Fn(&mut State),
    then: impl Fn(&mut State),
    after: impl Fn(&mut State),
) -> Vec<Received> {
    let sink = Sink::start().await;
    sink.script([Answer::DropAfterReading, Answer::Hang]);
    let (mut state, mut readers) = State::open(folder, &["default"], 1);
    first(&mut state);
    run_until(readers.remove(0), &sink, async {
        sink.requests_reach(1).await;
        then(&mut state);
        // The same process repeats it first.
        sink.requests_reach(2).await;
    })
    .await;
    drop(state);
    let (mut state, mut readers) = State::open(folder, &["default"], 100);
    after(&mut state);
    let waiting = usize::try_from(state.waiting()).unwrap();
    run_until(readers.remove(0), &sink, sink.spans_reach(waiting)).await;
    sink.received()
}

#[tokio::test]
async fn the_first_request_after_a_crash_is_the_one_that_had_no_answer() {
    let few = |state: &mut State| (0..3).for_each(|_| state.put(2));
    let folder = tempfile::tempdir().unwrap();
    let received = requests(folder.path(), few, few, few).await;
    assert_eq!(ids(&received[0].spans()), [1, 2, 3, 4, 5, 6], "small turns share a request");
    assert_eq!(received[0].headers["content-encoding"], "gzip");
    assert_eq!(received[0].raw, received[1].raw);
    assert_eq!(received[0].raw, received[2].raw);
    let later: Vec<u64> = received[3..].iter().flat_map(|request| ids(&request.spans())).collect();
    assert_eq!(later, [7, 8, 9, 10, 11, 12, 100, 101, 102, 103, 104, 105]);
}

#[tokio::test]
async fn a_request_that_ends_at_a_limit_or_at_another_version_is_the_same_again() {
    let full = |state: &mut State| (0..5).for_each(|_| state.put(150));
    let large = |state: &mut State| state.put(700);
    let mixed = |state: &mut State| {
        for version in ["2.1.0", "2.1.0", "2.1.1", "2.1.0"] {
            state.put_unflushed(version, 3);
        }
        state.writer.flush().unwrap();
    };
    // A request takes whole rows of the outbox: a large turn is in several.
    for (first, spans) in [(full as fn(&mut State), 450..=450), (large, 480..=512), (mixed, 6..=6)] {
        let folder = tempfile::tempdir().unwrap();
        let received = requests(folder.path(), first, full, mixed).await;
        assert!(spans.contains(&received[0].spans().len()), "{}", received[0].spans().len());
        assert_eq!(received[0].raw, received[1].raw);
        assert_eq!(received[0].raw, received[2].raw);
    }
}

#[test]
fn a_restart_ends_the_last_request() {
    let folder = tempfile::tempdir().unwrap();
    let (mut state, mut readers) = State::open(folder.path(), &["default"], 1);
    state.put(2);
    let before = readers[0].peek(512, 1 << 20).unwrap();
    drop((state, readers));
    let (mut state, mut readers) = State::open(folder.path(), &["default"], 3);
    state.put(2);
    assert_eq!(readers[0].peek(512, 1 << 20).unwrap(), before);
}

/// Marsaglia's xorshift64: the same run for the same seed.
fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

/// What a flush has made durable.
struct Saved {
    folder: TempDir,
    spans: u64,
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn save(folder: &Path, spans: u64) -> Saved {
    let saved = tempfile::tempdir().unwrap();
    copy_folder(folder, saved.path());
    Saved { folder: saved, spans }
}

/// By number of its first row: the rows of a request and the ids of its spans.
type Requests = BTreeMap<u64, (Vec<u64>, Vec<u64>)>;

/// The next request of a reader. It must be the one that began there at any time before.
fn look(reader: &mut OutboxReader, begun: &mut Requests, seed: u64) -> (Vec<u64>, Vec<u64>) {
    let entries = reader.peek(8, 1 << 20).unwrap();
    let rows: Vec<u64> = entries.iter().map(|(row, _)| *row).collect();
    let ids: Vec<u64> = entries.iter().flat_map(|(_, batch)| batch.spans.iter().map(|span| span.id.0)).collect();
    assert!(entries.windows(2).all(|two| two[0].1.service_version == two[1].1.service_version), "not one request");
    let request = (rows, ids);
    if let Some(first) = request.0.first() {
        assert_eq!(*begun.entry(*first).or_insert_with(|| request.clone()), request, "seed {seed}");
    }
    request
}

/// Commits, flushes, looks, acknowledgements, restarts and crashes in any order: whenever a request begins at a row, it
/// has the same rows as every other one that ever began there; and nothing is lost.
fn check_any_order(seed: u64) {
    const NAMES: [&str; 2] = ["a", "b"];
    let mut dice = seed;
    let folder = tempfile::tempdir().unwrap();
    let mut open = State::open(folder.path(), &NAMES, 1);
    let (mut begun, mut spans, mut saved) = (Requests::new(), 0, save(folder.path(), 0));
    let mut taken = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..150 {
        let reader = usize::try_from(random(&mut dice, 2)).unwrap();
        match random(&mut dice, 32) {
            0..=7 => {
                let size = 1 + random(&mut dice, 4);
                spans += size;
                open.0.put_unflushed(["2.1.0", "2.1.0", "2.1.0", "2.1.1"][usize::try_from(size - 1).unwrap()], size);
            }
            8..=14 => {
                open.0.writer.flush().unwrap();
                saved = save(folder.path(), spans);
            }
            15..=19 => drop(look(&mut open.1[reader], &mut begun, seed)),
            20..=28 => {
                let (rows, ids) = look(&mut open.1[reader], &mut begun, seed);
                open.1[reader].acknowledge(&rows).unwrap();
                taken[reader].extend(ids);
            }
            crash => {
                drop(open);
                if crash == 31 {
                    fs::remove_dir_all(folder.path()).unwrap();
                    copy_folder(saved.folder.path(), folder.path());
                    spans = saved.spans;
                }
                open = State::open(folder.path(), &NAMES, spans + 1);
                saved = save(folder.path(), spans);
            }
        }
    }
    open.0.writer.flush().unwrap();
    for (reader, taken) in open.1.iter_mut().zip(&mut taken) {
        loop {
            let (rows, ids) = look(reader, &mut begun, seed);
            if rows.is_empty() {
                break;
            }
            reader.acknowledge(&rows).unwrap();
            taken.extend(ids);
        }
        assert_eq!(*taken, (1..=spans).collect::<BTreeSet<_>>(), "seed {seed}");
    }
    assert_eq!(open.0.waiting(), 0);
}

#[test]
fn a_request_has_the_same_rows_in_whatever_order_things_happen() {
    (1..=8).for_each(check_any_order);
}
