//! One outbox, several endpoints: each gets every span once, at its own pace, and delays no other.

use std::net::SocketAddr;

use tailspan::export::FailureReason;
use tailspan::store::OutboxReader;

use crate::support::database;
use crate::support::outbox::{Running, State};
use crate::support::queue::{self, PATIENCE, ids};
use crate::support::sink::{Answer, Sink};

/// An address of loopback where nobody listens yet.
async fn free_address() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn soon(end: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, end).await.expect("it hangs");
}

/// Ends when the sink has taken spans 1 to `last`, and checks that they came once and in order.
async fn has_all(sink: &Sink, last: u64) {
    soon(sink.spans_reach(usize::try_from(last).unwrap())).await;
    assert_eq!(ids(&sink.accepted_spans()), (1..=last).collect::<Vec<u64>>());
}

#[tokio::test]
async fn every_endpoint_gets_every_span_once() {
    let (folder, a, b) = (tempfile::tempdir().unwrap(), Sink::start().await, Sink::start().await);
    let (mut state, readers) = State::open(folder.path(), &["a", "b"], 1);
    state.put(3);
    let running = Running::start(readers, &[("a", a.url()), ("b", b.url())]);
    has_all(&a, 3).await;
    has_all(&b, 3).await;
    for last in 4..20 {
        // Once nothing waits, both exporters do, and each must be woken.
        soon(async {
            while state.waiting() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        state.put(1);
        has_all(&a, last).await;
        has_all(&b, last).await;
    }
    let counters = running.stop().await;
    assert_eq!(counters.spans_exported(), 38);
    assert_eq!(state.waiting(), 0);
}

#[tokio::test]
async fn an_endpoint_that_appears_later_gets_everything_in_order_and_keeps_nobody_waiting() {
    let (folder, up, down) = (tempfile::tempdir().unwrap(), Sink::start().await, free_address().await);
    let (mut state, readers) = State::open(folder.path(), &["down", "up"], 1);
    let running = Running::start(readers, &[("down", format!("http://{down}")), ("up", up.url())]);
    for last in 1..=5 {
        state.put(1);
        has_all(&up, last).await;
    }
    assert_eq!(state.waiting(), 5);
    // One that works does not hide the trouble of the other.
    let error = running.counters.last_error().unwrap();
    assert!(error.starts_with("down: spans cannot be delivered now"), "{error}");
    let late = Sink::start_at(down).await;
    has_all(&late, 5).await;
    let counters = running.stop().await;
    assert!(counters.failures(FailureReason::Connect) > 0);
    assert_eq!((counters.last_error(), state.waiting(), counters.spans_exported()), (None, 0, 10));
    assert_eq!(up.received().len(), 5);
}

#[tokio::test]
async fn a_restart_keeps_the_place_of_each_endpoint() {
    let (folder, up, down) = (tempfile::tempdir().unwrap(), Sink::start().await, free_address().await);
    let names = [("up", up.url()), ("down", format!("http://{down}"))];
    let (mut state, readers) = State::open(folder.path(), &["up", "down"], 1);
    state.put(4);
    let running = Running::start(readers, &names);
    has_all(&up, 4).await;
    running.stop().await;
    drop(state);

    let (mut state, readers) = State::open(folder.path(), &["up", "down"], 5);
    assert_eq!(state.waiting(), 4);
    state.put(2);
    let late = Sink::start_at(down).await;
    let running = Running::start(readers, &names);
    has_all(&up, 6).await;
    has_all(&late, 6).await;
    running.stop().await;
    assert_eq!(state.waiting(), 0);
    drop(state);

    // The numbers of rows go on although none is left: a cursor must not be ahead of what comes.
    let (mut state, readers) = State::open(folder.path(), &["up", "down"], 7);
    state.put(1);
    let running = Running::start(readers, &names);
    has_all(&up, 7).await;
    has_all(&late, 7).await;
    running.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_no_longer_configured_frees_its_rows() {
    let (folder, up) = (tempfile::tempdir().unwrap(), Sink::start().await);
    let (mut state, readers) = State::open(folder.path(), &["gone", "up"], 1);
    state.put(3);
    let running = Running::start(readers, &[("gone", format!("http://{}", free_address().await)), ("up", up.url())]);
    has_all(&up, 3).await;
    running.stop().await;
    assert_eq!(state.waiting(), 3);
    drop(state);

    // Export that is off for a while forgets nothing.
    let (state, readers) = State::open(folder.path(), &[], 4);
    assert!(readers.is_empty());
    assert_eq!(state.waiting(), 3);
    drop(state);

    let (state, readers) = State::open(folder.path(), &["up"], 4);
    assert_eq!(state.waiting(), 0);
    drop((state, readers));
    let (mut state, readers) = State::open(folder.path(), &["gone", "up"], 4);
    state.put(1);
    let back = Sink::start().await;
    let running = Running::start(readers, &[("gone", back.url()), ("up", up.url())]);
    has_all(&up, 4).await;
    soon(back.spans_reach(1)).await;
    running.stop().await;
    assert_eq!(ids(&back.accepted_spans()), [4]);
}

#[test]
fn an_endpoint_that_comes_back_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut state, mut readers) = State::open(folder.path(), &["left", "stays"], 1);
    state.put(3);
    let rows = |reader: &mut OutboxReader| reader.peek(512, 1 << 20).unwrap().len();
    assert_eq!(rows(&mut readers[0]), 1);
    let (row, _) = readers[0].peek(512, 1 << 20).unwrap().remove(0);
    readers[0].acknowledge(&[row]).unwrap();
    assert_eq!(readers.iter_mut().map(rows).collect::<Vec<_>>(), [0, 1]);
    drop((state, readers));
    drop(State::open(folder.path(), &["stays"], 4));
    let (_state, mut readers) = State::open(folder.path(), &["left", "stays"], 4);
    assert_eq!(readers.iter_mut().map(rows).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn a_new_endpoint_begins_with_what_still_waits() {
    let (folder, first, second) = (tempfile::tempdir().unwrap(), Sink::start().await, Sink::start().await);
    // As a program without cursors leaves it.
    let (mut state, _) = State::open(folder.path(), &[], 1);
    state.put(2);
    drop(state);
    let (mut state, readers) = State::open(folder.path(), &["first"], 3);
    let running = Running::start(readers, &[("first", first.url())]);
    has_all(&first, 2).await;
    running.stop().await;
    state.put(2);
    drop(state);

    let (state, readers) = State::open(folder.path(), &["first", "second"], 5);
    let running = Running::start(readers, &[("first", first.url()), ("second", second.url())]);
    has_all(&first, 4).await;
    soon(second.spans_reach(2)).await;
    running.stop().await;
    assert_eq!(ids(&second.accepted_spans()), [3, 4]);
    assert_eq!(state.waiting(), 0);
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_nobody() {
    let (folder, up, hanging) = (tempfile::tempdir().unwrap(), Sink::start().await, Sink::start().await);
    hanging.script([Answer::Hang]);
    let (mut state, readers) = State::open(folder.path(), &["hanging", "up"], 1);
    state.put(1);
    let running = Running::start(readers, &[("hanging", hanging.url()), ("up", up.url())]);
    soon(hanging.requests_reach(1)).await;
    for last in 2..=6 {
        state.put(1);
        has_all(&up, last).await;
    }
    assert_eq!(hanging.received().len(), 1);
    assert_eq!(running.counters.failures(FailureReason::Timeout), 0);
    assert_eq!(state.waiting(), 6);
}

#[test]
fn large_rows_leave_nothing_behind() {
    use tailspan::views::traces::span::{Attribute, Value};
    let folder = tempfile::tempdir().unwrap();
    let (mut state, mut readers) = State::open(folder.path(), &["a"], 1);
    let mut large = queue::named("large", 1);
    large.attributes = vec![Attribute { key: "text".into(), value: Value::Text("x".repeat(300_000)) }];
    state.put_batch(queue::batch("2.1.0", vec![large]));
    state.put(1);
    let rows = readers[0].peek(1, 1 << 20).unwrap();
    assert_eq!(rows.len(), 1);
    readers[0].acknowledge(&[rows[0].0]).unwrap();
    assert_eq!(state.waiting(), 1);
    drop((state, readers));
    let database = database::open(folder.path());
    assert_eq!(database.scan_prefix(b"o").count(), 1);
}
