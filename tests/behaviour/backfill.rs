//! `tailspan backfill`: what the counters would have shown, as a file that Prometheus takes.

use crate::support::daemon::Daemon;
use crate::support::history::{DAY, FIRST_DAY, backfill, days, printed, series, session, tailspan};
use crate::support::units::recordings;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tailspan::audit::pass::{self, Pass};
use tailspan::audit::survey::Survey;
use tailspan::ledger::prices::Prices;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::history::{HistoryEnd, HistorySpan, MetricHistory, ScrapeTarget};
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::points::points;
use tailspan::views::metrics::text::TextFormat;
use tailspan::views::metrics::totals::Totals;

/// What has no time of its own, and is not in a history.
const TIMELESS: [&str; 6] = [
    "tailspan_lines_total",
    "tailspan_rejected_lines_total",
    "tailspan_unknown_records_total",
    "tailspan_series_dropped_total",
    "tailspan_lifetime_",
    "_cost_usd ",
];

/// Every counter of a scrape that is not 0, as a file of the other format names it.
fn counters(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !TIMELESS.iter().any(|name| line.contains(name)));
    let all = lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| {
        // The bound of a bucket is the last label, and a float in OpenMetrics.
        let name = match name.split_once("le=\"").and_then(|(start, rest)| Some((start, rest.strip_suffix("\"}")?))) {
            Some((start, bound)) if !bound.contains(['.', '+']) => format!("{start}le=\"{bound}.0\"}}"),
            _ => name.to_owned(),
        };
        (name, value.parse::<f64>().unwrap())
    });
    all.filter(|(_, value)| *value != 0.0).collect()
}

/// The last sample of each series that is not 0.
fn last(text: &str) -> BTreeMap<String, f64> {
    let all = series(text).into_iter().map(|(name, samples)| (name, samples.last().unwrap().1));
    all.filter(|(_, value)| *value != 0.0).collect()
}

fn history_of(pass: &Pass, until: Timestamp) -> String {
    let mut history = MetricHistory::new(LabelRules::default(), HistorySpan { since: None, until, step_s: 300 });
    pass.remember(&mut history);
    let target = ScrapeTarget { job: "tailspan".to_owned(), instance: "127.0.0.1:9719".to_owned() };
    let mut text = String::new();
    let take = |piece: &str| {
        text.push_str(piece);
        Ok::<(), ()>(())
    };
    history.write(&target, HistoryEnd::Open, take).unwrap();
    text
}

#[test]
fn the_last_samples_are_what_scan_counts() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let world = tempfile::tempdir().unwrap();
    days(world.path());
    for projects in [fixtures.join("recordings"), fixtures.join("sub-agents-nest/projects"), world.path().to_owned()] {
        let folders: Vec<_> = match projects.ends_with("recordings") {
            true => ["2.1.330/b_tools", "2.0.77/b_tools", "1.0.128/c_parallel"]
                .map(|name| projects.join(name).join("projects"))
                .into_iter()
                .collect(),
            false => vec![projects],
        };
        for folder in folders {
            let scanned = printed(&["scan", folder.to_str().unwrap(), "--format", "prometheus"]);
            let written = backfill(&folder, &[]);
            assert_eq!(last(&written), counters(&scanned), "{}", folder.display());
            assert!(written.ends_with("\n# EOF\n"));
        }
    }
}

#[test]
fn a_series_stands_once_in_order_of_time_and_never_falls() {
    let world = tempfile::tempdir().unwrap();
    days(world.path());
    let text = backfill(world.path(), &["--until", "2025-06-25"]);
    let mut finished = BTreeSet::new();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        // The series of one histogram stand together, moment by moment.
        let metric = line.split(['{', ' ']).next().unwrap();
        let family = metric.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
        let labels = line.split(",le=").next().unwrap().split('}').next().unwrap().split('{').nth(1).unwrap();
        let group = format!("{family}{{{labels}");
        if group != current {
            assert!(finished.insert(group.clone()), "{group} begins again");
            current = group;
        }
    }
    let all = series(&text);
    assert!(all.len() > 60, "{} series", all.len());
    for (name, samples) in &all {
        for pair in samples.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{name}: {pair:?}");
        }
        assert_eq!(samples[0].1, 0.0, "{name} begins at 0");
        assert_eq!(samples.last().unwrap().0, FIRST_DAY + 15 * DAY, "{name} ends at the end");
        let grid = |time: i64| time % 300 <= 1;
        assert!(samples.iter().all(|(time, _)| grid(*time)), "{name} is not aligned");
        let midnights = samples.iter().filter(|(time, _)| time % DAY == 0).count();
        let first = samples[0].0;
        assert_eq!(midnights as i64, (FIRST_DAY + 15 * DAY - first) / DAY + 1, "{name} has each midnight");
    }
}

#[test]
fn a_quiet_hour_has_no_samples_and_a_busy_one_has_all() {
    let world = tempfile::tempdir().unwrap();
    session(world.path(), 1, "api", &[("2025-06-10T09:31:00.000Z", "claude-sonnet-4-5", 5)]);
    let at = |text: &str, name: &str| -> Vec<i64> {
        let all = series(text);
        let (_, samples) = all.iter().find(|(series, _)| series.starts_with(name)).unwrap();
        samples.iter().map(|(time, _)| time - FIRST_DAY).collect()
    };
    let hours: Vec<i64> = (0..=12).map(|step| 9 * 3600 + step * 300).collect();
    let half = hours[6];
    let [first, second] = [&hours[1..=6], &hours[7..]];
    let expected: Vec<i64> =
        [&[0, 1, hours[0], hours[0] + 1], first, &[half + 1], second, &[DAY, DAY + 1, DAY + 43_200]].concat();
    let text = backfill(world.path(), &["--until", "2025-06-11T12:00:00Z"]);
    assert_eq!(at(&text, "tailspan_cost_usd_total"), expected);
    let samples = &series(&text)["tailspan_turns_total{origin=\"human\"}"];
    let step = samples.iter().position(|(_, value)| *value == 1.0).unwrap();
    assert_eq!(samples[step].0 - FIRST_DAY, 9 * 3600 + 35 * 60, "shown when its five minutes are over");
    assert_eq!(at(&text, "tailspan_tool_duration_seconds_bucket"), expected, "histograms as counters");
    let minutes = backfill(world.path(), &["--until", "2025-06-11T12:00:00Z", "--step", "1m"]);
    assert_eq!(at(&minutes, "tailspan_cost_usd_total").len(), expected.len() + 48);
    // The middle of a step: what comes before the end is in the last sample, what comes after is not.
    for (until, turns) in [("2025-06-10T09:31:00Z", None), ("2025-06-10T09:31:01Z", Some(1.0))] {
        let text = backfill(world.path(), &["--until", until]);
        assert_eq!(last(&text).get("tailspan_turns_total{origin=\"human\"}").copied(), turns, "{until}");
    }
    let long = backfill(world.path(), &["--until", "2025-06-11T12:00:00Z", "--step", "1h"]);
    let hourly = [0, 1, 9 * 3600, 9 * 3600 + 1, 10 * 3600, DAY, DAY + 1, DAY + 43_200];
    assert_eq!(at(&long, "tailspan_cost_usd_total"), hourly, "nothing between two steps");
    let late = backfill(world.path(), &["--since", "2025-06-10T09:30:00Z", "--until", "2025-06-10T09:40:00Z"]);
    assert_eq!(at(&late, "tailspan_cost_usd_total"), [half, half + 1, hours[7], hours[8]]);
    let later = backfill(world.path(), &["--since", "2025-06-10T09:31:01Z", "--until", "2025-06-11"]);
    assert_eq!(later, "# EOF\n");
}

#[test]
fn a_history_and_the_counters_after_it_are_everything_once() {
    // 2026-12-01, after all recordings.
    let end = Timestamp(1_796_083_200_000);
    let mut cut = 0;
    for (path, pass) in recordings() {
        let whole = last(&history_of(&pass, end));
        let units = pass.sessions().into_iter().flat_map(|session| pass.units_of(session));
        let mut times: Vec<_> = units
            .flat_map(|unit| {
                let ends = [unit.first, unit.activity_end()];
                unit.parts.messages.iter().map(|message| message.rank.time).chain(ends).collect::<Vec<_>>()
            })
            .collect();
        times.sort();
        times.dedup();
        // Some of the moments at which something happened: cut there, it belongs to what comes after.
        for epoch in times.iter().step_by(1 + times.len() / 4).copied() {
            let mut totals = Totals::new(LabelRules::default());
            pass.observe_since(epoch, &mut totals);
            let live = counters(&TextFormat::Plain.write(&points(&totals.snapshot()), &[]));
            let mut sums = last(&history_of(&pass, epoch));
            cut += usize::from(!sums.is_empty() && !live.is_empty());
            live.into_iter().for_each(|(name, value)| *sums.entry(name).or_default() += value);
            assert_eq!(sums.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{}", path.display());
            for (name, sum) in sums {
                assert!((sum - whole[&name]).abs() < 1e-9, "{name} of {} at {epoch:?}", path.display());
            }
        }
    }
    assert!(cut > 50, "only {cut} cuts had something on both sides");
}

#[test]
fn too_many_projects_leave_the_most_used_their_names() {
    let world = tempfile::tempdir().unwrap();
    let time = "2025-06-10T09:31:00.000Z";
    for (number, (project, messages)) in [("small", 1), ("large", 3), ("middle", 2)].into_iter().enumerate() {
        let said = vec![(time, "claude-sonnet-4-5", 5); messages];
        session(world.path(), u32::try_from(number).unwrap(), project, &said);
    }
    let config = world.path().join("tailspan.toml");
    let tokens = |rules: &str| {
        fs::write(&config, format!("[metrics]\n{rules}\n")).unwrap();
        let text = backfill(world.path(), &["--config", config.to_str().unwrap(), "--until", "2025-06-11"]);
        let own = last(&text).into_iter().filter_map(|(name, value)| {
            Some((
                name.strip_prefix("tailspan_project_tokens_total{project=\"")?.trim_end_matches("\"}").to_owned(),
                value,
            ))
        });
        own.collect::<Vec<_>>()
    };
    let named = |name: &str, messages: f64| (name.to_owned(), messages * 7015.0);
    assert_eq!(tokens("projects_max = 2"), [named("large", 3.0), named("middle", 2.0), named("other", 1.0)]);
    assert_eq!(tokens("projects_max = 0"), [named("other", 6.0)]);
    assert_eq!(tokens("project_label = \"off\""), []);
}

#[test]
fn the_same_files_have_the_same_names_above_a_limit() {
    let world = tempfile::tempdir().unwrap();
    for number in 0..300 {
        let (project, model) = (format!("project-{number}"), format!("claude-sonnet-{number}"));
        let time = format!("2025-06-10T09:31:{:02}.000Z", number % 60);
        let said = vec![(time.as_str(), model.as_str(), 5); 1 + number as usize * 7 % 40];
        session(world.path(), number, &project, &said);
    }
    let labels = LabelRules { projects_max: 20, series_max: 60, ..LabelRules::default() };
    let prices = Prices::embedded();
    let scan = || {
        let found = pass::find(&[world.path().to_owned()], &mut Vec::new()).unwrap();
        let (totals, _) = Survey::of(found, &prices, 4).totals(labels.clone(), |_, _| {});
        TextFormat::Plain.write(&points(&totals), &[])
    };
    let first = scan();
    let named = |name: &str| first.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(named("tailspan_project_cost_usd_total{"), 21, "the limit is reached");
    assert!(named("tailspan_lifetime_cost_usd{") > 20, "{}", named("tailspan_lifetime_cost_usd{"));
    for _ in 0..4 {
        assert!(scan() == first, "other values keep their names");
    }
}

#[test]
fn a_first_start_that_is_still_to_come_is_no_mistake_of_the_user() {
    let world = tempfile::tempdir().unwrap();
    let (projects, state) = (world.path().join("projects"), world.path().join("state"));
    days(&projects);
    fs::create_dir_all(&state).unwrap();
    // As the clock was before it was set back.
    fs::write(state.join("epoch.json"), r#"{"first_start":"2096-01-01T00:00:00.000Z","exported_until":null}"#).unwrap();
    let arguments = ["backfill", "--projects", projects.to_str().unwrap(), "--state", state.to_str().unwrap()];
    assert!(series(&printed(&arguments)).len() > 60);
    let refused = tailspan(&[&arguments[..], &["--until", "2095-01-01"]].concat());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not over yet"), "{refused:?}");
}

#[test]
fn the_end_is_the_first_start_of_the_sidecar() {
    let world = tempfile::tempdir().unwrap();
    let (projects, state) = (world.path().join("projects"), world.path().join("state"));
    days(&projects);
    let daemon = Daemon::start(&projects, &state, &[]);
    daemon.metrics();
    let epoch: serde_json::Value = serde_json::from_slice(&fs::read(state.join("epoch.json")).unwrap()).unwrap();
    let epoch = Timestamp::parse(epoch["first_start"].as_str().unwrap()).unwrap().0 / 1000;
    let arguments = ["backfill", "--projects", projects.to_str().unwrap(), "--state", state.to_str().unwrap()];
    let files = printed(&arguments);
    for (name, samples) in series(&files) {
        let [.., before, last, zero] = samples.as_slice() else { panic!("{name} is short") };
        assert!(last.0 == epoch && last.1 == before.1, "{name} keeps its value to the end");
        assert_eq!(*zero, (epoch + 1, 0.0), "{name} begins again with the sidecar");
    }
    let refused = tailspan(&[&arguments[..], &["--from-state"]].concat());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is in use by another tailspan"));
    assert_eq!(daemon.stop(), Some(0));
    // The client deletes files after a month; the state still knows them.
    assert_eq!(printed(&[&arguments[..], &["--from-state"]].concat()), files);
    fs::remove_dir_all(&projects).unwrap();
    assert_eq!(printed(&[&arguments[..], &["--from-state"]].concat()), files);
}

#[test]
fn arguments_that_cannot_be_are_refused_with_what_could() {
    let world = tempfile::tempdir().unwrap();
    days(world.path());
    let projects = world.path().to_str().unwrap();
    let state = format!("{projects}/no-state");
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = tailspan(&[&["backfill", "--state", &state], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    };
    check(&[projects, "--since", "yesterday"], 2, "expected a day like 2026-11-01 (midnight UTC) or an RFC 3339 time");
    check(&[projects, "--until", "2025-02-30"], 2, "expected a day like");
    check(&[projects, "--until", "9999-01-01"], 2, "--until 9999-01-01T00:00:00.000Z is not over yet");
    check(&[projects, "--since", "2025-06-12", "--until", "2025-06-12"], 2, "is not before the end, 2025-06-12T00:00");
    for step in ["7m", "1s", "2d", "1500ms", "45m", "often"] {
        check(&[projects, "--step", step], 2, "expected 15s to 1d, a whole part of an hour or of a day");
    }
    check(&[projects, "--from-state"], 2, "cannot be used with");
    check(&["--from-state"], 1, "there is no state in");
    check(&["/nowhere"], 1, "there is no /nowhere");
    check(&[], 1, "no session files");
}

#[test]
fn a_turn_costs_what_its_sub_agents_cost_too() {
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sub-agents-nest/projects");
    let scanned = counters(&printed(&["scan", projects.to_str().unwrap(), "--format", "prometheus"]));
    let subagents: f64 = scanned.iter().filter(|(name, _)| name.contains("subagent_cost")).map(|(_, cost)| cost).sum();
    let all: f64 = scanned.iter().filter(|(name, _)| name.starts_with("tailspan_cost_usd")).map(|(_, cost)| cost).sum();
    assert!(subagents > 0.0);
    assert!(
        (scanned["tailspan_turn_cost_usd_sum"] - all).abs() < 1e-9,
        "{} of {all}",
        scanned["tailspan_turn_cost_usd_sum"]
    );
}
