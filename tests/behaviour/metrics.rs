//! Metrics: what units add to the totals, which series exist, and what a scrape shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tailspan::audit::pass::Pass;
use tailspan::export::{DropReason, FailureReason};
use tailspan::http::RequestCounters;
use tailspan::http::metrics::scrape::{Build, Deliveries, Scrape};
use tailspan::ledger::money::Money;
use tailspan::ledger::session::project_of;
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::{Message, Tool, Unit};
use tailspan::measures::Change;
use tailspan::transcript::record::{Fact, Outcome, Reason};
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog::{self, ALL, KeptIn, Metric, MetricKind, Values};
use tailspan::views::metrics::labels::{self, LabelRules, ProjectLabel};
use tailspan::views::metrics::totals::{Sample, Series, Snapshot, Totals};
use tailspan::vitals::{LiveSession, OpenTool, Vitals};

use crate::support::units::{Dice, agent, message, recordings, reported, run, session, shake, tool, turn};

const EVER: Timestamp = Timestamp(0);
fn totals() -> Totals {
    Totals::new(LabelRules::default())
}

/// Observes these changes as one commit.
fn commit(totals: &mut Totals, changes: &[(Option<&Unit>, &Unit)]) {
    changes.iter().for_each(|(before, after)| totals.observe(&Change::between(*before, after), EVER, None));
    totals.committed();
}

fn number(totals: &mut Totals, metric: &'static Metric, labels: &[&str]) -> i128 {
    match totals.snapshot().get(metric, labels) {
        Some(Sample::Number(number)) => *number,
        Some(Sample::Histogram(histogram)) => i128::from(histogram.count),
        None => panic!("there is no {}{labels:?}", metric.name),
    }
}

/// The sum over all series with these values; an empty text stands for every value.
fn sum(snapshot: &Snapshot, metric: &'static Metric, wanted: &[&str]) -> i128 {
    let fits =
        |labels: &[Arc<str>]| labels.iter().zip(wanted).all(|(label, want)| want.is_empty() || **label == **want);
    snapshot
        .of(metric)
        .filter(|(labels, _)| fits(labels))
        .map(|(_, sample)| match sample {
            Sample::Number(number) => *number,
            Sample::Histogram(histogram) => i128::from(histogram.count),
        })
        .sum()
}

fn samples(totals: &mut Totals) -> BTreeMap<Series, Sample> {
    let snapshot = totals.snapshot();
    let stored = ALL.iter().filter(|metric| metric.kept == KeptIn::State);
    stored
        .flat_map(|metric| {
            snapshot.of(metric).map(|(labels, sample)| (Series::new(metric, labels.to_vec()), sample.clone()))
        })
        .collect()
}

fn units(pass: &Pass) -> Vec<Unit> {
    pass.sessions().into_iter().flat_map(|session| pass.units_of(session)).map(std::borrow::Cow::into_owned).collect()
}

#[test]
fn counters_since_ever_are_the_numbers_of_the_summary() {
    for (path, pass) in recordings() {
        let (summary, mut totals) = (pass.summary(false), totals());
        units(&pass).iter().for_each(|unit| totals.observe(&Change::between(None, unit), EVER, None));
        let snapshot = totals.snapshot();
        let check = |metric: &'static Metric, labels: &[&str], expected: u64| {
            let name = metric.name;
            assert_eq!(sum(&snapshot, metric, labels), i128::from(expected), "{name}{labels:?} of {}", path.display());
        };
        let mut cost = Money::ZERO;
        for (model, numbers) in &summary.models {
            let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = numbers.tokens;
            let kinds = [("input", input), ("output", output), ("cache_read", cache_read)];
            for (kind, tokens) in
                kinds.into_iter().chain([("cache_write_5m", cache_write_5m), ("cache_write_1h", cache_write_1h)])
            {
                check(&catalog::TOKENS, &[model, kind], tokens);
                check(&catalog::LIFETIME_TOKENS, &[model, kind], tokens);
            }
            check(&catalog::API_REQUESTS, &[model], numbers.messages);
            check(&catalog::UNPRICED_TOKENS, &[model], summary.unpriced_tokens.get(model).copied().unwrap_or(0));
            cost += Money::parse_usd(&numbers.cost_usd).unwrap();
        }
        for metric in [&catalog::COST, &catalog::PROJECT_COST, &catalog::LIFETIME_COST] {
            assert_eq!(sum(&snapshot, metric, &[]), cost.picousd(), "{} of {}", metric.name, path.display());
        }
        check(&catalog::PROJECT_TOKENS, &[], summary.tokens.total());
        check(&catalog::TURNS, &[], summary.turns);
        check(&catalog::SUBAGENTS_STARTED, &[], summary.subagents);
        check(&catalog::COMPACTIONS, &[], summary.compactions);
        check(&catalog::API_ERRORS, &[], summary.api_errors);
        check(&catalog::TOOL_CALLS, &[], summary.tools.values().map(|tool| tool.calls).sum());
        check(&catalog::TOOL_CALLS, &["Bash"], summary.tools.get("Bash").map_or(0, |tool| tool.calls));
        check(&catalog::TOOL_FAILURES, &["", "error"], summary.tools.values().map(|tool| tool.failed).sum());
        check(&catalog::TOOL_FAILURES, &["", "denied"], summary.tools.values().map(|tool| tool.denied).sum());
        check(&catalog::TOOL_FAILURES, &["", "interrupted"], summary.tools.values().map(|tool| tool.interrupted).sum());
    }
}

#[test]
fn a_late_epoch_leaves_history_to_the_lifetime_gauges() {
    let (mut before, mut after) = (0, 0);
    for (path, pass) in recordings() {
        let units = units(&pass);
        let messages = units.iter().flat_map(|unit| &unit.parts.messages).map(|message| message.rank.time);
        let times: Vec<_> = messages.collect::<std::collections::BinaryHeap<_>>().into_sorted_vec();
        let Some(epoch) = times.get(times.len() / 2).copied() else { continue };
        let mut totals = totals();
        units.iter().for_each(|unit| totals.observe(&Change::between(None, unit), epoch, None));
        let snapshot = totals.snapshot();
        let all = units.iter().flat_map(|unit| &unit.parts.messages);
        let tokens = |late: bool| -> i128 {
            let own = all.clone().filter(|message| !late || message.rank.time >= epoch);
            own.flat_map(|message| &message.shares).map(|share| i128::from(share.tokens.total())).sum()
        };
        let tools = || units.iter().flat_map(|unit| &unit.parts.tools);
        let calls = tools().filter(|tool| tool.call.as_ref().is_some_and(|call| call.rank.time >= epoch)).count();
        let results = |tool: &&Tool| {
            tool.result.as_ref().is_some_and(|end| end.rank.time >= epoch) && tool.duration_ms().is_some()
        };
        let what = path.display();
        assert_eq!(sum(&snapshot, &catalog::TOKENS, &[]), tokens(true), "{what}");
        assert_eq!(sum(&snapshot, &catalog::LIFETIME_TOKENS, &[]), tokens(false), "{what}");
        assert_eq!(sum(&snapshot, &catalog::TOOL_CALLS, &[]), calls as i128, "{what}");
        assert_eq!(sum(&snapshot, &catalog::TOOL_DURATION, &[]), tools().filter(results).count() as i128, "{what}");
        before += tokens(false) - tokens(true);
        after += tokens(true);
    }
    assert!(before > 0 && after > 0, "the epoch cuts the recordings");
}

#[test]
fn two_commits_count_what_one_counts() {
    for (path, pass) in recordings() {
        let (mut once, mut twice) = (totals(), totals());
        for unit in units(&pass) {
            let mut half = unit.clone();
            half.parts.messages.truncate(unit.parts.messages.len().div_ceil(2));
            half.parts.tools.truncate(unit.parts.tools.len().div_ceil(2));
            let failed: Vec<_> = unit.parts.failures().map(|(row, _)| row.id).collect();
            let later = &failed[failed.len() / 2..];
            half.parts.rows.retain(|row| !matches!(row.what, Fact::Compaction(_)) && !later.contains(&row.id));
            half.parts.messages.last_mut().into_iter().for_each(|message| message.closed = false);
            half.parts.tools.last_mut().into_iter().for_each(|tool| tool.result = None);
            commit(&mut once, &[(None, &unit)]);
            commit(&mut twice, &[(None, &half)]);
            commit(&mut twice, &[(Some(&half), &unit)]);
        }
        assert!(samples(&mut once) == samples(&mut twice), "{}", path.display());
        for unit in units(&pass) {
            twice.observe(&Change::between(Some(&unit), &unit), EVER, None);
        }
        assert_eq!(twice.dirty().count(), 0, "what did not change adds nothing: {}", path.display());
        assert!(samples(&mut once) == samples(&mut twice), "{}", path.display());
    }
}

#[test]
fn what_moves_to_another_unit_counts_once() {
    let (mut from, to) = (turn(1, "/home/dev/app"), turn(2, "/home/dev/other"));
    from.parts.messages.push(Message { closed: true, ..message("m1", "claude-a", 10, Some(500)) });
    from.parts.tools.push(tool("t1", "Bash", Some((4000, Outcome::Failed))));
    let (mut from_after, mut to_after) = (from.clone(), to.clone());
    to_after.parts.messages.append(&mut from_after.parts.messages);
    to_after.parts.tools.append(&mut from_after.parts.tools);
    let changes = [(Some(&from), &from_after), (Some(&to), &to_after)];
    for order in [[0, 1], [1, 0]] {
        let mut totals = totals();
        commit(&mut totals, &[(None, &from), (None, &to)]);
        let before = samples(&mut totals);
        commit(&mut totals, &order.map(|position| changes[position]));
        assert!(before == samples(&mut totals), "{order:?}");
        assert_eq!(number(&mut totals, &catalog::API_REQUEST_DURATION, &["claude-a"]), 1);
        assert_eq!(number(&mut totals, &catalog::TOOL_FAILURES, &["Bash", "error"]), 1);
        assert_eq!(number(&mut totals, &catalog::LINES_CHANGED, &["added"]), 3);
    }
}

#[test]
fn a_late_agent_type_takes_only_what_comes_after_it() {
    let mut unknown = agent(1, None);
    unknown.parts.messages.push(message("m1", "claude-a", 10, Some(500)));
    let mut known = agent(1, Some("Explore"));
    known.parts.messages.push(message("m1", "claude-a", 15, Some(700)));
    let mut totals = totals();
    commit(&mut totals, &[(None, &unknown)]);
    commit(&mut totals, &[(Some(&unknown), &known)]);
    assert_eq!(number(&mut totals, &catalog::SUBAGENT_COST, &["other"]), 500);
    assert_eq!(number(&mut totals, &catalog::SUBAGENT_COST, &["Explore"]), 200);
    assert_eq!(number(&mut totals, &catalog::SUBAGENTS_STARTED, &["other"]), 1);
    assert_eq!(number(&mut totals, &catalog::SUBAGENTS_STARTED, &["Explore"]), 0);
    assert_eq!(number(&mut totals, &catalog::TOKENS, &["claude-a", "input", "subagent"]), 15);
}

#[test]
fn a_lower_price_shows_in_the_lifetime_gauge_only() {
    let mut dear = turn(1, "/home/dev/app");
    dear.parts.messages.push(message("m1", "claude-a", 10, Some(500)));
    let mut cheap = dear.clone();
    cheap.parts.messages[0].shares[0].cost = Some(Money::from_picousd(300));
    let mut totals = totals();
    commit(&mut totals, &[(None, &dear)]);
    commit(&mut totals, &[(Some(&dear), &cheap)]);
    assert_eq!(number(&mut totals, &catalog::COST, &["claude-a", "main"]), 500);
    assert_eq!(number(&mut totals, &catalog::LIFETIME_COST, &["claude-a"]), 300);
    for (before, now) in [(reported(0, 0), reported(7, 4)), (reported(7, 4), reported(2, 0))] {
        let session = &session("cli", Timestamp(1));
        totals.observe(&Change::Session { session, is_new: false, before, now }, EVER, None);
    }
    let gauges = [&catalog::CLIENT_REPORTED_COST, &catalog::UNATTRIBUTED_COST];
    assert_eq!(gauges.map(|metric| number(&mut totals, metric, &[])), [2, 0]);
}

#[test]
fn counters_never_run_backwards_and_lifetime_is_exact() {
    for seed in 1..=40 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed));
        let mut world = vec![turn(1, "/home/dev/app"), turn(2, "/home/dev/app"), agent(3, Some("Plan"))];
        let mut totals = Totals::new(LabelRules { projects_max: 2, ..LabelRules::default() });
        let mut committed: Vec<Option<Unit>> = vec![None; world.len()];
        let mut shown = samples(&mut totals);
        for step in 0..120 {
            shake(&mut world, &mut dice, step);
            if dice.below(3) > 0 {
                continue;
            }
            for (was, is) in committed.iter_mut().zip(&world).filter(|(was, is)| was.as_ref() != Some(is)) {
                totals.observe(&Change::between(was.as_ref(), is), Timestamp(1500), None);
                *was = Some(is.clone());
            }
            let written: BTreeMap<_, _> =
                totals.dirty().map(|(series, sample)| (series.clone(), sample.clone())).collect();
            totals.committed();
            let now = samples(&mut totals);
            for (series, sample) in &now {
                let metric = catalog::find(&series.metric).unwrap();
                match (sample, shown.get(series)) {
                    (Sample::Number(now), Some(Sample::Number(before))) if metric.kind == MetricKind::Counter => {
                        assert!(now >= before, "seed {seed} step {step}: {series:?} {before} -> {now}");
                    }
                    (Sample::Histogram(now), Some(Sample::Histogram(before))) => {
                        assert!(now.count >= before.count, "seed {seed} step {step}: {series:?}");
                    }
                    _ => {}
                }
                let same = shown.get(series) == Some(sample);
                assert!(same || written.contains_key(series), "seed {seed} step {step}: {series:?} is not written");
            }
            shown = now;
        }
        let mut fresh = Totals::new(LabelRules::default());
        committed.iter().flatten().for_each(|unit| fresh.observe(&Change::between(None, unit), Timestamp(1500), None));
        for metric in [&catalog::LIFETIME_COST, &catalog::LIFETIME_TOKENS] {
            let (mut exact, fresh) = (totals.snapshot(), fresh.snapshot());
            let by_labels = |snapshot: &mut Snapshot| -> Vec<_> {
                let series = snapshot.of(metric).filter(|(_, sample)| **sample != Sample::Number(0));
                series.map(|(labels, sample)| (labels.to_vec(), sample.clone())).collect()
            };
            assert_eq!(by_labels(&mut exact), by_labels(&mut fresh.clone()), "seed {seed}: {}", metric.name);
        }
    }
}

#[test]
fn what_exceeds_a_limit_goes_to_other() {
    let rules = LabelRules { series_max: 20, projects_max: 2, ..LabelRules::default() };
    let mut totals = Totals::new(rules.clone());
    for (number, model) in (1u128..).zip(["claude-a", "claude-b", "claude-c", "claude-d"]) {
        let mut unit = turn(number, &format!("/home/dev/project-{model}"));
        unit.parts.messages.push(message(model, model, 10, Some(5)));
        commit(&mut totals, &[(None, &unit)]);
    }
    let check = |totals: &mut Totals| {
        // Ten series for each model: two models fit.
        assert_eq!(number(totals, &catalog::TOKENS, &["claude-b", "input", "main"]), 10);
        assert_eq!(number(totals, &catalog::TOKENS, &["other", "input", "main"]), 20);
        assert_eq!(number(totals, &catalog::API_REQUESTS, &["claude-d"]), 1);
        assert_eq!(number(totals, &catalog::PROJECT_COST, &["project-claude-a"]), 5);
        assert_eq!(number(totals, &catalog::PROJECT_COST, &["other"]), 10);
        let dropped = number(totals, &catalog::SERIES_DROPPED, &["tailspan_tokens_total"]);
        assert_eq!(dropped, 4, "input and output of two models");
    };
    check(&mut totals);
    let stored: Vec<(Series, Sample)> = {
        let bytes = postcard::to_stdvec(&samples(&mut totals).into_iter().collect::<Vec<_>>()).unwrap();
        postcard::from_bytes(&bytes).unwrap()
    };
    let gone = (Series { metric: "gone_total".into(), labels: Vec::new() }, Sample::Number(1));
    let mut again = Totals::load(rules.clone(), stored.iter().cloned().chain([gone]));
    assert_eq!(samples(&mut again), samples(&mut totals));
    assert_eq!(again.dirty().count(), 0);
    let mut late = turn(9, "/home/dev/project-late");
    late.parts.messages.push(message("late", "claude-a", 0, Some(1)));
    commit(&mut again, &[(None, &late)]);
    assert_eq!(number(&mut again, &catalog::PROJECT_COST, &["other"]), 11, "who came first stays");
    for project in [ProjectLabel::Hash, ProjectLabel::Off] {
        let mut private = Totals::load(LabelRules { project, ..rules.clone() }, stored.iter().cloned());
        commit(&mut private, &[(None, &late)]);
        let names = format!("{:?}", private.snapshot());
        assert!(!names.contains("project-claude"), "{project:?}");
        assert_eq!(private.snapshot().of(&catalog::PROJECT_COST).count() == 0, project == ProjectLabel::Off);
    }
}

#[test]
fn label_values_are_known_words() {
    let servers = ["git", "git__hub", "bad server"].map(str::to_owned);
    let rules = LabelRules { mcp_servers: servers.into_iter().collect(), ..LabelRules::default() };
    let tools = [
        ("Bash", "Bash"),
        ("bash", "other"),
        ("mcp__git__log", "mcp__git"),
        ("mcp__git__hub__log", "mcp__git__hub"),
        ("mcp__gitlab__log", "mcp"),
        ("mcp__bad server__x", "mcp"),
        ("/etc/passwd", "other"),
    ];
    tools.into_iter().for_each(|(name, label)| assert_eq!(&*rules.tool(name), label));
    let models = [("claude-opus-4.5", "claude-opus-4.5"), ("Claude", "other"), ("", "other"), ("a/b", "other")];
    models.into_iter().for_each(|(id, label)| assert_eq!(&*labels::model(id), label));
    assert_eq!(&*labels::model(&"x".repeat(65)), "other");
    assert_eq!(labels::agent_type(Some("Explore")), "Explore");
    assert_eq!([labels::agent_type(Some("my-agent")), labels::agent_type(None)], ["other", "other"]);
    assert_eq!(["sdk-cli", "mine"].map(|name| labels::entrypoint(Some(name))), ["sdk-cli", "other"]);
    assert_eq!(labels::entrypoint(None), "unknown");
    let kinds = ["pr-link", "a1b2c3", "x y"].map(|kind| labels::record_kind(kind).to_string());
    assert_eq!(kinds, ["pr-link", "other", "other"]);
    let projects = ["/home/dev/app/", "C:\\work\\app", "/"].map(|cwd| rules.project(project_of(cwd)).unwrap());
    assert_eq!(projects.map(|name| name.to_string()), ["app", "app", "unknown"]);
    let hashed = LabelRules { project: ProjectLabel::Hash, ..rules }.project(Some("app")).unwrap();
    assert!(hashed.len() == 8 && &*hashed != "app");
    let known = |tool: &&str| *tool == "mcp" || &*LabelRules::default().tool(tool) == *tool;
    assert!(labels::CORE_TOOLS.iter().all(known));
}

/// Totals and vitals in which every metric has a series.
fn everything() -> (Totals, Vitals) {
    let mut totals = totals();
    for (_, pass) in recordings() {
        for unit in units(&pass) {
            totals.observe(&Change::between(None, &unit), EVER, None);
            totals.observe(&Change::Ended { turn: &unit, cost: Some(Money::from_picousd(20_000_000_000)) }, EVER, None);
        }
    }
    totals.observe(&Change::new_session(&session("cli", Timestamp(1)), None).unwrap(), EVER, None);
    totals.observe(&Change::Run { run: &run(1, Some("nightly")), cost: Money::ZERO }, EVER, None);
    totals.add(&catalog::LINES, 7);
    totals.rejected(Reason::TooLong, 1);
    totals.unknown("pr-link", 2);
    let vitals = Vitals::new(Timestamp(1_700_000_000_500), Duration::from_secs(1800));
    vitals.last_event.advance(Timestamp(1_700_000_001_000));
    vitals.outbox_oldest.set(Some(Timestamp(1_700_000_002_000)));
    vitals.set_history(vec![("default".into(), 3)]);
    (totals, vitals)
}

fn scrape(totals: &mut Totals, vitals: &Vitals, now: Timestamp) -> String {
    let deliveries = Deliveries { failures: vec![("timeout", 3)], ..Deliveries::default() };
    let scrape = Scrape {
        totals: &totals.snapshot(),
        vitals,
        deliveries: &deliveries,
        budgets: &crate::budgets::shown(),
        limits: &crate::account_limits::shown(),
        requests: &RequestCounters::default(),
        build: Build { version: "0.1.0", revision: "abc" },
        now,
    };
    let (content_type, text) = scrape.answer("*/*");
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    text
}

#[test]
fn a_scrape_shows_the_catalogue_and_nothing_else() {
    let (mut totals, vitals) = everything();
    let text = scrape(&mut totals, &vitals, EVER);
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names: BTreeSet<_> = names.filter(|(name, _)| !name.starts_with("process_")).collect();
    let known: Vec<_> = ALL.iter().map(|metric| (metric.full_name(), metric.kind.name())).collect();
    assert_eq!(names, known.iter().map(|(name, kind)| (&**name, *kind)).collect());
    assert!(text.contains("\nprocess_resident_memory_bytes "));
    assert!(text.contains("\ntailspan_export_failures_total{reason=\"timeout\"} 3\n"));
    assert!(text.contains("\ntailspan_start_time_seconds 1700000000.5\n"));
    assert!(text.contains("\ntailspan_turn_cost_usd_bucket{le=\"0.025\"} "));
    // Ids and paths have shapes that no label value has.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let strange = ["/home", "toolu_", "msg_", "req_"].iter().any(|part| line.contains(part));
        let hyphenated = line.split('"').any(|value| value.split('-').map(str::len).eq([8, 4, 4, 4, 12]));
        assert!(!strange && !hyphenated, "{line}");
    }
    for metric in ALL {
        for (labels, _) in totals.snapshot().of(metric) {
            for (label, value) in metric.labels.iter().zip(labels) {
                if let Values::Closed(values) = label.values {
                    assert!(values.contains(&&**value), "{}: {}={value}", metric.name, label.name);
                }
            }
        }
    }
}

#[test]
fn promtool_finds_nothing_to_lint() {
    let (mut totals, vitals) = everything();
    let text = scrape(&mut totals, &vitals, EVER);
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        assert!(std::env::var("CI").is_err(), "promtool is not installed");
        eprintln!("skipped: promtool is not installed");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn sessions_with_a_tool_open_for_long_wait() {
    let minute = 60_000;
    let now = Timestamp(100 * minute);
    let vitals = Vitals::new(EVER, Duration::from_secs(1800));
    let session = |last: i64, tool: &str, open_ms: i64| {
        let since = Timestamp(now.0 - open_ms);
        let open_tools = vec![OpenTool { tool: tool.into(), since }];
        LiveSession { open_tools, ..LiveSession::new("one", "cli", Timestamp(last)) }
    };
    let counts = |totals: &mut Totals, session: LiveSession| {
        vitals.set_sessions(vec![session]);
        let counts = vitals.live(&totals.snapshot(), now)["cli"];
        (counts.active, counts.waiting.iter().sum())
    };
    let mut totals = totals();
    assert_eq!(counts(&mut totals, session(now.0, "Read", 50_000)), (1, 0), "nothing is known of the tool yet");
    assert_eq!(counts(&mut totals, session(now.0, "Read", 70_000)), (1, 1));
    let mut unit = turn(1, "/home/dev/app");
    let ended = |number, name, time| tool(&format!("{name}{number}"), name, Some((time, Outcome::Ok)));
    (0..20).for_each(|of| unit.parts.tools.extend([ended(of, "Read", 2100), ended(of, "Bash", 92_000)]));
    commit(&mut totals, &[(None, &unit)]);
    assert_eq!(counts(&mut totals, session(now.0, "Read", 9_000)), (1, 0), "ten seconds at least");
    assert_eq!(counts(&mut totals, session(now.0, "Read", 11_000)), (1, 1));
    assert_eq!(counts(&mut totals, session(now.0, "Bash", 70_000)), (1, 0), "it usually takes that long");
    assert_eq!(counts(&mut totals, session(now.0 - 6 * minute, "Read", 6 * minute)), (0, 1));
    assert_eq!(counts(&mut totals, session(now.0 - 31 * minute, "Read", 31 * minute)), (0, 0), "it was killed");
}

#[test]
fn the_catalogue_agrees_with_what_feeds_it() {
    let open = ALL.iter().filter(|metric| metric.kept == KeptIn::State && metric.open_label().is_some());
    let open = open.filter(|metric| metric.labels[metric.open_label().unwrap()].name != "project");
    assert_eq!(open.map(|metric| metric.full_name()).collect::<Vec<_>>(), catalog::SERIES_DROPPED.labels[0].at_start());
    let reasons: Vec<_> = FailureReason::ALL.iter().map(|reason| reason.label()).collect();
    assert_eq!(catalog::EXPORT_FAILURES.labels[0].at_start(), reasons);
    let reasons: Vec<_> = DropReason::ALL.iter().map(|reason| reason.label()).collect();
    assert_eq!(catalog::SPANS_DROPPED.labels[0].at_start(), reasons);
    for metric in ALL {
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        assert!(metric.buckets.is_sorted() && metric.labels.iter().filter(|label| label.is_open()).count() <= 2);
    }
}
