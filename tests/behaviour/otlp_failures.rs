//! What can go wrong between us and a collector, one test each; none of it loses a span or sends one twice in a hurry.

use std::time::Duration;

use tailspan::export::{
    BackoffLimits, DrainConfig, DropReason, ExportCounters, Exporter, FailureReason, OtlpConfig, OtlpEndpoint,
    RequestOutcome,
};
use tokio::sync::watch;

use crate::support::queue::{PATIENCE, Queue, batch, deliver, deliver_until, entries, ids, impatient, named, otlp};
use crate::support::sink::{Answer, Cut, Sink};

/// Far beyond any test.
const LONG: Duration = Duration::from_secs(600);

/// Enough attempts of another exporter, a millisecond apart, to see one that does not wait.
const ATTEMPTS: usize = 40;

/// Lets another exporter try [`ATTEMPTS`] times.
async fn others_try() {
    let sink = Sink::start().await;
    sink.script((0..ATTEMPTS).map(|_| Answer::status(503)));
    deliver(&Queue::of(entries(&[1])), otlp(&sink), impatient()).await;
}

/// Checks that after this answer nothing is sent while others try again and again.
async fn check_waits(answer: Answer, timeout: Duration, backoff: BackoffLimits, failure: FailureReason) {
    let sink = Sink::start().await;
    sink.script([answer]);
    let queue = Queue::of(entries(&[2]));
    let config = OtlpConfig { endpoint: sink.url(), timeout, ..OtlpConfig::default() };
    let drain = DrainConfig { backoff, ..impatient() };
    let exporter = Exporter::new(queue.reader(), OtlpEndpoint::new(config).unwrap(), drain);
    let counters = exporter.counters();
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(exporter.run(stopped));
    failed(&counters, failure).await;
    others_try().await;
    assert_eq!(sink.received().len(), 1);
    // The end does not wait, and what waits stays.
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, run).await.expect("the exporter does not stop").unwrap().unwrap();
    assert_eq!(sink.received().len(), 1);
    assert_eq!(queue.spans(), 2);
}

/// Ends when a failure of this kind has been counted.
async fn failed(counters: &ExportCounters, failure: FailureReason) {
    let counted = async {
        while counters.failures(failure) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("no failure was counted");
}

#[tokio::test]
async fn the_wait_that_a_collector_asks_for_is_kept() {
    let backoff = BackoffLimits { retry_after_max: LONG, ..impatient().backoff };
    for (status, failure) in [(429, FailureReason::Throttled), (503, FailureReason::Status5xx)] {
        let answer = Answer::Refuse { status, retry_after: Some("86400") };
        check_waits(answer, PATIENCE, backoff, failure).await;
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_repeated_in_a_hurry() {
    let backoff = BackoffLimits { ambiguous_min: LONG, ..impatient().backoff };
    check_waits(Answer::Hang, Duration::from_millis(500), backoff, FailureReason::Timeout).await;
    check_waits(Answer::DropAfterReading, PATIENCE, backoff, FailureReason::Connect).await;
    assert_eq!(BackoffLimits::default().ambiguous_min, Duration::from_secs(15));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_split_down_to_the_span_that_is() {
    for status in [400, 413, 422] {
        let sink = Sink::start().await;
        sink.poison_with("huge", status);
        let mut batches = entries(&[3, 5, 3]);
        batches[1].spans[1].name = "huge".to_owned();
        let queue = Queue::of(batches);
        let counters = deliver(&queue, otlp(&sink), impatient()).await;
        assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3, 4, 6, 7, 8, 9, 10, 11], "{status}");
        assert_eq!(counters.dropped_spans(DropReason::Rejected), 1);
        assert_eq!(counters.spans_exported(), 10);
        assert_eq!(counters.failures(FailureReason::Status4xx), 5, "11, 5, 3, 2, 1 spans");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_endpoint_is_not_blamed_on_the_spans() {
    for status in [401, 403, 404, 407, 415] {
        let sink = Sink::start().await;
        sink.script([Answer::status(status)]);
        let queue = Queue::of(entries(&[2]));
        let counters = deliver(&queue, otlp(&sink), impatient()).await;
        let received = sink.received();
        assert_eq!((received.len(), &received[0].raw), (2, &received[1].raw), "{status}");
        assert_eq!(counters.failures(FailureReason::Unauthorized), 1);
        assert_eq!((counters.spans_exported(), counters.dropped_spans(DropReason::Rejected)), (2, 0));
    }
}

/// Half a mebibyte that is sent as it is, so that a request does not fit into the buffers of a connection.
fn large() -> Vec<tailspan::views::traces::span::SpanBatch> {
    vec![batch("2.1.0", (1..=64).map(|id| named(&"x".repeat(8_000), id)).collect())]
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_a_request_costs_nothing() {
    let sink = Sink::start().await;
    sink.cut([Cut::Body(0), Cut::Body(1_000), Cut::Body(100_000)]);
    let queue = Queue::of(large());
    let config = OtlpConfig { endpoint: sink.url(), timeout: PATIENCE, gzip: false, ..OtlpConfig::default() };
    let counters = deliver(&queue, OtlpEndpoint::new(config).unwrap(), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), (1..=64).collect::<Vec<u64>>());
    assert_eq!(counters.failures(FailureReason::Connect), 3);
    let whole = &sink.received()[0].raw;
    let lengths: Vec<_> = sink.cut_bodies().iter().map(Vec::len).collect();
    assert_eq!(lengths, [0, 1_000, 100_000]);
    assert!(sink.cut_bodies().iter().all(|part| whole.starts_with(part)), "the same bytes go again");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let sink = Sink::start().await;
    let halves = [
        "HTT",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbad",
        "220 mail.example ESMTP\r\n",
    ];
    sink.cut(halves.map(Cut::Answer));
    let queue = Queue::of(entries(&[3]));
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(sink.cut_bodies(), halves.map(|_| received[0].raw.to_vec()));
    assert_eq!(counters.failures(FailureReason::Connect), 5);
    assert_eq!((counters.spans_exported(), counters.dropped_spans(DropReason::Rejected)), (3, 0));
}

#[tokio::test]
async fn a_slow_collector_that_answers_in_time_has_the_spans() {
    let sink = Sink::start().await;
    sink.script([Answer::WhenTold]);
    let queue = Queue::of(entries(&[2]));
    let told = async {
        sink.requests_reach(1).await;
        others_try().await;
        assert_eq!(queue.spans(), 2, "not taken before it says so");
        sink.tell();
        queue.emptied().await;
    };
    let counters = deliver_until(&queue, otlp(&sink), impatient(), told).await;
    assert_eq!(sink.received().len(), 1);
    assert_eq!(counters.spans_exported(), 2);
    assert!(FailureReason::ALL.iter().all(|reason| counters.failures(*reason) == 0));
}

/// Delivers two spans, of which the endpoint takes the first request with this answer. What was said of it.
async fn answered(status: u16, kind: &'static str, body: &'static [u8]) -> (Vec<u64>, u64, Option<String>) {
    let sink = Sink::start().await;
    sink.script((0..2).map(|_| Answer::Foreign(status, kind, body)));
    let queue = Queue::of(entries(&[2]));
    let mut said = None;
    let exporter = Exporter::new(queue.reader(), otlp(&sink), impatient());
    let counters = exporter.counters();
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(exporter.run(stopped));
    let settled = async {
        while queue.spans() > 0 {
            said = counters.last_error().or(said.take());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("the exporter hangs");
    stop.send_replace(true);
    run.await.unwrap().unwrap();
    assert_eq!(counters.spans_exported(), 2);
    (ids(&sink.accepted_spans()), counters.failures(FailureReason::NotOtlp), said)
}

#[tokio::test]
async fn a_success_of_something_else_than_a_collector_is_no_delivery() {
    let login = b"<!DOCTYPE html><html><body>Sign in</body></html>".as_slice();
    let foreign = [
        (200, "text/html; charset=utf-8", login, "answered 200 with text/html: that is no OTLP receiver"),
        (200, "", login, "answered 200 with something that is neither protobuf nor JSON"),
        (203, "text/plain", b"OK".as_slice(), "answered 203 with text/plain"),
        (200, "application/x-protobuf", login, "answered 200 with application/x-protobuf"),
        (200, "application/json", b"[]", "answered 200 with application/json"),
        (200, "application/json", b"{\"error\": \"sign in\"}", "answered 200 with application/json"),
        (400, "text/html", login, "answered 400 with a page of HTML"),
        (400, "text/plain", b"Client sent an HTTP request to an HTTPS server.\n", "write https://"),
    ];
    for (status, kind, body, expected) in foreign {
        let (accepted, failures, said) = answered(status, kind, body).await;
        assert_eq!((accepted.as_slice(), failures), ([1, 2].as_slice(), 2), "{status} {kind}");
        let said = said.expect("nothing was said");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_collector_may_say_yes_in_several_ways() {
    let rejected = br#"{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}"#.as_slice();
    let taken = [
        (204, "", b"".as_slice(), 0),
        (200, "text/html", b"", 0),
        (200, "application/json", b" {}", 0),
        (200, "text/plain", b"{\"partialSuccess\": null, \"more\": 1}", 0),
        (202, "", b"{\"partial_success\": {}}", 0),
        (200, "application/json; charset=utf-8", b"{\"message\": \"OK\"}", 0),
        (200, "application/json", b"null", 0),
        (200, "application/json", rejected, 1),
        (200, "application/x-protobuf", b"\x0a\x02\x08\x01", 1),
    ];
    for (status, kind, body, rejected) in taken {
        let sink = Sink::start().await;
        sink.script([Answer::Foreign(status, kind, body)]);
        let counters = deliver(&Queue::of(entries(&[2])), otlp(&sink), impatient()).await;
        assert_eq!(sink.received().len(), 1, "{status} {kind}");
        assert_eq!((counters.rejected_spans(), counters.spans_exported()), (rejected, 2 - rejected), "{kind}");
    }
}

#[tokio::test]
async fn a_port_that_does_not_speak_http_1_is_named_as_such() {
    let sink = Sink::start().await;
    // The settings that a gRPC server sends first.
    sink.cut([Cut::Answer("\0\0\u{6}\u{4}\0\0\0\0\0\0\u{5}\0\0@\0")]);
    let config = OtlpConfig { endpoint: sink.url(), timeout: PATIENCE, ..OtlpConfig::default() };
    let outcome = OtlpEndpoint::new(config).unwrap().send(&entries(&[1])).await;
    let RequestOutcome::Ambiguous { timed_out: false, message } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("a gRPC port (4317)") && message.contains("4318"), "{message}");
}
