//! Budgets and projections: a configuration and session files in; states, gauges, refusals and what is expected out.

use std::ops::RangeInclusive;

use clap::Parser;
use serde_json::{Value, json};
use tailspan::cli::args::Args;
use tailspan::config::{Budget, Config, Env};
use tailspan::http::api::analytics::budgets::BudgetsNow;
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::budgets::{BudgetNow, BudgetState};
use tempfile::TempDir;

use crate::support::costs::{Asked, filled};
use crate::support::daemon::Daemon;
use crate::support::world::{Dice, World, copy_folder, recordings};

/// The budgets of a configuration file, or why it is refused. In messages, the file is `FILE`.
fn budgets(file: &str) -> Result<Vec<Budget>, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tailspan.toml");
    std::fs::write(&path, file).unwrap();
    let mut flags = Args::try_parse_from(["tailspan", "run"]).unwrap().flags();
    flags.config = Some(path.clone());
    let env: Env = [("HOME", "/home/ada")].into_iter().collect();
    let config = Config::resolve(&flags, &env);
    config.map(|config| config.budgets).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn usd(amount: &Value) -> Money {
    Money::parse_usd(amount.as_str().unwrap()).unwrap()
}

/// A budget with these lines.
fn budget(lines: &str) -> String {
    format!("[[budgets]]\nname = \"month\"\nusd = 200\nperiod = \"month\"\n{lines}\n")
}

fn cells() -> SharedCells {
    SharedCells::new(Prices::embedded())
}

#[test]
fn a_budget_is_read_with_its_exact_amount_and_its_filters() {
    assert_eq!(budgets("listen = \"127.0.0.1:1\"").unwrap(), []);
    let file = "[[budgets]]\nname = \"all of it\"\nusd = 0.10\nperiod = \"week\"\n\
                [[budgets]]\nname = \"two\"\nusd = \"49.50\"\nperiod = \"day\"\ntz = \"europe/berlin\"\n\
                project = \"shop\"\nmodel = [\"claude-opus-4-5\", \"claude-haiku-4-5\"]\n";
    let read = budgets(file).unwrap();
    assert_eq!(read.iter().map(|budget| budget.limit.to_string()).collect::<Vec<_>>(), ["0.1", "49.5"]);
    assert_eq!(read.iter().map(|budget| budget.zone.name()).collect::<Vec<_>>(), ["UTC", "Europe/Berlin"]);
    assert_eq!(read[1].filter.project, ["shop"]);
    assert_eq!(read[1].filter.model, ["claude-opus-4-5", "claude-haiku-4-5"]);
}

#[test]
fn mistakes_are_refused_with_their_line_and_what_would_be_right() {
    let usd = "expected US dollars as a plain decimal above 0 with at most 6 decimals, like 200 or \"49.50\"";
    let period = "expected \"month\", \"week\" or \"day\"";
    let of = |usd: &str| budget("").replace("200", usd);
    for (file, message) in [
        (budget("projekt = \"a\""), "5: unknown key `budgets[0].projekt`; the nearest known key is `budgets[0].project`".to_owned()),
        (of("0"), format!("3: `budgets[0].usd` is the integer 0, {usd}")),
        (of("-5"), format!("3: `budgets[0].usd` is the integer -5, {usd}")),
        (of("1e3"), format!("3: `budgets[0].usd` is the number 1e3, {usd}")),
        (of("\"many\""), format!("3: `budgets[0].usd` is \"many\", {usd}")),
        (budget("").replace("\"month\"\n", "\"year\"\n").replacen("year", "month", 1), format!("4: `budgets[0].period` is \"year\", {period}")),
        (budget("").replace("period = \"month\"\n", ""), format!("1: `budgets[0].period` is missing, {period}")),
        (budget("tz = \"Berlin\""), "5: `budgets[0].tz` is \"Berlin\", expected a time zone of the IANA database, like \"Europe/Berlin\"".to_owned()),
        (budget("tool = []"), "5: `budgets[0].tool` is an array, expected a text, or a list of texts of which any counts".to_owned()),
        (budget("origin = [\"human\", \"skd\"]"), "5: `budgets[0].origin` is an array, expected \"human\", \"sdk\", \"task_notification\" or \"teammate\", or a list of some of them".to_owned()),
        (budget(&budget("")), "6: `budgets[1].name` is \"month\", as in an earlier budget, expected a name of at most 64 bytes that no other budget has".to_owned()),
        ("budgets = 1".to_owned(), "1: `budgets` is the integer 1, expected an array of at most 16 tables ([[budgets]])".to_owned()),
        ((0..17).map(|number| budget("").replacen("month", &number.to_string(), 1)).collect(), "81: `budgets` is an array of more than 16 tables, expected an array of at most 16 tables ([[budgets]])".to_owned()),
    ] {
        assert_eq!(budgets(&file), Err(format!("FILE, line {message}")), "{file}");
    }
    let nearest = budgets("[[budget]]\nname = \"a\"").unwrap_err();
    assert!(nearest.contains("the nearest known key is `budgets`"), "{nearest}");
}

/// A session of one project with one response of 1,000 tokens and 2,000 back on each of these days of November, at noon UTC.
fn write(world: &World, project: &str, model: &str, days: RangeInclusive<u32>) {
    let rows = days.map(|day| {
        let message = json!({"id": format!("msg_01{project}{day:020}"), "role": "assistant", "model": model,
            "usage": {"input_tokens": 1000, "output_tokens": 2000}, "content": [{"type": "text", "text": "done"}],
            "stop_reason": "end_turn"});
        json!({"type": "assistant", "uuid": format!("{project}-{day}"), "sessionId": project, "message": message,
            "timestamp": format!("2026-11-{day:02}T12:00:00.000Z"), "cwd": format!("/home/dev/{project}"),
            "requestId": format!("req_{project}_{day}")})
    });
    let path = world.root.join(format!("-home-dev-{project}/{project}.jsonl"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, rows.map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

#[test]
fn the_answer_about_costs_projects_what_its_filters_take() {
    let (mut asked, _world, _folder) = filled(|world| {
        write(world, "often", "claude-sonnet-4-5", 1..=20);
        write(world, "seldom", "claude-sonnet-4-5", 18..=20);
    });
    asked.now = Timestamp::parse("2026-11-20T18:00:00Z").unwrap();
    let all = asked.ask("group_by=month");
    let projection = &all["projection"];
    assert_eq!(projection["month"], "2026-11");
    // 1,000 tokens at 3 dollars a million and 2,000 at 15.
    assert_eq!((&projection["spent_usd"], &all["rows"][0]["cost_usd"]), (&json!("0.759"), &json!("0.759")));
    assert_eq!((&projection["confidence"], &projection["days_used"]), (&json!(0.8), &json!(19)));
    assert!(projection["method"].as_str().unwrap().contains("same weekday"));
    assert_eq!(projection["back_test"], json!({"months": 0, "coverage": null, "median_error": null}));
    assert_eq!((&all["projection_reason"], &all["budgets"]), (&Value::Null, &json!([])));
    let amounts = ["spent_usd", "low_usd", "expected_usd", "high_usd"].map(|name| usd(&projection[name]));
    assert!(amounts.is_sorted() && amounts[2] > amounts[0], "{projection}");

    let often = asked.ask("project=often");
    assert_eq!(often["projection"]["spent_usd"], "0.66");
    assert_eq!(often["projection"]["expected_usd"], "0.99825");
    for window in ["since=2026-11-19", "until=2026-11-02", "limit=1"] {
        assert_eq!(asked.ask(&format!("project=often&{window}"))["projection"], often["projection"], "{window}");
    }
    for few in ["project=seldom", "project=nothing-has-this", "workflow=any"] {
        let answer = asked.ask(few);
        assert_eq!(answer["projection"], Value::Null, "{few}");
        assert!(answer["projection_reason"].as_str().unwrap().contains("7 days with spend"), "{answer}");
    }

    asked.now = Timestamp::parse("2026-11-30T23:30:00Z").unwrap();
    let [utc, berlin] = ["", "tz=Europe/Berlin"].map(|tz| asked.ask(tz)["projection"].clone());
    assert_eq!((&utc["month"], &utc["spent_usd"]), (&json!("2026-11"), &json!("0.759")));
    assert_eq!((&berlin["month"], &berlin["spent_usd"]), (&json!("2026-12"), &json!("0")));
}

const STATES: &str = "\
    [[budgets]]\nname = \"plenty\"\nusd = 100\nperiod = \"month\"\n\
    [[budgets]]\nname = \"soon\"\nusd = \"0.70\"\nperiod = \"month\"\nproject = \"shop\"\n\
    [[budgets]]\nname = \"gone\"\nusd = 0.1\nperiod = \"week\"\nmodel = [\"claude-sonnet-4-5\", \"no-model\"]\n\
    [[budgets]]\nname = \"today\"\nusd = 0.033\nperiod = \"day\"\nproject = \"shop\"\n\
    [[budgets]]\nname = \"nothing\"\nusd = 1\nperiod = \"month\"\nagent = \"Explore\"\n";

#[test]
fn a_budget_is_ok_expected_to_be_over_or_over() {
    let (asked, _world, _folder) = filled(|world| {
        write(world, "shop", "claude-sonnet-4-5", 1..=20);
        write(world, "blog", "claude-haiku-4-5", 1..=20);
    });
    let now = Timestamp::parse("2026-11-20T18:00:00Z").unwrap();
    let asked = Asked { now, cells: cells().with_budgets(budgets(STATES).unwrap()), ..asked };
    let answer = asked.ask("project=blog&since=2026-11-20&group_by=model");
    let told: Vec<(&str, &str, Option<&str>, &str)> = answer["budgets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap();
            (text("name"), text("spent_usd"), one["expected_usd"].as_str(), text("state"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("plenty", "0.88", Some("1.331"), "ok"),
            ("soon", "0.66", Some("0.99825"), "expected_over"),
            // From Monday the 16th on.
            ("gone", "0.165", Some("0.23925"), "over"),
            ("today", "0.033", Some("0.04125"), "expected_over"),
            ("nothing", "0", None, "ok"),
        ]
    );
    let scope = |at: usize| answer["budgets"][at]["scope"].clone();
    assert_eq!((scope(0), scope(1)), (Value::Null, json!({"project": ["shop"]})));
    assert_eq!(scope(2), json!({"model": ["claude-sonnet-4-5", "no-model"]}));
    assert_eq!(answer["budgets"][1]["limit_usd"], "0.7");
}

#[test]
fn what_budgets_have_spent_is_kept_as_it_is_added_up_anew() {
    let file = "[[budgets]]\nname = \"bash\"\nusd = 1\nperiod = \"month\"\ntz = \"Asia/Kathmandu\"\ntool = \"Bash\"\n\
                [[budgets]]\nname = \"agents\"\nusd = 1\nperiod = \"week\"\nagent = [\"Explore\", \"unknown\", \"main\"]\n\
                [[budgets]]\nname = \"people\"\nusd = 1\nperiod = \"month\"\norigin = \"human\"\n";
    let all = budgets(file).unwrap();
    for seed in 0..4 {
        let folder = TempDir::new().unwrap();
        let mut world = World::new(folder.path());
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &world.root);
        }
        let asked = |world: &World| Asked { cells: cells().with_budgets(all.clone()), ..Asked::of(world) };
        let mut kept = asked(&world);
        kept.now = Timestamp::parse("2026-11-30T12:00:00Z").unwrap();
        let mut dice = Dice::new(seed);
        for step in 0..10 {
            let pieces = if step == 9 { usize::MAX } else { dice.below(20) };
            world.read(&mut dice, pieces);
            world.settle();
            let fresh = Asked { now: kept.now, ..asked(&world) };
            assert_eq!(kept.ask("")["budgets"], fresh.ask("")["budgets"], "seed {seed} step {step}");
        }
        let told = kept.ask("tz=Asia/Kathmandu&tool=Bash");
        assert_eq!(
            told["budgets"][0]["spent_usd"],
            told["rows"].as_array().map_or(Value::Null, |rows| {
                let of_month = rows.iter().filter(|row| row["day"].as_str().unwrap() >= "2026-11-01");
                let sum: Money = of_month.map(|row| usd(&row["cost_usd"])).sum();
                json!(sum.to_string())
            })
        );
        assert_ne!(told["budgets"][0]["spent_usd"], "0");
    }
}

#[test]
fn the_gauges_are_what_the_answer_says() {
    let folder = TempDir::new().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let file = folder.path().join("tailspan.toml");
    std::fs::write(&file, format!("{STATES}[[budgets]]\nname = \"a \\\"b\\\"\"\nusd = 3\nperiod = \"month\"\n"))
        .unwrap();
    let recording = recordings().into_iter().find(|path| path.ends_with("2.1.330/b_tools")).unwrap();
    copy_folder(&recording.join("projects"), &projects);
    let daemon = Daemon::start(&projects, &state, &["--config", file.to_str().unwrap()]);
    // Nobody has to ask for the answer first.
    let metrics = daemon.until("what was spent is in the metrics", || {
        Some(daemon.metrics()).filter(|metrics| metrics.contains("tailspan_budget_spent_usd{"))
    });
    let answer: Value = serde_json::from_str(&daemon.get("/api/v1/analytics/costs").1).unwrap();
    assert_eq!(answer["budgets"].as_array().unwrap().len(), 6);
    for budget in answer["budgets"].as_array().unwrap() {
        let label = budget["name"].as_str().unwrap().replace('"', "\\\"");
        for (metric, amount) in [("usd", "limit_usd"), ("spent_usd", "spent_usd"), ("expected_usd", "expected_usd")] {
            let begin = format!("tailspan_budget_{metric}{{budget=\"{label}\"}} ");
            let shown = metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse::<f64>().ok());
            assert_eq!(shown, budget[amount].as_str().map(|amount| amount.parse().unwrap()), "{begin}");
        }
    }
    assert_eq!(daemon.stop(), Some(0));
}

/// Every budget of a catalogue that is shown in full, for other tests of scrapes.
pub(crate) fn shown() -> BudgetsNow {
    let now = BudgetNow {
        spent: Money::parse_usd("31.2").unwrap(),
        expected: Money::parse_usd("44.1"),
        state: BudgetState::Ok,
    };
    BudgetsNow::of(budgets(&budget("")).unwrap(), vec![now])
}
