//! Spans in a queue, a collector on loopback: what arrives, in which requests, and what is counted.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as wire;
use tailspan::export::{DrainConfig, DropReason, FailureReason, OtlpConfig, OtlpEndpoint, RequestOutcome};
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::ids::{SpanId, TraceId};
use tailspan::views::traces::span::{Attribute, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, Value};

use crate::support::queue::{Queue, batch, deliver, deliver_until, entries, ids, impatient, named, otlp};
use crate::support::sink::{Answer, Sink};

fn attribute(key: &'static str, value: Value) -> Attribute {
    Attribute { key: key.into(), value }
}

fn wire_attribute(key: &str, value: Wire) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn failed_call() -> Span {
    Span {
        trace: TraceId(0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b),
        id: SpanId(0xfedc_ba98_7654_3210),
        parent: Some(SpanId(0x0123_4567_89ab_cdef)),
        kind: SpanKind::Client,
        name: "chat claude-opus-5".to_owned(),
        start: Timestamp(1_795_327_371_075),
        end: Timestamp(1_795_327_377_001),
        attributes: vec![
            attribute("z.first", Value::Text("text".to_owned())),
            attribute("a.second", Value::Int(-42)),
            attribute("cost", Value::Float(0.25)),
            attribute("flag", Value::Bool(true)),
            attribute("reasons", Value::Texts(vec!["end_turn".to_owned(), "other".to_owned()])),
        ],
        events: vec![SpanEvent {
            name: "retry".into(),
            time: Timestamp(1_795_327_372_500),
            attributes: vec![attribute("attempt", Value::Int(1))],
        }],
        links: vec![SpanLink {
            trace: TraceId(9),
            span: SpanId(8),
            attributes: vec![attribute("why", Value::Text("fork".to_owned()))],
        }],
        status: SpanStatus::Error("exit code 3".to_owned()),
    }
}

fn failed_call_on_the_wire() -> wire::Span {
    let array = ["end_turn", "other"].map(|text| AnyValue { value: Some(Wire::StringValue(text.to_owned())) });
    wire::Span {
        trace_id: 0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b_u128.to_be_bytes().to_vec(),
        span_id: 0xfedc_ba98_7654_3210_u64.to_be_bytes().to_vec(),
        parent_span_id: 0x0123_4567_89ab_cdef_u64.to_be_bytes().to_vec(),
        // Sampled, and the parent is known not to be remote.
        flags: 0x101,
        name: "chat claude-opus-5".to_owned(),
        kind: wire::span::SpanKind::Client.into(),
        start_time_unix_nano: 1_795_327_371_075_000_000,
        end_time_unix_nano: 1_795_327_377_001_000_000,
        attributes: vec![
            wire_attribute("z.first", Wire::StringValue("text".to_owned())),
            wire_attribute("a.second", Wire::IntValue(-42)),
            wire_attribute("cost", Wire::DoubleValue(0.25)),
            wire_attribute("flag", Wire::BoolValue(true)),
            wire_attribute("reasons", Wire::ArrayValue(ArrayValue { values: array.to_vec() })),
        ],
        events: vec![wire::span::Event {
            time_unix_nano: 1_795_327_372_500_000_000,
            name: "retry".to_owned(),
            attributes: vec![wire_attribute("attempt", Wire::IntValue(1))],
            dropped_attributes_count: 0,
        }],
        links: vec![wire::span::Link {
            trace_id: 9_u128.to_be_bytes().to_vec(),
            span_id: 8_u64.to_be_bytes().to_vec(),
            attributes: vec![wire_attribute("why", Wire::StringValue("fork".to_owned()))],
            flags: 0x101,
            ..wire::span::Link::default()
        }],
        status: Some(wire::Status { code: wire::status::StatusCode::Error.into(), message: "exit code 3".to_owned() }),
        ..wire::Span::default()
    }
}

#[tokio::test]
async fn a_span_arrives_once_and_whole() {
    let sink = Sink::start().await;
    let queue = Queue::of(vec![batch("2.1.224", vec![failed_call(), named("root", 1)])]);
    let config = OtlpConfig {
        endpoint: sink.url(),
        headers: vec![("Authorization".to_owned(), "Bearer secret".to_owned())],
        resource: vec![("zone".to_owned(), "eu".to_owned()), ("service.name".to_owned(), "shadowed".to_owned())],
        ..OtlpConfig::default()
    };
    let counters = deliver(&queue, OtlpEndpoint::new(config).unwrap(), impatient()).await;

    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].path, "/v1/traces");
    assert_eq!(received[0].headers["content-type"], "application/x-protobuf");
    assert_eq!(received[0].headers["content-encoding"], "gzip");
    assert_eq!(received[0].headers["authorization"], "Bearer secret");
    assert_eq!(received[0].resource(), ["service.name=claude-code", "service.version=2.1.224", "zone=eu"]);
    let scope = received[0].request.resource_spans[0].scope_spans[0].scope.clone().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("tailspan", env!("CARGO_PKG_VERSION")));
    let spans = received[0].spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0], failed_call_on_the_wire());
    assert!(spans[1].parent_span_id.is_empty());
    assert_eq!(spans[1].kind, i32::from(wire::span::SpanKind::Internal));
    assert_eq!(spans[1].status.clone().unwrap_or_default(), wire::Status::default());
    assert_eq!(counters.spans_exported(), 2);
    assert_eq!(counters.last_error(), None);
}

#[tokio::test]
async fn requests_are_plain_without_gzip_and_have_no_version_if_none_is_known() {
    let sink = Sink::start().await;
    let config = OtlpConfig { endpoint: sink.url(), gzip: false, ..OtlpConfig::default() };
    let outcome = OtlpEndpoint::new(config).unwrap().send(&[batch("", vec![named("turn", 1)])]).await;
    assert_eq!(outcome, RequestOutcome::Accepted);
    let received = sink.received();
    assert_eq!(received[0].headers.get("content-encoding"), None);
    assert_eq!(received[0].resource(), ["service.name=claude-code"]);
}

#[tokio::test]
async fn refused_twice_then_accepted_loses_nothing() {
    let sink = Sink::start().await;
    sink.script([
        Answer::Refuse { status: 503, retry_after: Some("120") },
        Answer::Refuse { status: 429, retry_after: Some("Fri, 31 Dec 9999 23:59:59 GMT") },
    ]);
    let queue = Queue::of(entries(&[3, 2]));
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3, 4, 5]);
    assert_eq!(sink.received().len(), 3);
    assert_eq!(counters.failures(FailureReason::Status5xx), 1);
    assert_eq!(counters.failures(FailureReason::Throttled), 1);
    assert_eq!(counters.spans_exported(), 5);
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let sink = Sink::start().await;
    let mut otlp = otlp(&sink);
    let spans = entries(&[1]);
    let mut after = async |status, value| {
        sink.script([Answer::Refuse { status, retry_after: Some(value) }]);
        match otlp.send(&spans).await {
            RequestOutcome::Retry { status: Some(answered), after, message } => {
                assert_eq!((answered, message), (status, format!("sink says {status}")));
                after
            }
            other => panic!("not a retry: {other:?}"),
        }
    };
    assert_eq!(after(503, "17").await, Some(Duration::from_secs(17)));
    assert!(after(429, "Fri, 31 Dec 9999 23:59:59 GMT").await.unwrap() > Duration::from_secs(86_400));
    assert_eq!(after(502, "Wed, 21 Oct 2015 07:28:00 GMT").await, None);
    assert_eq!(after(500, "soon").await, None);
}

#[tokio::test]
async fn partial_success_is_counted_and_not_repeated() {
    let sink = Sink::start().await;
    sink.script([Answer::Partial { rejected: 2, message: "span too old" }]);
    let queue = Queue::of(entries(&[5]));
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(sink.received().len(), 1);
    assert_eq!(counters.rejected_spans(), 2);
    assert_eq!(counters.spans_exported(), 3);
    assert_eq!(counters.last_error().as_deref(), Some("span too old"));
}

#[tokio::test]
async fn a_rejected_batch_is_split_down_to_the_bad_span() {
    let sink = Sink::start().await;
    sink.poison("bad");
    let mut batches = entries(&[4, 5, 4]);
    batches[1].spans[2].name = "bad".to_owned();
    let queue = Queue::of(batches);
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]);
    assert_eq!(counters.dropped_spans(DropReason::Rejected), 1);
    assert_eq!(counters.spans_exported(), 12);
    assert_eq!(counters.rejected_spans(), 0);
}

#[tokio::test]
async fn an_endpoint_that_refuses_us_costs_no_span() {
    let sink = Sink::start().await;
    sink.script([401, 403, 404, 405, 302].map(Answer::status));
    let queue = Queue::of(entries(&[2]));
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2]);
    assert_eq!(counters.failures(FailureReason::Unauthorized), 5);
    assert_eq!(counters.dropped_spans(DropReason::Rejected), 0);
}

#[tokio::test]
async fn shutdown_while_refused_leaves_the_queue_as_it_is() {
    let sink = Sink::start().await;
    sink.script([Answer::status(401)]);
    let queue = Queue::of(entries(&[2]));
    // Backoff and flush of the defaults: neither may be waited for.
    let counters = deliver_until(&queue, otlp(&sink), DrainConfig::default(), sink.requests_reach(1)).await;
    assert_eq!(queue.spans(), 2);
    assert_eq!(sink.received().len(), 1);
    let error = counters.last_error().unwrap();
    assert_eq!(error, "the endpoint refuses us, spans are kept (status 401): sink says 401");
}

#[tokio::test]
async fn a_span_without_length_lasts_a_nanosecond() {
    let sink = Sink::start().await;
    let span = named("at once", 1);
    let start = u64::try_from(span.start.0).unwrap() * 1_000_000;
    let queue = Queue::of(vec![batch("2.1.0", vec![Span { end: span.start, ..span }])]);
    deliver(&queue, otlp(&sink), impatient()).await;
    let sent = &sink.accepted_spans()[0];
    assert_eq!((sent.start_time_unix_nano, sent.end_time_unix_nano), (start, start + 1));
}

#[tokio::test]
async fn shutdown_empties_the_queue_first() {
    let sink = Sink::start().await;
    let queue = Queue::of(entries(&[3, 3, 3]));
    let config = DrainConfig { spans_max: 3, ..impatient() };
    deliver_until(&queue, otlp(&sink), config, std::future::ready(())).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(queue.spans(), 0);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_collector_that_hangs() {
    let sink = Sink::start().await;
    sink.script([Answer::Hang]);
    let queue = Queue::of(entries(&[1]));
    let config = DrainConfig { flush: Duration::from_millis(1), ..impatient() };
    deliver_until(&queue, otlp(&sink), config, sink.requests_reach(1)).await;
    assert_eq!(queue.spans(), 1);
}

#[tokio::test]
async fn no_answer_repeats_the_same_bytes_even_if_more_was_queued() {
    let sink = Sink::start().await;
    sink.script([Answer::DropAfterReading, Answer::DropBeforeReading, Answer::DropAfterReading]);
    let queue = Queue::of(entries(&[2]));
    let added = async {
        sink.requests_reach(1).await;
        queue.add(batch("2.1.0", vec![named("later", 9)]));
        queue.emptied().await;
    };
    let counters = deliver_until(&queue, otlp(&sink), impatient(), added).await;
    let received = sink.received();
    assert_eq!(received.len(), 4, "two unanswered, one answered, one with the later span");
    assert_eq!(received[0].raw, received[1].raw);
    assert_eq!(received[0].raw, received[2].raw);
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 9]);
    assert_eq!(counters.failures(FailureReason::Connect), 3);
}

#[tokio::test]
async fn a_timeout_repeats_the_same_bytes() {
    let sink = Sink::start().await;
    sink.script([Answer::Hang]);
    let queue = Queue::of(entries(&[2]));
    let config = OtlpConfig { endpoint: sink.url(), timeout: Duration::from_millis(250), ..OtlpConfig::default() };
    let counters = deliver(&queue, OtlpEndpoint::new(config).unwrap(), impatient()).await;
    let received = sink.received();
    assert!(received.iter().all(|request| request.raw == received[0].raw));
    assert!(counters.failures(FailureReason::Timeout) >= 1);
    assert_eq!(counters.spans_exported(), 2);
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_the_process() {
    let sink = Sink::start().await;
    // Eight hash maps of eight attributes would not agree on an order by chance.
    for _ in 0..8 {
        let resource = (0..8).map(|number| (format!("key{number}"), "value".to_owned())).collect();
        let config = OtlpConfig { endpoint: sink.url(), resource, ..OtlpConfig::default() };
        OtlpEndpoint::new(config).unwrap().send(&entries(&[1])).await;
    }
    let received = sink.received();
    assert_eq!(received.len(), 8);
    assert!(received.iter().all(|request| request.raw == received[0].raw));
}

#[tokio::test]
async fn a_collector_that_is_down_is_a_retry_without_doubt() {
    let free_port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = OtlpConfig { endpoint: format!("http://{free_port}"), ..OtlpConfig::default() };
    match OtlpEndpoint::new(config).unwrap().send(&entries(&[1])).await {
        RequestOutcome::Retry { status: None, after: None, message } => {
            assert!(message.contains("refused"), "{message}")
        }
        other => panic!("not a retry: {other:?}"),
    }
}

#[tokio::test]
async fn spans_leave_oldest_first_and_each_version_has_its_resource() {
    let sink = Sink::start().await;
    let versions = ["2.0.1", "2.0.1", "2.1.0", "2.0.1", ""];
    let turn = |(id, version): (u64, &&str)| batch(version, vec![named("turn", id)]);
    let queue = Queue::of((1..).zip(&versions).map(turn).collect());
    let counters = deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), [1, 2, 3, 4, 5]);
    let requests: Vec<_> = sink.received().iter().map(|request| (request.spans().len(), request.resource())).collect();
    let resource = |version: &str| vec!["service.name=claude-code".to_owned(), format!("service.version={version}")];
    assert_eq!(
        requests,
        [
            (2, resource("2.0.1")),
            (1, resource("2.1.0")),
            (1, resource("2.0.1")),
            (1, vec!["service.name=claude-code".to_owned()])
        ]
    );
    assert_eq!(counters.spans_exported(), 5);
}

#[tokio::test]
async fn a_request_stays_within_both_limits() {
    let sink = Sink::start().await;
    let mut batches = entries(&[600, 200, 400, 10]);
    // Half a mebibyte each: two do not fit beside anything else.
    for span in &mut batches[3].spans {
        span.attributes = vec![attribute("text", Value::Text("x".repeat(1 << 19)))];
    }
    let queue = Queue::of(batches);
    let limits = DrainConfig::default();
    deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(ids(&sink.accepted_spans()), (1..=1210).collect::<Vec<u64>>());
    for request in sink.received() {
        assert!(request.spans().len() <= limits.spans_max);
        assert!(request.plain.len() <= limits.bytes_max, "{} bytes", request.plain.len());
    }
}

#[tokio::test]
async fn the_limit_of_bytes_holds_for_spans_with_everything() {
    let sink = Sink::start().await;
    let queue = Queue::of(vec![batch("2.1.0", vec![failed_call(); 100])]);
    let config = DrainConfig { bytes_max: 8 << 10, ..impatient() };
    deliver(&queue, otlp(&sink), config).await;
    assert_eq!(sink.accepted_spans().len(), 100);
    assert!(sink.received().iter().all(|request| request.plain.len() <= config.bytes_max));
}

#[tokio::test]
async fn a_batch_without_spans_makes_no_request() {
    let sink = Sink::start().await;
    let queue = Queue::of(vec![batch("2.1.0", Vec::new())]);
    deliver(&queue, otlp(&sink), impatient()).await;
    assert_eq!(otlp(&sink).send(&[batch("2.1.0", Vec::new())]).await, RequestOutcome::Accepted);
    assert!(sink.received().is_empty());
}

#[test]
fn secrets_of_headers_are_not_shown() {
    let header =
        |name: &str| OtlpConfig { headers: vec![(name.to_owned(), "hunter2\n".to_owned())], ..OtlpConfig::default() };
    let error = OtlpEndpoint::new(header("x-key")).unwrap_err();
    let shown = format!("{error} {error:?} {:?}", header("x-key"));
    assert!(shown.contains("x-key") && !shown.contains("hunter2"), "{shown}");
}
