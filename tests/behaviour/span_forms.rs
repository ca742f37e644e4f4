//! Spans in other forms: a trace per session, and the names that other tools read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tailspan::config::{Config, Flags, Profile};
use tailspan::transcript::ids::RowId;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::Snapshot;
use tailspan::views::traces::attributes as name;
use tailspan::views::traces::content::ContentLevel;
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::ids::{TraceId, TraceScope};
use tailspan::views::traces::span::{Span, Value};

use crate::support::spans::{self, text, waiting};
use crate::support::world::{Dice, EVERYTHING, World, copy_folder, recordings};

#[test]
fn forms_are_chosen_by_the_configuration_and_wrong_ones_are_refused() {
    let resolve = |variables: &[(&str, &str)]| {
        Config::resolve(&Flags::default(), &variables.iter().copied().collect()).map(|config| config.traces)
    };
    let none = resolve(&[]).unwrap();
    assert_eq!((none.scope, none.content, none.profile.len()), (TraceScope::Turn, ContentLevel::Off, 0));
    let variables = [
        ("TAILSPAN_TRACES_SCOPE", "session"),
        ("TAILSPAN_TRACES_CONTENT", "details"),
        ("TAILSPAN_TRACES_PROFILE", "openinference"),
    ];
    let chosen = resolve(&variables).unwrap();
    assert_eq!((chosen.scope, chosen.content), (TraceScope::Session, ContentLevel::Details));
    assert!(chosen.profile.contains(&Profile::OpenInference));
    for (name, expected) in [
        ("TAILSPAN_TRACES_SCOPE", "`traces.scope` is \"all\", expected \"turn\" or \"session\""),
        ("TAILSPAN_TRACES_CONTENT", "`traces.content` is \"all\", expected \"off\", \"details\" or \"content\""),
        ("TAILSPAN_TRACES_PROFILE", "expected a list of further naming schemes: \"openinference\""),
    ] {
        let message = resolve(&[(name, "all")]).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

const PER_SESSION: SpanRules = SpanRules { scope: TraceScope::Session, ..SpanRules::DEFAULT };

fn projects(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(scenario).join("projects")
}

/// What left after a folder of session files was read, and the totals.
fn left(projects: &Path, rules: SpanRules) -> (Vec<Span>, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::shaped(folder.path(), EVERYTHING, rules);
    copy_folder(projects, &world.root);
    world.read(&mut Dice::new(1), usize::MAX);
    let snapshot = world.settle();
    (waiting(&mut world), snapshot)
}

fn session_trace(span: &Span) -> TraceId {
    TraceId(RowId::of(text(span, name::SESSION).unwrap()).0)
}

#[test]
fn a_trace_per_session_holds_the_same_spans_in_every_recording() {
    for recording in recordings() {
        let (turns, _) = left(&recording.join("projects"), SpanRules::default());
        let (sessions, _) = left(&recording.join("projects"), PER_SESSION);
        assert_eq!(turns.len(), sessions.len());
        let mut met = BTreeSet::new();
        for (turn, session) in turns.iter().zip(&sessions) {
            assert_eq!(session.trace, session_trace(session), "{}", recording.display());
            assert!(met.insert((session.trace, session.id)), "an id is there twice: {}", recording.display());
            assert_eq!((turn.id, turn.parent, &turn.name), (session.id, session.parent, &session.name));
        }
        // Parents and the targets of links are where they are said to be.
        for span in &sessions {
            assert!(span.parent.is_none_or(|parent| met.contains(&(span.trace, parent))), "{}", recording.display());
            let links = span.links.iter().filter(|link| met.iter().any(|(_, id)| *id == link.span));
            for link in links {
                assert!(met.contains(&(link.trace, link.span)), "{}: {link:?}", recording.display());
            }
        }
    }
}

#[test]
fn a_fork_links_to_the_trace_of_its_source() {
    let (spans, _) = left(&projects("fixtures/a-fork-counts-its-history-once"), PER_SESSION);
    let of_fork = |span: &&Span| text(span, name::SESSION_PREVIOUS).is_some();
    let fork = spans.iter().find(of_fork).unwrap();
    let source = TraceId(RowId::of(text(fork, name::SESSION_PREVIOUS).unwrap()).0);
    assert_ne!(fork.trace, source);
    let targets: Vec<TraceId> = fork.links.iter().map(|link| link.trace).collect();
    assert_eq!(targets, [source]);
    assert!(spans.iter().any(|span| span.trace == source && span.id == fork.links[0].span));
}

#[test]
fn a_background_sub_agent_is_in_the_trace_of_its_session() {
    let (spans, _) = left(&projects("fixtures/recordings/2.1.330/e3_subagent_background"), PER_SESSION);
    let caller = spans.iter().find(|span| text(span, name::SUBAGENT_TRACE).is_some()).unwrap();
    assert_eq!(text(caller, name::SUBAGENT_TRACE).unwrap(), caller.trace.to_string());
    assert_eq!(spans.iter().map(|span| span.trace).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn exemplars_lead_to_the_trace_that_was_sent() {
    for rules in [SpanRules::default(), PER_SESSION] {
        let (spans, totals) = left(&projects("fixtures/recordings/2.1.330/b_tools"), rules);
        let sent: BTreeSet<_> = spans.iter().map(|span| (span.trace, span.id)).collect();
        let mut seen = 0;
        for metric in catalog::ALL {
            for (labels, _) in totals.of(metric) {
                let labels: Vec<&str> = labels.iter().map(|value| &**value).collect();
                for exemplar in totals.exemplars(metric, &labels).iter().flatten() {
                    assert!(sent.contains(&(exemplar.at.trace, exemplar.at.span)), "{}: {exemplar:?}", metric.name);
                    seen += 1;
                }
            }
        }
        assert!(seen > 5, "{seen} exemplars");
    }
}

#[test]
fn spans_tell_how_much_of_the_critical_path_lies_in_them() {
    let (spans, _) = left(&projects("fixtures/recordings/2.1.330/e6_subagent_sync"), SpanRules::default());
    let (mut sum, mut beside) = (0.0, 0);
    for span in &spans {
        let on_path = match spans::value(&span.attributes, name::CRITICAL_PATH_SECONDS) {
            Some(Value::Float(seconds)) => Some(*seconds),
            _ => None,
        };
        let has_one = span.name.starts_with("chat") || span.name.starts_with("execute_tool");
        assert_eq!(on_path.is_some(), has_one, "{}", span.name);
        sum += on_path.unwrap_or(0.0);
        beside += usize::from(on_path == Some(0.0));
    }
    // 0.354 of the model, 1.196 of Bash, 0.221 of Agent; the rest of the turn's 3.377 seconds is idle. Of the two
    // sub-agents only one was waited for: the call of the other one, its two answers and its call of Bash lie beside.
    assert!((sum - 1.771).abs() < 1e-9, "{sum}");
    assert_eq!(beside, 4);
}

#[test]
fn openinference_adds_its_names_to_the_same_values() {
    let rules = SpanRules { content: ContentLevel::Content, openinference: true, ..SpanRules::default() };
    let plain = SpanRules { openinference: false, ..rules.clone() };
    let recording = projects("fixtures/recordings/2.1.330/e1_subagent");
    let ((without, _), (with, _)) = (left(&recording, plain), left(&recording, rules));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (without, with) in without.iter().zip(&with) {
        assert_eq!(without.attributes, with.attributes[..without.attributes.len()]);
        let value = |key: &str| spans::value(&with.attributes, key);
        let kind = text(with, "openinference.span.kind").unwrap();
        *kinds.entry(kind).or_default() += 1;
        match kind {
            "LLM" => {
                assert_eq!(value("llm.model_name"), value(name::REQUEST_MODEL));
                assert_eq!(value("llm.cost.total"), value(name::COST_AMOUNT));
                let sum = spans::count(with, name::INPUT_TOKENS) + spans::count(with, name::OUTPUT_TOKENS);
                assert_eq!(spans::count(with, "llm.token_count.total"), sum);
                assert_eq!(value("output.value"), value(name::OUTPUT_MESSAGES));
                assert_eq!(value("output.mime_type"), Some(&Value::Text("application/json".to_owned())));
            }
            "TOOL" => {
                assert_eq!(value("tool.name"), value(name::TOOL_NAME));
                assert_eq!(value("tool.parameters"), value(name::TOOL_ARGUMENTS));
                assert_eq!(value("input.value"), value(name::TOOL_ARGUMENTS));
                assert!(value("input.value").is_some() && value("output.value").is_some());
            }
            "AGENT" => {
                assert_eq!(value("agent.name"), value(name::AGENT_NAME));
                assert!(value("input.value").is_some() && value("output.value").is_some(), "{}", with.name);
            }
            other => panic!("{other}"),
        }
        assert!(with.attributes.len() <= 64);
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["AGENT", "LLM", "TOOL"]);
}

/// Every word of section 15.8 of the format reference that a person would want, but for the hooks, which have fixtures of
/// their own.
#[test]
fn what_a_person_was_told_is_an_event_or_an_attribute() {
    let (spans, _) = left(&projects("fixtures/what-a-person-was-told-shows-in-the-trace"), SpanRules::default());
    let [chat, root] = &spans[..] else { panic!("{} spans", spans.len()) };
    assert_eq!(text(root, name::PROMPT_SOURCE), Some("suggestion_accepted"));
    assert_eq!(text(root, name::PROMPT_ORIGIN), Some("human"));
    assert_eq!(text(chat, name::EFFORT), Some("xhigh"));
    let start = root.start;
    let told = root.events.iter().map(|event| (event.time.since_ms(start) / 1000, &*event.name)).collect::<Vec<_>>();
    let wanted = [
        (1, name::PLAN_MODE_BEGAN),
        (5, name::SERVER_TOOL),
        (66, name::PLAN_MODE_ENDED),
        // Written again one second later.
        (67, name::PULL_REQUEST),
        (70, name::AWAY_SUMMARY),
    ];
    assert_eq!(told, wanted);
    let of_event = |event: usize, key| spans::value(&root.events[event].attributes, key).cloned();
    assert_eq!(of_event(1, name::TOOL_NAME), Some(Value::Text("advisor".into())));
    assert_eq!(of_event(1, name::SERVER_TOOL_SECONDS), Some(Value::Float(60.0)));
    assert_eq!(of_event(3, name::PULL_REQUEST_NUMBER), Some(Value::Int(7)));
    assert_eq!(of_event(3, name::PULL_REQUEST_REPOSITORY), Some(Value::Text("dev/app".into())));
}
