//! Whatever the settings are: the spans in the outbox are the spans that Jaeger's API answers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tailspan::views::traces::content::ContentLevel;
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::ids::TraceScope;

use crate::support::jaeger::{Served, encoded, spans, tag, text};
use crate::support::jaeger_forms::{of_export, of_v1, of_v3};
use crate::support::span_rules::matrix;

const EVER: &str = "query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00%2B01:00";

#[test]
fn what_is_exported_is_what_is_answered_under_all_settings() {
    for rules in matrix() {
        let mut served = Served::ruled(rules.clone());
        let exported = of_export(&served.world.take_spans());
        assert!(exported.len() > 300, "{}", exported.len());
        let traces_named: BTreeSet<&String> = exported.keys().map(|(trace, _)| trace).collect();
        for span in exported.values() {
            for (_, trace) in span.attributes.iter().filter(|(key, _)| key.starts_with("claude_code.subagent.trace_id"))
            {
                let named = trace.split(|letter: char| !letter.is_ascii_hexdigit()).filter(|word| word.len() == 32);
                let named: Vec<String> = named.map(str::to_owned).collect();
                assert!(
                    !named.is_empty() && named.iter().all(|trace| traces_named.contains(trace)),
                    "{trace} {rules:?}"
                );
            }
        }
        let service = &rules.service;
        assert_eq!(served.json("/services")["data"], json!([service]));
        let traces = served.traces(&format!("/traces?service={service}&limit=1000"));
        assert_same(&exported, &of_v1(&traces), &rules);
        let v3 = served.json(&format!("/v3/traces?{EVER}&query.serviceName={service}&query.searchDepth=1000"));
        assert_same(&exported, &of_v3(&v3), &rules);
        // Each trace is found by its id, and is the same.
        for trace in &traces {
            let id = text(&trace["traceID"]);
            assert!(spans(trace).iter().all(|span| span["traceID"] == id), "{rules:?}");
            assert_eq!(served.traces(&format!("/traces/{id}")), std::slice::from_ref(trace), "{rules:?}");
            let process = trace["processes"].as_object().unwrap().values().next().unwrap();
            assert_eq!(process["serviceName"], **service);
        }
        assert!(served.traces("/traces?service=another").is_empty());
        // Text is searched if it is there.
        let by_text = encoded(&json!({"claude_code.tool.command": "pwd; echo x > made.txt"}).to_string());
        let found = served.traces(&format!("/traces?service={service}&limit=1000&tags={by_text}"));
        let commands = |trace: &&Value| {
            let command = spans(trace).iter().filter_map(|span| tag(span, "claude_code.tool.command"));
            command.into_iter().any(|command| command == "pwd; echo x > made.txt")
        };
        let expected: Vec<&Value> = traces.iter().filter(commands).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{rules:?}");
        assert_eq!(expected.is_empty(), rules.content == ContentLevel::Off, "{rules:?}");
    }
}

fn assert_same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    exported: &BTreeMap<K, V>,
    answered: &BTreeMap<K, V>,
    rules: &SpanRules,
) {
    for (at, span) in exported {
        assert_eq!(answered.get(at), Some(span), "{at:?} {rules:?}");
    }
    assert_eq!(answered.len(), exported.len(), "{rules:?}");
}

/// A turn of five minutes ago whose tool has no result.
fn open_call() -> Vec<Value> {
    let row = |uuid: &str, parent: Value, time: &str, kind: &str, message: Value| {
        json!({
            "uuid": uuid, "parentUuid": parent, "timestamp": time, "type": kind, "message": message, "isSidechain": false,
            "sessionId": SESSION, "promptId": TURN, "cwd": "/home/dev/app", "version": "2.1.330",
        })
    };
    let call = json!({"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "sleep 600"}});
    vec![
        row(TURN, Value::Null, "2026-11-22T10:00:00.000Z", "user", json!({"role": "user", "content": "go"})),
        row(
            "aaaaaaaa-0000-4000-8000-000000000002",
            TURN.into(),
            "2026-11-22T10:00:05.000Z",
            "assistant",
            json!({
                "id": "msg_0123456789abcdefghijklmn", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [call], "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 5},
            }),
        ),
    ]
}

const SESSION: &str = "11111111-1111-4111-8111-111111111111";
const TURN: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[test]
fn a_turn_that_goes_on_is_marked_whatever_shares_its_trace() {
    for scope in [TraceScope::Turn, TraceScope::Session] {
        let rules = SpanRules { scope, ..SpanRules::DEFAULT };
        let served = Served::session_ruled(SESSION, &open_call(), "2026-11-22T10:05:00.000Z", rules);
        for path in ["/traces?service=claude-code".to_owned(), format!("/traces/{}", SESSION.replace('-', ""))] {
            let traces = served.traces(&path);
            assert_eq!(traces.len(), 1, "{path}");
            let root = spans(&traces[0]).iter().find(|span| tag(span, "claude_code.in_progress").is_some());
            assert_eq!(
                root.map(|root| &root["operationName"]),
                Some(&json!("invoke_agent claude-code")),
                "{path} {scope:?}"
            );
        }
    }
}

#[test]
fn a_turn_that_is_idle_by_the_settings_has_ended_in_both() {
    let rules = SpanRules {
        scope: TraceScope::Session,
        idle_ms: 1_000,
        service: Cow::Borrowed("my-name"),
        ..SpanRules::DEFAULT
    };
    let mut served = Served::session_ruled(SESSION, &open_call(), "2026-11-22T10:05:00.000Z", rules);
    let exported = of_export(&served.world.take_spans());
    let traces = served.traces("/traces?service=my-name");
    assert_eq!(exported, of_v1(&traces));
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0]["traceID"], SESSION.replace('-', ""));
    assert_eq!(spans(&traces[0]).len(), 3);
    let root = &spans(&traces[0])[0];
    assert_eq!(tag(root, "claude_code.turn.end"), Some(&json!("idle")));
    assert_eq!((tag(root, "claude_code.in_progress"), &root["duration"]), (None, &json!(5_000_000)));
    // By the id of its turn it is found as well: old links lead there.
    assert_eq!(spans(&served.traces(&format!("/traces/{TURN}"))[0]).len(), 3);
}
