//! Recorded sessions as spans: the tree, its sums, and what the spans say.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tailspan::audit::pass::{Pass, find};
use tailspan::ledger::ended;
use tailspan::ledger::family::roots;
use tailspan::ledger::prices::Prices;
use tailspan::ledger::session::Session;
use tailspan::ledger::unit::Unit;
use tailspan::transcript::ids::AgentId;
use tailspan::views::traces::drawing::session_tree;
use tailspan::views::traces::ids::{SpanId, TraceId, span_id};
use tailspan::views::traces::span::{Attribute, Span, SpanBatch, SpanKind, SpanStatus, Value};
use tailspan::views::traces::tree::{Earlier, TurnFacts, TurnOrder, position_of, span_count, turn_spans};

use crate::support::spans::{count, int, named, text, value};

// ---- Recordings -----------------------------------------------------------------------------------------------------

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn pass_over(recording: &Path) -> Pass {
    let mut problems = Vec::new();
    let found = find(&[recording.to_owned()], &mut problems).unwrap();
    let pass = Pass::over(&found, &Prices::embedded(), |_, _| {});
    assert!(problems.is_empty() && pass.problems.is_empty(), "{problems:?} {:?}", pass.problems);
    pass
}

fn recording(name: &str) -> Pass {
    pass_over(&fixtures().join("recordings").join(name).join("projects"))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.join("projects").is_dir());
    folders.sort();
    folders
}

/// Every recording by name; at least those of three versions.
fn all_recordings() -> Vec<(String, Pass)> {
    let versions = ["1.0.128", "2.0.77", "2.1.330"];
    let all: Vec<_> = versions
        .iter()
        .flat_map(|version| folders(&fixtures().join("recordings").join(version)))
        .map(|path| (path.display().to_string(), pass_over(&path.join("projects"))))
        .collect();
    assert!(all.len() >= 40, "only {} recordings", all.len());
    all
}

/// The batches of every root of a session.
fn spans_of_session(pass: &Pass, session: &Session) -> Vec<Vec<SpanBatch>> {
    let whole = pass.units_of(session);
    let units: Vec<&Unit> = whole.iter().map(|unit| &**unit).collect();
    let sessions = pass.sessions();
    let source = session.fork.as_ref().and_then(|fork| sessions.iter().find(|source| source.id == fork.from));
    let agent = |id: &AgentId| {
        units.iter().copied().find(|unit| unit.agent.as_ref().is_some_and(|agent| agent.id.plain() == id.plain()))
    };
    let earlier = |unit: &Unit| {
        let of_source = |source: &&Session| {
            pass.units_of(source)
                .iter()
                .any(|unit| unit.is_turn() && Some(unit.key.id()) == session.fork.as_ref().map(|fork| fork.unit))
        };
        Earlier { source_turn: source.is_some_and(of_source), ..TurnOrder::among(units.iter().copied()).earlier(unit) }
    };
    let facts = |unit| {
        let position = position_of(session, unit, earlier(unit));
        TurnFacts { turn: unit, agents: &agent, position, end: ended::so_far(unit) }
    };
    roots(&units)
        .into_iter()
        .map(|unit| {
            let batches = turn_spans(&facts(unit));
            assert_eq!(span_count(&facts(unit)), batches[0].spans.len());
            assert_eq!(batches, turn_spans(&facts(unit)), "the same facts give the same spans");
            batches
        })
        .collect()
}

fn all_spans(pass: &Pass) -> Vec<Span> {
    let sessions = pass.sessions();
    sessions
        .iter()
        .flat_map(|session| spans_of_session(pass, session))
        .flatten()
        .flat_map(|batch| batch.spans)
        .collect()
}

fn is_chat(span: &Span) -> bool {
    text(span, "gen_ai.operation.name") == Some("chat")
}

// ---- Laws over every recording --------------------------------------------------------------------------------------

#[test]
fn every_trace_is_a_tree_with_one_root_that_comes_last() {
    for (name, pass) in all_recordings() {
        let mut traces = HashSet::new();
        for session in pass.sessions() {
            for batch in spans_of_session(&pass, session).into_iter().flatten() {
                let ids: HashSet<SpanId> = batch.spans.iter().map(|span| span.id).collect();
                assert_eq!(ids.len(), batch.spans.len(), "{name}: a span id twice");
                assert!(!ids.contains(&SpanId(0)), "{name}: a span id of zero");
                let (root, rest) = batch.spans.split_last().unwrap();
                assert_eq!(root.parent, None, "{name}: the last span is the root");
                assert!(traces.insert(root.trace), "{name}: trace {} in two batches", root.trace);
                for span in rest {
                    assert!(ids.contains(&span.parent.unwrap()), "{name}: {} hangs in the air", span.name);
                    assert_eq!(span.trace, root.trace, "{name}");
                }
                assert!(rest.is_sorted_by_key(|span| span.start), "{name}: in order of time");
                assert!(batch.spans.iter().all(|span| span.start <= span.end), "{name}: an end before its start");
            }
        }
    }
}

#[test]
fn the_spans_of_a_session_add_up_to_what_was_counted() {
    for (name, pass) in all_recordings() {
        for session in pass.sessions() {
            let batches: Vec<_> = spans_of_session(&pass, session).into_iter().flatten().collect();
            let spans: Vec<_> = batches.iter().flat_map(|batch| &batch.spans).collect();
            let chats: Vec<_> = spans.iter().filter(|span| is_chat(span)).collect();
            let sum = |key| chats.iter().map(|span| count(span, key)).sum::<u64>();
            let tokens = session.tally.tokens();
            assert_eq!(sum("gen_ai.usage.input_tokens"), tokens.prompt(), "{name}");
            assert_eq!(sum("gen_ai.usage.output_tokens"), tokens.output, "{name}");
            assert_eq!(sum("gen_ai.usage.cache_read.input_tokens"), tokens.cache_read, "{name}");
            let written = tokens.cache_write_5m + tokens.cache_write_1h;
            assert_eq!(sum("gen_ai.usage.cache_creation.input_tokens"), written, "{name}");
            assert_eq!(sum("gen_ai.usage.cache_write.input_tokens"), written, "{name}");
            assert_eq!(chats.len() as u64, session.tally.messages(), "{name}");
            let amount = |span: &&&Span| match value(&span.attributes, "gen_ai.usage.cost.amount") {
                Some(Value::Float(dollars)) => *dollars,
                _ => 0.0,
            };
            let dollars: f64 = chats.iter().map(amount).sum();
            assert!((dollars - session.tally.cost().to_f64()).abs() < 1e-9, "{name}: {dollars}");

            let tools = spans.iter().filter(|span| text(span, "gen_ai.operation.name") == Some("execute_tool"));
            let calls: u64 = session.tally.tools.values().map(|tool| tool.calls).sum();
            assert_eq!(tools.count() as u64, calls, "{name}: tool calls");
            let of_agents = spans.iter().filter(|span| value(&span.attributes, "gen_ai.agent.id").is_some());
            assert_eq!(of_agents.count() as u64, session.tally.subagents, "{name}: sub-agents");
            let errors =
                spans.iter().flat_map(|span| &span.events).filter(|event| event.name == "claude_code.api_error");
            assert_eq!(errors.count() as u64, session.tally.api_errors, "{name}: failed attempts");
            let turns = spans.iter().filter(|span| value(&span.attributes, "claude_code.turn.index").is_some());
            assert_eq!(turns.count() as u64, session.tally.turns, "{name}: turns");

            for batch in &batches {
                let (root, rest) = batch.spans.split_last().unwrap();
                for key in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
                    let below: u64 = rest.iter().filter(|span| is_chat(span)).map(|span| count(span, key)).sum();
                    assert_eq!(count(root, key), below, "{name}: the root has the sum of its trace");
                }
            }
        }
    }
}

#[test]
fn every_span_says_whose_it_is_and_none_says_what_was_said() {
    for (name, pass) in all_recordings() {
        for session in pass.sessions() {
            for span in spans_of_session(&pass, session).iter().flatten().flat_map(|batch| &batch.spans) {
                assert_eq!(text(span, "session.id"), Some(&*session.id.0), "{name}: {}", span.name);
                assert!(text(span, "gen_ai.conversation.id").is_some(), "{name}: {}", span.name);
                assert!(span.name.len() <= 128, "{name}: {}", span.name);
                assert!(span.attributes.len() <= 64, "{name}: {}", span.name);
                let keys: HashSet<_> = span.attributes.iter().map(|attribute| &attribute.key).collect();
                assert_eq!(keys.len(), span.attributes.len(), "{name}: an attribute twice");
                let written = format!("{span:?}");
                assert!(!written.contains("/home"), "{name}: a path leaves: {written}");
                let operation = text(span, "gen_ai.operation.name").unwrap();
                let kind = if operation == "chat" { SpanKind::Client } else { SpanKind::Internal };
                assert_eq!(span.kind, kind, "{name}: {}", span.name);
                assert!(operation == "chat" || value(&span.attributes, "gen_ai.usage.cost.amount").is_none(), "{name}");
            }
        }
    }
}

// ---- Trees for eyes -------------------------------------------------------------------------------------------------

fn check_tree(name: &str) {
    let pass = recording(name);
    let sessions = pass.sessions();
    let tree: String = sessions
        .iter()
        .map(|session| session_tree(session, &pass.units_of(session).iter().map(|unit| &**unit).collect::<Vec<_>>()))
        .collect();
    let path = fixtures().join("trees").join(format!("{}.txt", name.replace('/', "__")));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &tree).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(tree == expected, "{name}: the tree is now (UPDATE=1 accepts it)\n{tree}\nand was\n{expected}");
}

macro_rules! trees {
    ($($test:ident: $name:literal,)*) => { $(#[test] fn $test() { check_tree($name); })* };
}

trees! {
    tree_of_tools: "2.1.330/b_tools",
    tree_of_tools_by_an_older_client: "2.0.77/b_tools",
    tree_of_parallel_tools: "2.1.330/c_parallel",
    tree_of_parallel_tools_by_the_oldest_client: "1.0.128/c_parallel",
    tree_of_failing_tools: "2.1.330/d_failing",
    tree_of_a_subagent: "2.1.330/e1_subagent",
    tree_of_a_background_subagent: "2.1.330/e3_subagent_background",
    tree_of_subagents_that_are_waited_for: "2.1.330/e6_subagent_sync",
    tree_of_retries: "2.1.330/h1_errors_retried",
    tree_of_a_final_failure: "2.1.330/h4_error_401",
    tree_of_a_killed_process: "2.1.330/j1_kill9_tool",
    tree_of_a_compaction: "2.1.330/k1_compact_manual",
    tree_of_a_person_at_the_terminal: "2.1.330/x1_interactive",
    tree_of_resumes_and_a_fork: "2.1.330/g_resume",
}

// ---- What recorded spans say ----------------------------------------------------------------------------------------

#[test]
fn a_chat_says_model_tokens_and_cost() {
    let spans = all_spans(&recording("2.1.330/a_plain"));
    let chat = named(&spans, "chat claude-sonnet-4-5")[0];
    assert_eq!(text(chat, "gen_ai.provider.name"), Some("anthropic"));
    assert_eq!(text(chat, "gen_ai.request.model"), Some("claude-sonnet-4-5"));
    assert_eq!(text(chat, "gen_ai.conversation.id"), text(chat, "session.id"));
    assert!(text(chat, "gen_ai.response.id").unwrap().starts_with("msg_"));
    assert!(text(chat, "claude_code.request_id").unwrap().starts_with("req_"));
    let reasons = Value::Texts(vec!["end_turn".to_owned()]);
    assert_eq!(value(&chat.attributes, "gen_ai.response.finish_reasons"), Some(&reasons));
    let dollars = value(&chat.attributes, "gen_ai.usage.cost.amount");
    assert!(matches!(dollars, Some(Value::Float(dollars)) if *dollars > 0.0), "{dollars:?}");
    assert_eq!(text(chat, "gen_ai.usage.cost.currency"), Some("USD"));
    assert_eq!(text(chat, "gen_ai.usage.cost.source"), Some("local"));
    assert_eq!(value(&chat.attributes, "claude_code.cost.unpriced"), None);
    let prompt = count(chat, "gen_ai.usage.input_tokens");
    assert!(
        prompt
            > count(chat, "gen_ai.usage.cache_read.input_tokens")
                + count(chat, "gen_ai.usage.cache_creation.input_tokens")
    );
    assert_eq!(value(&chat.attributes, "gen_ai.usage.reasoning.output_tokens"), None);

    let thinking = all_spans(&recording("2.1.330/p_thinking"));
    let sum: u64 = thinking.iter().map(|span| count(span, "gen_ai.usage.reasoning.output_tokens")).sum();
    assert!(sum > 0);
}

#[test]
fn the_requested_model_names_the_span_and_the_answering_one_stands_beside_it() {
    let spans = all_spans(&recording("2.1.330/s3_echo_model"));
    let chat = named(&spans, "chat claude-sonnet-4-5")[0];
    assert_eq!(text(chat, "gen_ai.response.model"), Some("claude-sonnet-4-5-20250929"));
}

#[test]
fn a_root_says_what_turn_it_is() {
    let spans = all_spans(&recording("2.1.330/g_resume"));
    let roots = named(&spans, "invoke_agent claude-code");
    let second = roots.iter().find(|root| int(root, "claude_code.turn.index") == Some(2)).unwrap();
    assert_eq!(text(second, "gen_ai.operation.name"), Some("invoke_agent"));
    assert_eq!(text(second, "gen_ai.agent.name"), Some("claude-code"));
    assert_eq!(text(second, "claude_code.turn.end"), Some("stop"));
    assert_eq!(int(second, "claude_code.prompt.length"), Some(25), "`Second prompt, continued.`");
    assert_eq!(text(second, "claude_code.prompt.origin"), Some("sdk"));
    assert_eq!(text(second, "claude_code.entrypoint"), Some("sdk-cli"));
    assert_eq!(text(second, "vcs.repository.name"), Some("g-resume"));
    assert_eq!(text(second, "vcs.ref.head.name"), None, "HEAD is no branch");
    assert_eq!(value(&second.attributes, "session.previous_id"), None);
    assert_eq!(value(&second.attributes, "gen_ai.usage.cost.amount"), None, "cost is on model calls only");
    assert_eq!(second.status, SpanStatus::Unset);
}

#[test]
fn a_turn_links_to_the_turn_before_and_a_fork_to_its_source() {
    let pass = recording("2.1.330/g_resume");
    let sessions = pass.sessions();
    let turns = |session: &Session| -> Vec<Span> {
        let batches = spans_of_session(&pass, session).into_iter().flatten();
        batches.map(|mut batch| batch.spans.pop().unwrap()).collect()
    };
    let links = |root: &Span| -> Vec<(TraceId, SpanId, String)> {
        let why = |attributes: &[Attribute]| format!("{:?}", value(attributes, "claude_code.link").unwrap());
        root.links.iter().map(|link| (link.trace, link.span, why(&link.attributes))).collect()
    };
    let (source, fork) = (turns(sessions[0]), turns(sessions[1]));
    assert!(source[0].links.is_empty());
    let to = |root: &Span, why: &str| vec![(root.trace, root.id, format!("Text({why:?})"))];
    assert_eq!(links(&source[1]), to(&source[0], "previous_turn"));
    assert_eq!(links(&source[2]), to(&source[1], "previous_turn"));
    assert_eq!(links(&fork[0]), to(&source[2], "forked_from"));
    assert_eq!(text(&fork[0], "session.previous_id"), Some(&*sessions[0].id.0));
    assert_eq!(int(&fork[0], "claude_code.turn.index"), Some(1));
    assert_eq!(links(&fork[1]), to(&fork[0], "previous_turn"));
    assert_eq!(value(&fork[1].attributes, "session.previous_id"), None);
}

#[test]
fn a_failed_tool_is_an_error_of_a_class_and_a_refused_one_is_not() {
    let spans = all_spans(&recording("2.1.330/d_failing"));
    let bash = named(&spans, "execute_tool Bash");
    assert_eq!(bash[0].status, SpanStatus::Error("exit code 3".to_owned()));
    assert_eq!(int(bash[0], "claude_code.tool.exit_code"), Some(3));
    assert_eq!(text(bash[0], "claude_code.tool.outcome"), Some("failed"));
    assert_eq!(text(bash[0], "error.type"), Some("tool_error"));
    assert_eq!(text(bash[0], "gen_ai.tool.type"), Some("function"));
    assert_eq!(text(bash[0], "claude_code.tool.decision_source"), Some("config"));
    assert!(text(bash[0], "gen_ai.tool.call.id").unwrap().starts_with("toolu_"));
    assert!(count(bash[0], "claude_code.tool.result_bytes") > 0);
    assert_eq!(named(&spans, "execute_tool Read")[0].status, SpanStatus::Error("tool error".to_owned()));
    let calling = spans.iter().find(|span| is_chat(span)).unwrap();
    assert_eq!(text(bash[0], "claude_code.request_id"), text(calling, "claude_code.request_id"));
    assert!(text(calling, "claude_code.request_id").is_some());
    let roots = named(&spans, "invoke_agent claude-code");
    assert_eq!(roots[0].status, SpanStatus::Unset, "the turn went on and ended well");

    let spans = all_spans(&recording("2.1.330/x1_interactive"));
    let edit = named(&spans, "execute_tool Edit")[0];
    assert_eq!(text(edit, "claude_code.tool.outcome"), Some("denied"));
    assert_eq!(edit.status, SpanStatus::Unset);
    assert_eq!(value(&edit.attributes, "error.type"), None);
}

#[test]
fn an_mcp_tool_names_its_server_and_other_tools_do_not() {
    let spans = all_spans(&recording("2.1.330/m_mcp"));
    let with_server: Vec<_> = spans.iter().filter(|span| text(span, "mcp.method.name") == Some("tools/call")).collect();
    assert!(!with_server.is_empty());
    for span in &spans {
        let server = span.name.strip_prefix("execute_tool mcp__").map(|rest| rest.split("__").next().unwrap());
        assert_eq!(text(span, "claude_code.mcp.server"), server, "{}", span.name);
        assert_eq!(value(&span.attributes, "mcp.method.name").is_some(), server.is_some(), "{}", span.name);
    }
}

#[test]
fn retries_are_events_of_the_call_that_came_of_them() {
    let spans = all_spans(&recording("2.1.330/h1_errors_retried"));
    let chats: Vec<_> = spans.iter().filter(|span| is_chat(span)).collect();
    assert!(chats[1].events.is_empty());
    let said: Vec<_> = chats[0]
        .events
        .iter()
        .map(|event| {
            (
                &*event.name,
                value(&event.attributes, "http.response.status_code"),
                value(&event.attributes, "error.type"),
            )
        })
        .collect();
    let event = |status, class: &str| (status, Value::Text(class.to_owned()));
    let expected = [event(429, "rate_limit"), event(529, "overloaded"), event(500, "server_error")];
    assert_eq!(said.len(), expected.len());
    for (said, (status, class)) in said.iter().zip(&expected) {
        assert_eq!(*said, ("claude_code.api_error", Some(&Value::Int(*status)), Some(class)));
    }
    assert!(chats[0].events.iter().all(|event| (chats[0].start..=chats[0].end).contains(&event.time)));
    let wait = value(&chats[0].events[0].attributes, "claude_code.api_error.retry_after_seconds");
    assert!(matches!(wait, Some(Value::Float(wait)) if *wait > 0.0), "{wait:?}");
    assert_eq!(value(&chats[0].events[0].attributes, "claude_code.api_error.attempt"), Some(&Value::Int(1)));
}

#[test]
fn a_final_failure_is_the_turns_error() {
    let spans = all_spans(&recording("2.1.330/h2_error_400"));
    let root = named(&spans, "invoke_agent claude-code")[0];
    assert_eq!(root.status, SpanStatus::Error("invalid_request".to_owned()));
    assert_eq!(text(root, "error.type"), Some("invalid_request"));
    assert_eq!(text(root, "claude_code.turn.end"), Some("api_error"));
    assert_eq!(value(&root.events[0].attributes, "claude_code.api_error.last"), Some(&Value::Bool(true)));
}

#[test]
fn a_compaction_is_a_span_of_its_turn() {
    let spans = all_spans(&recording("2.1.330/k1_compact_manual"));
    let compact = named(&spans, "compact")[0];
    assert_eq!((compact.start.since_ms(spans[0].start) > 0, compact.end.since_ms(compact.start)), (true, 196));
    assert_eq!(text(compact, "claude_code.compaction.trigger"), Some("manual"));
    assert_eq!(value(&compact.attributes, "claude_code.compaction.tokens_before"), Some(&Value::Int(3014)));
    let root = spans.iter().find(|span| Some(span.id) == compact.parent).unwrap();
    assert_eq!(root.name, "invoke_agent claude-code");
}

#[test]
fn a_subagent_that_is_waited_for_is_below_its_call() {
    let spans = all_spans(&recording("2.1.330/e6_subagent_sync"));
    let explore = named(&spans, "invoke_agent Explore")[0];
    let call = spans.iter().find(|span| Some(span.id) == explore.parent).unwrap();
    assert_eq!(call.name, "execute_tool Agent");
    assert_eq!(text(call, "claude_code.subagent.type"), Some("Explore"));
    assert_eq!(value(&call.attributes, "claude_code.subagent.trace_id"), None);
    let agent = text(explore, "gen_ai.agent.id");
    assert!(agent.is_some() && text(explore, "gen_ai.conversation.id") == agent);
    assert_eq!(text(explore, "gen_ai.agent.name"), Some("Explore"));
    let below: Vec<_> = spans.iter().filter(|span| span.parent == Some(explore.id)).collect();
    assert_eq!(below.len(), 3);
    for span in below {
        assert_eq!(text(span, "gen_ai.conversation.id"), agent);
        assert!(explore.start <= span.start && span.end <= explore.end);
    }
}

#[test]
fn a_background_subagent_has_a_trace_of_its_own_and_both_sides_say_so() {
    let spans = all_spans(&recording("2.1.330/e3_subagent_background"));
    let root = named(&spans, "invoke_agent general-purpose")[0];
    let call = named(&spans, "execute_tool Agent")[0];
    assert_eq!(root.parent, None);
    assert_ne!(root.trace, call.trace);
    assert_eq!(text(call, "claude_code.subagent.trace_id"), Some(&*root.trace.to_string()));
    assert_eq!((root.links[0].trace, root.links[0].span), (call.trace, call.id));
    let why = value(&root.links[0].attributes, "claude_code.link");
    assert_eq!(why, Some(&Value::Text("started_by".to_owned())));
    assert_eq!(root.id, span_id(root.trace, "invoke_agent", text(root, "gen_ai.agent.id").unwrap()));
    assert!(root.end > call.end, "it goes on after its call has returned");
    assert_eq!(value(&root.attributes, "claude_code.turn.index"), None);
}

#[test]
fn a_result_that_a_resume_filled_in_has_no_duration() {
    let spans = all_spans(&recording("2.1.330/j1_kill9_tool"));
    let bash = named(&spans, "execute_tool Bash")[0];
    assert_eq!(text(bash, "claude_code.tool.outcome"), Some("interrupted"));
    assert_eq!((bash.end, &bash.status), (bash.start, &SpanStatus::Unset));
    assert_eq!(value(&bash.attributes, "claude_code.clock_adjusted"), None);
    assert_eq!(value(&bash.attributes, "claude_code.tool.result_bytes"), None);
}

#[test]
fn a_batch_says_the_version_of_the_client() {
    for version in ["1.0.128", "2.0.77", "2.1.330"] {
        let pass = recording(&format!("{version}/a_plain"));
        let batches = pass.sessions().into_iter().flat_map(|session| spans_of_session(&pass, session)).flatten();
        assert!(batches.into_iter().all(|batch| batch.service_version == version), "{version}");
    }
}
