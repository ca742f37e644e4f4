//! Jaeger's query API over real sockets: its forms as files, and that they say what is exported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tailspan::transcript::ids::RowId;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::ids::{SpanId, TraceId};
use tailspan::views::traces::jaeger::{Trace, trace_v1};
use tailspan::views::traces::span::{Span, SpanBatch, SpanKind, SpanStatus};

use crate::support::jaeger::{Served, check, encoded, spans, tag, text};
use crate::support::jaeger_forms::{of_export, of_v1, of_v3};

/// Every recording; nobody changes it.
static RECORDED: LazyLock<Served> = LazyLock::new(Served::all);

/// A background sub-agent, failed attempts, failed tools: small enough to be looked at.
static SMALL: LazyLock<Served> =
    LazyLock::new(|| Served::scenarios(&["e3_subagent_background", "h1_errors_retried", "k1_compact_manual"]));

const E3_SESSION: &str = "95dd";
const E3_TURN: &str = "5e5ded96c3ab4a37807129abdddb0b5d";
const E3_AGENT: &str = "da97a213836e412296c904d95b775eaf";
const H1_TURN: &str = "f766f33302ad400abd515313922ef33b";
const EVER: &str = "query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00%2B01:00";

/// Everything, as one answer.
const ALL: &str = "/traces?service=claude-code&limit=1000";

fn ids(traces: &[Value]) -> Vec<&str> {
    traces.iter().map(|trace| text(&trace["traceID"])).collect()
}

fn session_of(trace: &Value) -> &str {
    text(tag(&spans(trace)[0], "session.id").unwrap())
}

/// The whole id of the session that begins with this.
fn session(traces: &[Value], beginning: &str) -> String {
    let session = traces.iter().map(session_of).find(|session| session.starts_with(beginning));
    session.unwrap().to_owned()
}

fn start(trace: &Value) -> i64 {
    spans(trace).iter().map(|span| span["startTime"].as_i64().unwrap()).min().unwrap()
}

#[test]
fn answers_have_jaegers_forms() {
    let session = session(&SMALL.traces(ALL), E3_SESSION);
    for (name, status, path) in [
        ("services", 200, "/services"),
        ("operation-names", 200, "/services/claude-code/operations"),
        ("operations", 200, "/operations?service=claude-code&spanKind=client"),
        ("operations-of-another-service", 200, "/services/other/operations"),
        ("search", 200, "/traces?service=claude-code&limit=2&lookback=1h&operation=chat+claude-sonnet-4-5"),
        ("search-nothing", 200, "/traces?service=other"),
        ("search-refused", 400, "/traces?service=claude-code&minDuration=fast"),
        ("trace", 200, &format!("/traces/{E3_TURN}")),
        ("trace-of-a-background-agent", 200, &format!("/traces/{E3_AGENT}")),
        ("trace-with-errors", 200, &format!("/traces/{H1_TURN}")),
        ("session", 200, &format!("/traces/{session}")),
        ("not-found", 404, "/traces/0123456789abcdef0123456789abcdef"),
        ("no-id", 400, "/traces/what"),
        ("dependencies", 200, "/dependencies?endTs=1700000000000&lookback=3600000"),
        ("v3-services", 200, "/v3/services"),
        ("v3-operations", 200, "/v3/operations?service=claude-code&spanKind=internal"),
        ("v3-trace", 200, &format!("/v3/traces/{E3_AGENT}")),
        ("v3-trace-with-errors", 200, &format!("/v3/traces/{H1_TURN}")),
        ("v3-search", 200, &format!("/v3/traces?{EVER}&query.searchDepth=1")),
        ("v3-search-nothing", 404, &format!("/v3/traces?{EVER}&query.serviceName=other")),
        ("v3-search-refused", 400, "/v3/traces?query.serviceName=claude-code"),
        ("v3-summaries", 200, &format!("/v3/trace-summaries?{EVER}")),
        ("v3-not-found", 404, "/v3/traces/0123456789abcdef0123456789abcdef"),
    ] {
        let reply = SMALL.ask(path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        check(name, &reply);
    }
}

#[test]
fn everything_that_is_exported_is_found_and_is_the_same() {
    let mut served = Served::all();
    let exported = of_export(&served.world.take_spans());
    let found = of_v1(&served.traces(ALL));
    assert!(exported.len() > 300, "{}", exported.len());
    for (at, span) in &exported {
        assert_eq!(found.get(at), Some(span), "{at:?}");
    }
    assert_eq!(found.len(), exported.len());
}

#[test]
fn v3_says_what_v1_says() {
    let traces = RECORDED.traces(ALL);
    let (v1, v3) = (of_v1(&traces), of_v3(&RECORDED.json(&format!("/v3/traces?{EVER}&query.searchDepth=1000"))));
    assert_eq!(v1, v3);
    let summaries = RECORDED.json(&format!("/v3/trace-summaries?{EVER}&query.num_traces=1000"));
    let summaries = summaries["summaries"].as_array().unwrap();
    assert_eq!(summaries.len(), traces.len());
    for (summary, trace) in summaries.iter().zip(&traces) {
        assert_eq!(summary["traceId"], trace["traceID"]);
        let one = RECORDED.json(&format!("/v3/traces/{}", text(&trace["traceID"])));
        let own = of_v1(std::slice::from_ref(trace));
        assert_eq!(of_v3(&one), own);
        assert_eq!(summary["spanCount"], own.len());
        assert_eq!(summary["errorSpanCount"], own.values().filter(|span| span.error.is_some()).count());
        assert_eq!(summary["orphanSpanCount"], 0);
        let start = own.values().map(|span| span.start).min().unwrap().to_string();
        let end = own.values().map(|span| span.end).max().unwrap().to_string();
        assert_eq!((&summary["minStartTimeUnixNano"], &summary["maxEndTimeUnixNano"]), (&start.into(), &end.into()));
    }
}

#[test]
fn parents_are_there_and_the_root_comes_first() {
    for trace in RECORDED.traces(ALL) {
        let own: BTreeSet<&str> = spans(&trace).iter().map(|span| text(&span["spanID"])).collect();
        for (place, span) in spans(&trace).iter().enumerate() {
            assert_eq!(span["traceID"], trace["traceID"]);
            assert!(trace["processes"].get(text(&span["processID"])).is_some(), "{span}");
            let parents: Vec<&Value> = span["references"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|reference| reference["refType"] == "CHILD_OF")
                .collect();
            assert_eq!(parents.len(), usize::from(place > 0), "{span}");
            assert!(parents.iter().all(|parent| own.contains(text(&parent["spanID"]))), "{span}");
            assert!(parents.iter().all(|parent| parent["traceID"] == trace["traceID"]), "{span}");
        }
    }
}

#[test]
fn every_trace_is_found_by_its_id_however_it_is_written() {
    for trace in RECORDED.traces(ALL) {
        let id = text(&trace["traceID"]);
        let dashed = RowId(u128::from_str_radix(id, 16).unwrap()).to_string();
        for written in [id, id.trim_start_matches('0'), &id.to_uppercase(), &dashed] {
            let found = RECORDED.traces(&format!("/traces/{written}?start=1&end=2&raw=true"));
            assert_eq!(found, std::slice::from_ref(&trace), "{written}");
        }
    }
}

#[test]
fn a_session_is_shown_as_one_trace() {
    let traces = RECORDED.traces(ALL);
    let mut sessions: BTreeMap<&str, usize> = BTreeMap::new();
    for trace in &traces {
        *sessions.entry(session_of(trace)).or_default() += spans(trace).len();
    }
    assert!(sessions.len() > 40);
    for (session, count) in sessions {
        let (dashed, plain) = (format!("/traces/{session}"), format!("/traces/{}", session.replace('-', "")));
        let found = RECORDED.traces(&dashed);
        assert_eq!(RECORDED.traces(&plain), found);
        assert_eq!((found.len(), text(&found[0]["traceID"])), (1, &*session.replace('-', "")));
        assert_eq!((spans(&found[0]).len(), &found[0]["warnings"]), (count, &Value::Null));
        let known = of_v1(&found);
        for (at, span) in &known {
            assert_eq!(at.0, session.replace('-', ""));
            assert!(span.parent.as_ref().is_none_or(|parent| known.contains_key(&(at.0.clone(), parent.clone()))));
        }
        assert_eq!(of_v3(&RECORDED.json(&format!("/v3/traces/{session}"))), known);
    }
}

#[test]
fn links_within_a_session_lead_to_its_spans() {
    let traces = SMALL.traces(ALL);
    let known = of_v1(&SMALL.traces(&format!("/traces/{}", session(&traces, E3_SESSION))));
    let links: Vec<_> = known.values().flat_map(|span| &span.links).collect();
    assert_eq!(links.len(), 2, "the next turn's and the background agent's");
    assert!(links.iter().all(|link| known.contains_key(*link)), "{links:?}");
}

#[test]
fn operations_are_the_names_of_all_spans() {
    let names: BTreeSet<String> = of_v1(&RECORDED.traces(ALL)).into_values().map(|span| span.name).collect();
    let answer = RECORDED.json("/services/claude-code/operations");
    let listed: Vec<&str> = answer["data"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(listed, names.iter().collect::<Vec<_>>());
    assert_eq!(answer["total"], listed.len());
    let kinds = RECORDED.json("/operations?service=claude-code&spanKind=client");
    let chats = listed.iter().filter(|name| name.starts_with("chat "));
    let clients: Vec<&str> = kinds["data"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(clients, chats.copied().collect::<Vec<_>>());
}

#[test]
fn a_search_takes_traces_of_which_one_span_meets_everything() {
    let all = RECORDED.traces(ALL);
    let session = session_of(&all[3]);
    let tags = |tags: Value| format!("&tags={}", encoded(&tags.to_string()));
    type Meets<'a> = &'a dyn Fn(&Value, &Value) -> bool;
    let version =
        |trace: &Value, span: &Value| trace["processes"][text(&span["processID"])]["tags"][0]["value"].clone();
    let of_session: Meets = &|_, span| tag(span, "session.id").unwrap() == session;
    let failed_bash: Meets =
        &|_, span| span["operationName"] == "execute_tool Bash" && tag(span, "error") == Some(&json!(true));
    let took = |span: &Value| span["duration"].as_i64().unwrap();
    let cases: [(String, Meets); 11] = [
        (format!("&operation={}", encoded("execute_tool Bash")), &|_, span| {
            span["operationName"] == "execute_tool Bash"
        }),
        (tags(json!({"error": "true"})), &|_, span| tag(span, "error").is_some()),
        (tags(json!({"error": true, "gen_ai.tool.name": "Bash"})), failed_bash),
        (format!("&tag=error:true&operation={}", encoded("execute_tool Bash")), failed_bash),
        (tags(json!({"session.id": session})), of_session),
        (tags(json!({"claude_code.turn.index": "2"})), &|_, span| {
            tag(span, "claude_code.turn.index") == Some(&json!(2))
        }),
        (tags(json!({"service.version": "2.0.77"})), &|trace, span| version(trace, span) == "2.0.77"),
        (tags(json!({"error.type": "rate_limit"})), &|_, span| span["logs"].to_string().contains("\"rate_limit\"")),
        ("&minDuration=2.5s".to_owned(), &|_, span| took(span) >= 2_500_000),
        ("&maxDuration=1ms".to_owned(), &|_, span| took(span) <= 1_000),
        ("&minDuration=100ms&maxDuration=0.2s&operation=chat+claude-sonnet-4-5".to_owned(), &|_, span| {
            (100_000..=200_000).contains(&took(span)) && span["operationName"] == "chat claude-sonnet-4-5"
        }),
    ];
    for (query, meets) in cases {
        let found = RECORDED.traces(&format!("{ALL}{query}"));
        let expected: Vec<Value> =
            all.iter().filter(|trace| spans(trace).iter().any(|span| meets(trace, span))).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query} tells traces apart: {}", expected.len());
        assert_eq!(ids(&found), ids(&expected), "{query}");
        assert_eq!(found, expected);
    }
    for nothing in [
        tags(json!({"error": "TRUE"})),
        tags(json!({"session.id": session.replace('-', "")})),
        format!("&operation=invoke_agent+claude-code{}", tags(json!({"gen_ai.tool.name": "Bash"}))),
        "&operation=nothing".to_owned(),
        "&minDuration=100h".to_owned(),
    ] {
        assert!(RECORDED.traces(&format!("{ALL}{nothing}")).is_empty(), "{nothing}");
    }
}

#[test]
fn a_search_is_newest_first_and_keeps_to_its_times_and_limit() {
    let all = RECORDED.traces(ALL);
    assert!(all.iter().map(start).rev().is_sorted());
    assert_eq!(RECORDED.traces("/traces?service=claude-code"), all[..20]);
    assert_eq!(RECORDED.traces("/traces?service=claude-code&limit=3"), all[..3]);
    assert_eq!(RECORDED.traces("/traces?limit=100000"), all);
    for (from, until) in [(5, 9), (0, 2), (all.len() - 3, all.len() - 1)] {
        // The list is newest first: the later place is the earlier time.
        let (earliest, latest) = (start(&all[until]), start(&all[from]));
        let within = |span: &Value| (earliest..=latest).contains(&span["startTime"].as_i64().unwrap());
        let expected: Vec<&Value> = all.iter().filter(|trace| spans(trace).iter().any(within)).collect();
        let found = RECORDED.traces(&format!("{ALL}&start={earliest}&end={latest}"));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        let first = RECORDED.traces(&format!("/traces?limit=2&start={earliest}&end={latest}"));
        assert_eq!(first.iter().collect::<Vec<_>>(), expected[..2]);
    }
    assert!(RECORDED.traces(&format!("{ALL}&end=1000000")).is_empty());
}

#[test]
fn several_ids_are_answered_together() {
    let answer = SMALL.json(&format!("/traces?traceID={E3_TURN}&traceID=abc&traceID={H1_TURN}"));
    let found: Vec<&str> = answer["data"].as_array().unwrap().iter().map(|trace| text(&trace["traceID"])).collect();
    assert_eq!(found, [E3_TURN, H1_TURN]);
    assert_eq!(answer["errors"], json!([{"msg": "trace not found", "traceID": "abc"}]));
}

#[test]
fn bad_parameters_are_refused_and_unknown_ones_are_not() {
    for query in [
        "start=noon",
        "end=1.5",
        "limit=0",
        "limit=-1",
        "limit=many",
        "minDuration=5",
        "maxDuration=1d",
        "tags=x",
        "tags=[]",
        "tag=alone",
        "start=2&end=1",
        "minDuration=2s&maxDuration=1s",
    ] {
        let reply = SMALL.ask(&format!("/traces?service=claude-code&{query}"));
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        let problem = reply.json();
        assert_eq!((&problem["data"], &problem["errors"][0]["code"]), (&Value::Null, &json!(400)), "{query}");
    }
    for query in [
        "query.startTimeMin=noon&query.startTimeMax=2100-01-01T00:00:00Z".to_owned(),
        format!("{EVER}&query.durationMin=5"),
        format!("{EVER}&query.attributes=x"),
        format!("{EVER}&query.searchDepth=x"),
    ] {
        for route in ["traces", "trace-summaries"] {
            let reply = SMALL.ask(&format!("/v3/{route}?{query}"));
            assert_eq!((reply.status, &reply.json()["error"]["httpCode"]), (400, &json!(400)), "{query}");
        }
    }
    let all = SMALL.traces(ALL);
    assert_eq!(SMALL.traces(&format!("{ALL}&loki=1&loki=2&lookback=custom&prettyPrint=true")), all);
}

#[test]
fn v3_takes_both_spellings() {
    let by = |query: &str| of_v3(&SMALL.json(&format!("/v3/traces?{query}")));
    // Unencoded, as Grafana sends them.
    let times = "query.start_time_min=2000-01-01T00:00:00+01:00&query.start_time_max=2100-01-01T00:00:00.123456789Z";
    let attributes = encoded(r#"{"gen_ai.tool.name":"Bash"}"#);
    let new =
        by(&format!("{EVER}&query.operationName=execute_tool+Bash&query.durationMin=1s&query.attributes={attributes}"));
    let old = by(&format!(
        "{times}&query.operation_name=execute_tool+Bash&query.duration_min=1s&query.service_name=claude-code"
    ));
    assert_eq!(new, old);
    assert!(new.keys().all(|(trace, _)| trace == E3_AGENT), "the one that slept");
    let kinds = |name: &str| SMALL.json(&format!("/v3/operations?service=claude-code&{name}=client"));
    assert_eq!(kinds("spanKind"), kinds("span_kind"));
}

#[test]
fn traces_outlive_their_session_files() {
    let served = Served::scenarios(&["e3_subagent_background"]);
    let before = served.traces(ALL);
    fs::remove_dir_all(&served.world.root).unwrap();
    assert_eq!(served.traces(ALL), before);
    for trace in before {
        assert_eq!(served.traces(&format!("/traces/{}", text(&trace["traceID"]))), [trace]);
    }
}

#[test]
fn a_session_that_is_too_large_shows_its_newest_traces() {
    let span = |trace: u128, id: u64, parent: Option<u64>, start| Span {
        trace: TraceId(trace),
        id: SpanId(id),
        parent: parent.map(SpanId),
        kind: SpanKind::Internal,
        name: "span".to_owned(),
        start: Timestamp(start),
        end: Timestamp(start),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
    };
    let batch = |trace: u128, start: i64| SpanBatch {
        service_version: String::new(),
        spans: vec![span(trace, 2, Some(1), start), span(trace, 1, None, start)],
    };
    let shown = |spans_max| {
        let empty = SpanBatch { service_version: String::new(), spans: Vec::new() };
        let trace =
            Trace::of_session(TraceId(9), vec![batch(3, 300), empty, batch(1, 100), batch(2, 200)], spans_max).unwrap();
        let json = serde_json::to_value(trace_v1(&trace, "claude-code")).unwrap();
        let starts: Vec<i64> = spans(&json).iter().map(|span| span["startTime"].as_i64().unwrap() / 1000).collect();
        (starts, json["warnings"].clone())
    };
    assert_eq!(shown(6), (vec![100, 100, 200, 200, 300, 300], Value::Null));
    let warning =
        |shown| json!([format!("the session is too large to be shown whole: its newest {shown} of 3 traces are here")]);
    assert_eq!(shown(5), (vec![200, 200, 300, 300], warning(2)));
    assert_eq!(shown(0), (vec![300, 300], warning(1)));
    assert!(Trace::of_session(TraceId(9), Vec::new(), 6).is_none());
}

const OPEN_SESSION: &str = "0b1f6c1e-8f0a-4e7c-9d2b-3a4f5e6d7c8b";
const OPEN_PROMPT: &str = "5b1d6c1e-8f0a-4e7c-9d2b-3a4f5e6d7c8b";

/// A turn that asked, and whose command runs since five seconds after noon.
fn open_rows() -> Vec<Value> {
    let common = |kind: &str, uuid: &str, second: u32, message: Value| {
        json!({"type": kind, "uuid": uuid, "sessionId": OPEN_SESSION, "cwd": "/home/dev/made", "version": "2.1.330",
            "timestamp": format!("2026-03-01T12:00:{second:02}.000Z"), "promptId": OPEN_PROMPT, "requestId": "req_1",
            "message": message})
    };
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "sleep 60"}}]);
    vec![
        common("user", OPEN_PROMPT, 0, json!({"role": "user", "content": "wait"})),
        common(
            "assistant",
            "6b1d6c1e-8f0a-4e7c-9d2b-3a4f5e6d7c8b",
            5,
            json!({"id": "msg_1", "role": "assistant",
            "model": "claude-sonnet-4-5", "content": call, "stop_reason": "tool_use",
            "usage": {"input_tokens": 10, "output_tokens": 20}}),
        ),
    ]
}

#[test]
fn a_turn_that_goes_on_lasts_until_now() {
    let served = Served::session(OPEN_SESSION, &open_rows(), "2026-03-01T12:00:30.000Z");
    let reply = served.ask(&format!("/traces/{}", OPEN_PROMPT.replace('-', "")));
    check("in-progress", &reply);
    let trace = reply.json()["data"][0].clone();
    let took: BTreeMap<&str, i64> =
        spans(&trace).iter().map(|span| (text(&span["operationName"]), span["duration"].as_i64().unwrap())).collect();
    let (turn, chat, tool) = ("invoke_agent claude-code", "chat claude-sonnet-4-5", "execute_tool Bash");
    assert_eq!(took, BTreeMap::from([(turn, 30_000_000), (chat, 5_000_000), (tool, 25_000_000)]));
    let marked: Vec<_> = spans(&trace).iter().map(|span| tag(span, "claude_code.in_progress")).collect();
    assert_eq!(marked, [Some(&json!(true)), None, None]);
    assert_eq!(served.traces(&format!("{ALL}&tags={}", encoded(r#"{"claude_code.in_progress":"true"}"#))), [trace]);
}

#[test]
fn a_turn_that_nobody_ended_ends_with_what_it_did_last() {
    let served = Served::session(OPEN_SESSION, &open_rows(), "2026-03-01T12:30:05.000Z");
    let trace = served.traces(ALL).remove(0);
    assert_eq!(spans(&trace)[0]["duration"], 5_000_000);
    assert_eq!(tag(&spans(&trace)[0], "claude_code.turn.end"), Some(&json!("idle")));
    assert!(spans(&trace).iter().all(|span| tag(span, "claude_code.in_progress").is_none()));
}

#[test]
fn a_background_agent_goes_on_when_its_turn_has_ended() {
    // Its command runs since 06:07:51.142, and the turn that started it has stopped.
    let served = Served::at("e3_subagent_background", "2026-11-22T06:07:53.142Z");
    let trace = &served.traces(&format!("/traces/{E3_AGENT}"))[0];
    let names: Vec<&str> = spans(trace).iter().map(|span| text(&span["operationName"])).collect();
    assert_eq!(names, ["invoke_agent general-purpose", "chat claude-sonnet-4-5", "execute_tool Bash"]);
    assert_eq!(tag(&spans(trace)[0], "claude_code.in_progress"), Some(&json!(true)));
    assert_eq!((&spans(trace)[2]["duration"], tag(&spans(trace)[2], "error")), (&json!(2_000_000), None));
    let end = |span: &Value| span["startTime"].as_i64().unwrap() + span["duration"].as_i64().unwrap();
    assert_eq!(end(&spans(trace)[0]), end(&spans(trace)[2]));
    let turn = &served.traces(&format!("/traces/{E3_TURN}"))[0];
    assert_eq!(tag(&spans(turn)[0], "claude_code.in_progress"), None);
    assert_eq!(tag(&spans(turn)[0], "claude_code.turn.end"), Some(&json!("stop")));
}
