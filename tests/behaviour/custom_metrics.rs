//! Custom metrics: rules in the configuration, and what they count in a scan, in a history, in a state that lives on, and
//! in `tailspan rules check`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::audit::pass::find;
use tailspan::audit::survey::Survey;
use tailspan::config::rules_of;
use tailspan::tail::ReadLimits;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::points::points_of;
use tailspan::views::metrics::rules::CustomRules;
use tailspan::views::metrics::text::TextFormat;
use tailspan::views::metrics::totals::{Sample, Snapshot};

use crate::support::history::{backfill, printed, series, tailspan};
use crate::support::world::{Dice, World, append, copy_folder, files_below, prices, recordings};

/// Rules on events of every kind, with texts, words, sums and sizes.
const EVERY_KIND: &str = include_str!("../../fixtures/custom_rules.toml");

/// The rules of a text, as a configuration file holds them.
fn rules(text: &str) -> CustomRules {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, text).unwrap();
    rules_of(&path).unwrap()
}

fn labels(custom: CustomRules) -> LabelRules {
    LabelRules { custom, ..LabelRules::default() }
}

/// Every sample of a custom metric that is not 0, by name and labels.
fn counted(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let points = snapshot.custom().iter().flat_map(|metric| points_of(metric, snapshot));
    let shown = points.map(|point| {
        let labels: Vec<&str> = point.labels.iter().map(|value| &**value).collect();
        let value = match &point.sample {
            Sample::Number(number) => number.to_string(),
            // An event has its size when it is over, and once: of several copies, that of the one which was read first.
            Sample::Histogram(histogram) => histogram.count.to_string(),
        };
        (format!("{} {}", point.metric.name, labels.join(",")), value)
    });
    shown.filter(|(_, value)| value != "0").collect()
}

/// What a clean scan counts.
fn scanned(root: &Path, custom: &CustomRules) -> BTreeMap<String, String> {
    let found = find(&[root.to_owned()], &mut Vec::new()).unwrap();
    let prices = prices();
    let survey = Survey::of(found, &prices, 1).with_rules(custom.rules());
    counted(&survey.totals(labels(custom.clone()), |_, _| {}).0)
}

/// A world that counts rules, without files yet.
fn world(folder: &Path, custom: &CustomRules) -> World {
    let mut world = World::new(folder);
    // First seen before everything.
    world.labels = labels(custom.since(vec![Timestamp(i64::MIN); custom.metrics().len()]));
    world.restart();
    world
}

/// All recordings, each in a folder of its own.
fn everything() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for recording in recordings() {
        let version = recording.parent().unwrap().file_name().unwrap().to_str().unwrap().replace('.', "-");
        let projects = recording.join("projects");
        for file in files_below(&projects) {
            let inside = file.strip_prefix(&projects).unwrap();
            let slug = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let rest: PathBuf = inside.components().skip(1).collect();
            files.push((PathBuf::from(format!("{slug}-{version}")).join(rest), fs::read(&file).unwrap()));
        }
    }
    files
}

/// One session: calls of tools with their inputs, and what the row of each result says.
fn session(calls: &[(&str, Value, Value)]) -> Vec<Value> {
    let row = |number: usize, kind: &str, message: Value, more: &Value| {
        let mut row = json!({
            "type": kind, "uuid": format!("00000000-{number:04x}-4000-8000-000000000000"),
            "timestamp": format!("2026-11-20T10:00:{:02}.000Z", number % 60), "sessionId": "one",
            "cwd": "/home/dev/shop", "gitBranch": "main", "version": "2.1.330", "entrypoint": "cli",
            "message": message,
        });
        row.as_object_mut()
            .unwrap()
            .extend(more.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        row
    };
    let nothing = json!({});
    let mut rows = vec![row(0, "user", json!({"role": "user", "content": "Please ship it."}), &nothing)];
    for (number, (tool, input, result)) in calls.iter().enumerate() {
        let (id, request) = (format!("toolu_{number}"), json!({"requestId": format!("req_{number}")}));
        let call = json!({"type": "tool_use", "id": id, "name": tool, "input": input});
        let message = json!({
            "id": format!("msg_{number:024}"), "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "tool_use",
            "content": [call], "usage": {"input_tokens": 1, "output_tokens": 2},
        });
        rows.push(row(2 * number + 1, "assistant", message, &request));
        let block = json!({
            "type": "tool_result", "tool_use_id": id, "content": "Said.", "is_error": result["is_error"] == true,
        });
        rows.push(row(2 * number + 2, "user", json!({"role": "user", "content": [block]}), result));
    }
    rows
}

fn text(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A day of work: what the shipped rules are about, and what only looks like it.
fn day_of_work() -> Vec<Value> {
    let (ok, failed) = (json!({}), json!({"is_error": true}));
    let denied = json!({
        "is_error": true, "toolDenialKind": "permission-rule", "permissionDecision": {"decision": "reject", "source": "user_reject"},
    });
    let bash = |command: &str| json!({ "command": command });
    let added = |lines: usize| {
        let lines: Vec<String> = (0..lines).map(|line| format!("+line {line}")).collect();
        json!({"toolUseResult": {"structuredPatch": [{"lines": lines}]}})
    };
    session(&[
        ("Bash", bash("git add . && git commit -m 'cargo test passes'"), ok.clone()),
        ("Bash", bash("git -C /home/dev/shop commit --amend"), ok.clone()),
        ("Bash", bash("git commit -m nothing"), failed.clone()),
        ("Bash", bash("git log --grep commit"), ok.clone()),
        ("Bash", bash("gh pr create --fill"), ok.clone()),
        ("mcp__github__create_pull_request", json!({"title": "Ship"}), ok.clone()),
        ("Bash", bash("cd api; cargo test --all"), ok.clone()),
        ("Bash", bash("npm run test"), failed.clone()),
        ("Bash", bash("python3 -m pytest -q"), ok.clone()),
        ("Bash", bash("cat cargo_test.log"), ok.clone()),
        ("Edit", json!({"file_path": "/home/dev/shop/src/main.rs"}), added(3)),
        ("Write", json!({"file_path": "/home/dev/shop/app.tsx"}), added(2)),
        ("Write", json!({"file_path": "/home/dev/shop/Makefile"}), ok.clone()),
        ("Edit", json!({"file_path": "/home/dev/shop/a.py"}), failed),
        ("Edit", json!({"file_path": "/home/dev/shop/.env"}), denied),
        ("WebFetch", json!({"url": "https://user@docs.rs:443/cel?x=1"}), ok.clone()),
        ("WebFetch", json!({"url": "no address"}), ok),
    ])
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/custom-metrics.toml")
}

/// Lines of a scrape that are about custom metrics, without the prefix and what is 0.
fn custom_lines(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("tailspan_custom_"));
    lines.filter(|line| !line.ends_with(" 0") && !line.contains("_bucket")).map(str::to_owned).collect()
}

#[test]
fn the_shipped_rules_count_a_day_of_work() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("projects/-home-dev-shop/one.jsonl"), text(&day_of_work()).as_bytes());
    let (config, projects) = (shipped(), folder.path().join("projects"));
    let (config, projects) = (config.to_str().unwrap(), projects.to_str().unwrap());
    let scrape = printed(&["--config", config, "scan", "--format", "prometheus", projects]);
    let expected = [
        r#"commits_total{project="shop"} 2"#,
        r#"pull_requests_total{project="shop"} 2"#,
        r#"test_runs_total{outcome="failed",project="shop"} 1"#,
        r#"test_runs_total{outcome="ok",project="shop"} 2"#,
        r#"test_failures_total{project="shop"} 1"#,
        "test_duration_seconds_sum 3",
        "test_duration_seconds_count 3",
        r#"edits_total{language="other"} 1"#,
        r#"edits_total{language="rust"} 1"#,
        r#"edits_total{language="typescript"} 1"#,
        r#"lines_added_total{project="shop"} 5"#,
        r#"permission_denials_total{by="user_reject",tool="Edit"} 1"#,
        r#"web_fetches_total{host="docs.rs",outcome="ok"} 1"#,
        r#"web_fetches_total{host="unknown",outcome="ok"} 1"#,
    ];
    assert_eq!(custom_lines(&scrape), expected);
    assert!(scrape.contains("# HELP tailspan_custom_commits_total Commits that the agent made.\n# TYPE tailspan_custom_commits_total counter\n"));
    assert!(scrape.contains("# TYPE tailspan_custom_test_duration_seconds histogram\n"));

    let history = backfill(Path::new(projects), &["--config", config]);
    let last: BTreeMap<String, f64> = series(&history)
        .into_iter()
        .filter_map(|(name, samples)| Some((name.strip_prefix("tailspan_custom_")?.to_owned(), samples.last()?.1)))
        .collect();
    for line in expected {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(last.get(name), value.parse().ok().as_ref(), "{name} in {history}");
    }

    let table = printed(&["--config", config, "scan", projects]);
    assert!(table.contains(r#"tailspan_custom_commits_total{project="shop"}"#), "{table}");
    let summary: Value =
        serde_json::from_str(&printed(&["--config", config, "scan", "--format", "json", projects])).unwrap();
    let counts = summary["custom_metrics"].as_array().unwrap();
    let commits = json!({"metric": "tailspan_custom_commits_total", "labels": {"project": "shop"}, "sum": "2"});
    assert!(counts.contains(&commits), "{counts:?}");
}

/// Counted by hand in the recordings: nothing is committed or tested there, files are written and edits refused.
#[test]
fn the_shipped_rules_count_the_recordings() {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in everything() {
        append(&folder.path().join("projects").join(path), &bytes);
    }
    let config = shipped();
    let scrape = printed(&[
        "--config",
        config.to_str().unwrap(),
        "scan",
        "--format",
        "prometheus",
        folder.path().join("projects").to_str().unwrap(),
    ]);
    let lines = custom_lines(&scrape);
    let of = |name: &str| lines.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("commits"), Vec::<String>::new());
    assert_eq!(of("test_"), Vec::<String>::new());
    assert_eq!(of("web_fetches"), Vec::<String>::new());
    assert_eq!(of("edits"), [r#"edits_total{language="other"} 1"#, r#"edits_total{language="text"} 8"#]);
    let denials = [
        r#"permission_denials_total{by="config",tool="Write"} 1"#,
        r#"permission_denials_total{by="unknown",tool="Edit"} 2"#,
        r#"permission_denials_total{by="user_reject",tool="Bash"} 1"#,
    ];
    assert_eq!(of("permission_denials"), denials);
}

#[test]
fn a_mistake_names_file_line_key_and_column() {
    let rule =
        |more: &str| format!("[[metrics.custom]]\nname = \"a\"\nhelp = \"Some.\"\non = \"tool_result\"\n{more}\n");
    let cases = [
        (
            "when = 'toool == \"Bash\"'",
            "line 5: `metrics.custom[0].when`, column 1: a tool_result has no variable `toool`; the nearest that it has is `tool`",
        ),
        (
            "when = 'tool == \"Bash\" && tokens.output > 3'",
            "column 19: a tool_result has no variable `tokens.output` (`on = \"message\"` has it)",
        ),
        ("when = 'tool + 3'", "column 6: `+` needs two numbers, and this is text (string) and a whole number (int)"),
        ("when = 'lines_added'", "column 1: this is a whole number (int), expected true or false (bool)"),
        (
            "when = 'outcome == \"error\"'",
            "column 12: `outcome` is never \"error\": it is ok, failed, denied, interrupted",
        ),
        ("when = 'lines_added > \"3\"'", "column 13: `>` needs two values of one type"),
        ("when = 'tool == '", "column 9: syntax error: mismatched input the end"),
        ("when = 'tool.match(\"a\")'", "there is no function `match`; the nearest is `matches`"),
        ("when = 'tool.matches(\"(\")'", "column 14: the pattern cannot be used: unclosed group"),
        ("when = 'tool.matches(outcome)'", "column 14: a pattern is a constant text"),
        ("when = 'input == 3'", "column 1: `input` has fields: write `input.command`"),
        ("when = '''\ntrue &&\n  tol == \"a\"'''", "line 2 of the text, column 3: a tool_result has no variable `tol`"),
        (
            "value = 'tool'",
            "`metrics.custom[0].value`, column 1: this is text (string), expected a number (int or double)",
        ),
        (
            "labels = { a = 'lines_added' }",
            "line 5: `metrics.custom[0].labels.a`, column 1: this is a whole number (int), expected text (string)",
        ),
        ("labels = { le = 'tool' }", "`metrics.custom[0].labels.le`: this name is used by Prometheus itself"),
        (
            "lables = { a = 'tool' }",
            "unknown key `metrics.custom[0].lables`; the nearest known key is `metrics.custom[0].labels`",
        ),
        ("kind = 'histogram'", "`metrics.custom[0].buckets` is missing"),
        (
            "buckets = [1, 2]",
            "`metrics.custom[0].buckets` is an array with other things than text, expected an array of numbers",
        ),
        (
            "[[metrics.custom]]\nname = 'a'\nhelp = 'b'\non = 'turn'",
            "`metrics.custom[1].name`: tailspan_custom_a_total has a sample of the same name as `a`",
        ),
        (
            "[[metrics.custom]]\nname = 'a-b'\nhelp = 'b'\non = 'turn'",
            "`metrics.custom[1].name`: \"a-b\" is no name of a metric",
        ),
        (
            "[[metrics.custom]]\nname = 'b'\nhelp = 'b'\non = 'tool'",
            "`metrics.custom[1].on` is \"tool\", expected \"prompt\"",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    for (more, expected) in cases {
        fs::write(&path, rule(more)).unwrap();
        let told = rules_of(&path).expect_err(more).to_string();
        assert!(told.contains(expected), "{more}\n  says {told}\n  not  {expected}");
        assert!(told.contains("rules.toml, line "), "{told}");
    }
    let output = tailspan(&["rules", "check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("metrics.custom[1].on"));
}

#[test]
fn rules_check_says_what_the_last_days_hold() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("projects/-home-dev-shop/one.jsonl"), text(&day_of_work()).as_bytes());
    let (config, projects) = (shipped(), folder.path().join("projects"));
    let check = |days: &str| {
        printed(&["rules", "check", config.to_str().unwrap(), "--days", days, "--projects", projects.to_str().unwrap()])
    };
    let told = check("36500");
    assert!(told.starts_with("9 rules are right. What they count of the last 36500 days in 1 files:\n"), "{told}");
    assert!(told.contains("\ntailspan_custom_commits_total (counter, on tool_result): 2 events\n"), "{told}");
    let line = told.lines().find(|line| line.contains("language=\"rust\"")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["language=\"rust\"", "1", "1", "1", "one"]);
    assert!(printed(&["rules", "variables"]).contains("| `outcome` | text (string) |"));
}

#[test]
fn any_order_cut_restart_and_crash_counts_what_a_clean_scan_counts() {
    let custom = rules(EVERY_KIND);
    let files = everything();
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut world = world(folder.path(), &custom);
        world.limits = ReadLimits { chunk_bytes: [300, 4_000, 256 << 10][seed as usize % 3], ..ReadLimits::default() };
        let mut dice = Dice::new(seed);
        let mut written = vec![0; files.len()];
        while written.iter().zip(&files).any(|(at, (_, bytes))| *at < bytes.len()) {
            for _ in 0..40 {
                let which = dice.below(files.len());
                let (path, bytes) = &files[which];
                let left = bytes.len() - written[which];
                let some = if dice.one_in(3) { left } else { dice.below(9_000).min(left) };
                if some > 0 {
                    append(&world.root.join(path), &bytes[written[which]..written[which] + some]);
                    written[which] += some;
                }
            }
            let pieces = if dice.one_in(4) { dice.below(20) } else { usize::MAX };
            world.read(&mut dice, pieces);
            match dice.below(6) {
                // Not a clean end: the clock of the world is years ahead, and would end turns that are half written.
                0 => {
                    world.engine.as_mut().unwrap().commit(world.now).unwrap();
                    world.die();
                }
                1 => world.die(),
                _ => {}
            }
        }
        world.read(&mut dice, usize::MAX);
        let shown = counted(&world.settle());
        let expected = scanned(&world.root, &custom);
        assert_eq!(shown, expected, "seed {seed}");
        for kind in ["prompts", "answers", "answer_seconds", "calls", "echoes", "result_sizes", "turns", "agents"] {
            assert!(expected.keys().any(|name| name.starts_with(&format!("custom_{kind}"))), "{kind} is counted");
        }
        // New files with the same bytes are read again, and a copy of everything under other names too.
        for (path, bytes) in &files {
            let path = world.root.join(path);
            let new = path.with_extension("new");
            fs::write(&new, bytes).unwrap();
            fs::rename(&new, &path).unwrap();
        }
        world.read(&mut dice, usize::MAX);
        assert_eq!(counted(&world.settle()), expected, "seed {seed}, read again");
    }
}

#[test]
fn a_result_finds_the_input_of_a_call_of_another_life() {
    let custom = rules(EVERY_KIND);
    let rows = session(&[("Bash", json!({"command": "echo later; true"}), json!({}))]);
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(folder.path(), &custom);
    let path = world.root.join("-home-dev-shop/one.jsonl");
    append(&path, text(&rows[..2]).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    assert!(!counted(&world.settle()).contains_key("custom_echoes_total ok,later"));
    world.restart();
    // The call is not in the file any more: what the rule needs of it is in the state.
    append(&path, text(&rows[2..]).as_bytes());
    world.read(&mut Dice::new(2), usize::MAX);
    assert_eq!(counted(&world.settle())["custom_echoes_total ok,later"], "1000000000000");
    for file in files_below(&world.state) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(11).any(|some| some == b"later; true"), "{} holds the command", file.display());
    }
}

#[test]
fn a_rule_that_is_added_or_changed_counts_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let path = world.root.join("-home-dev-shop/one.jsonl");
    let rows = day_of_work();
    append(&path, text(&rows[..14]).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    // Stamped from now on: the sixth call and what follows.
    let time = |row: usize| Timestamp::parse(rows[row]["timestamp"].as_str().unwrap()).unwrap();
    let text_of_rules = fs::read_to_string(shipped()).unwrap();
    let custom = rules(&text_of_rules);
    let since = |from: Timestamp| custom.since(vec![from; custom.metrics().len()]);
    world.labels = labels(since(time(14)));
    world.restart();
    append(&path, text(&rows[14..]).as_bytes());
    world.read(&mut Dice::new(2), usize::MAX);
    let shown = counted(&world.settle());
    assert!(!shown.keys().any(|name| name.starts_with("custom_commits")), "{shown:?}");
    assert_eq!(shown["custom_edits_total rust"], "1000000000000");
    assert_eq!(shown["custom_test_runs_total ok,shop"], "1000000000000");
    // The whole file is read once more, and nothing of the past counts.
    let new = path.with_extension("new");
    fs::write(&new, text(&rows)).unwrap();
    fs::rename(&new, &path).unwrap();
    world.read(&mut Dice::new(3), usize::MAX);
    assert_eq!(counted(&world.settle()), shown);
    world.restart();
    assert_eq!(counted(&world.settle()), shown, "the numbers go on after a restart");
    // Another rule of the same name begins at 0.
    world.labels = labels(since(Timestamp::parse("2031-01-01T00:00:00.000Z").unwrap()));
    world.restart();
    assert_eq!(counted(&world.settle()).get("custom_edits_total rust"), None);
}

#[test]
fn the_state_remembers_when_a_rule_was_first_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (first, later) = (Timestamp(1_000), Timestamp(9_000));
    let seen = |rules: &[(String, u64)], now| {
        let mut epoch = tailspan::store::open(folder.path(), now).unwrap().epoch;
        epoch.count_rules(rules, now).unwrap()
    };
    let (a, b) = (("a".to_owned(), u64::MAX), ("b".to_owned(), 2));
    assert_eq!(seen(std::slice::from_ref(&a), first), [first]);
    assert_eq!(seen(&[b.clone(), a.clone()], later), [later, first]);
    assert_eq!(seen(&[("a".to_owned(), 7)], later), [later], "a rule that has changed");
    assert_eq!(seen(&[], later), []);
    assert_eq!(seen(&[a], later), [later], "a rule that was away");
}

#[test]
fn label_sets_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let calls: Vec<_> = (0..9).map(|n| ("Bash", json!({"command": format!("echo word{n}")}), json!({}))).collect();
    append(&folder.path().join("projects/-home-dev-shop/one.jsonl"), text(&session(&calls)).as_bytes());
    let custom = rules(EVERY_KIND);
    let found = find(&[folder.path().join("projects")], &mut Vec::new()).unwrap();
    let prices = prices();
    let survey = Survey::of(found, &prices, 1).with_rules(custom.rules());
    let few = LabelRules { series_max: 4, ..labels(custom.clone()) };
    let totals = survey.totals(few, |_, _| {}).0;
    let shown = counted(&totals);
    let echoes: Vec<_> = shown.iter().filter(|(name, _)| name.starts_with("custom_echoes")).collect();
    assert_eq!(echoes.len(), 5, "{echoes:?}");
    assert_eq!(shown["custom_echoes_total other,other"], "5000000000000");
    let scrape = TextFormat::Open.write(&tailspan::views::metrics::points::points(&totals), &[]);
    assert!(scrape.contains("tailspan_series_dropped_total{metric=\"tailspan_custom_echoes_total\"} 5\n"));
    assert!(scrape.contains("# TYPE tailspan_custom_echoes counter\n"));
}

#[test]
fn a_state_of_a_copy_counts_once() {
    let custom = rules(EVERY_KIND);
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(folder.path(), &custom);
    let rows = day_of_work();
    append(&world.root.join("-home-dev-shop/one.jsonl"), text(&rows).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    let before = counted(&world.settle());
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&world.root.join("-home-dev-shop"), copy.path());
    copy_folder(copy.path(), &world.root.join("-home-dev-shop-moved"));
    world.read(&mut Dice::new(2), usize::MAX);
    assert_eq!(counted(&world.settle()), before);
    copy_folder(copy.path(), &world.root.join("-home-dev-again"));
    world.die();
    world.read(&mut Dice::new(3), usize::MAX);
    assert_eq!(counted(&world.settle()), before);
}
