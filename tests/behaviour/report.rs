//! `tailspan report`: a folder of session files, or answers of the API, in; text out.
//!
//! `UPDATE=1 cargo test --test behaviour report::` writes `fixtures/reports/made` again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

use crate::support::daemon::Daemon;
use crate::support::reports::{Fake, Printed, tailspan};

/// Where nobody answers.
const NOBODY: &str = "127.0.0.1:9";

/// Where the pages are.
const PAGES: &str = "http://pages.example";

/// When everything is reported: a Sunday.
const NOW: &str = "2026-11-29T12:00:00Z";

/// A title that no terminal, page or spreadsheet may take for more than text.
const HOSTILE: &str = "=1+1 \u{1b}[31m<script>alert(1)</script> | \u{202e}`日本語のとても長い題名` \u{7} ende";

fn row(session: &str, number: usize, at: &str, kind: &str, message: &Value) -> Value {
    json!({"type": kind, "uuid": format!("{session}-{number}"), "sessionId": session, "timestamp": at,
        "cwd": if session.starts_with('a') { "/home/dev/api" } else { "/home/dev/weather-station" },
        "gitBranch": "main", "version": "2.1.330", "message": message, "requestId": format!("req_{session}_{number}")})
}

/// Session files of two weeks: a turn of two responses at each time.
fn written(projects: &Path) {
    let sessions: [(&str, &str, &str, &[&str]); 4] = [
        (
            "a1000000-0000-4000-8000-000000000001",
            "Fix the login test that fails at night",
            "claude-opus-4-5",
            &["2026-11-24T09:00:00", "2026-11-24T13:10:00", "2026-11-25T08:00:00"],
        ),
        ("a2000000-0000-4000-8000-000000000002", HOSTILE, "claude-sonnet-4-5", &["2026-11-27T22:59:59"]),
        (
            "b1000000-0000-4000-8000-000000000003",
            "",
            "claude-sonnet-4-5",
            &["2026-11-18T10:00:00", "2026-11-28T23:30:00"],
        ),
        ("b2000000-0000-4000-8000-000000000004", "Unknown model", "claude-nobody-9", &["2026-11-28T10:00:00"]),
    ];
    for (session, title, model, times) in sessions {
        let mut rows = vec![json!({"type": "custom-title", "customTitle": title, "sessionId": session})];
        for (number, at) in (0..).step_by(4).zip(times) {
            rows.push(row(session, number, &format!("{at}.000Z"), "user", &json!({"role": "user", "content": "go"})));
            for more in [1, 2] {
                let usage = json!({"input_tokens": 1000 * more, "output_tokens": 20_000, "cache_read_input_tokens": 400_000,
                    "cache_creation_input_tokens": 3000});
                let message = json!({"id": format!("msg_01{session}{}", number + more), "role": "assistant",
                    "model": model, "usage": usage, "content": [{"type": "text", "text": "done"}],
                    "stop_reason": "end_turn"});
                rows.push(row(session, number + more, &format!("{at}.{more}00Z"), "assistant", &message));
            }
        }
        let path = projects.join(if session.starts_with('a') { "-home-dev-api" } else { "-home-dev-weather-station" });
        fs::create_dir_all(&path).unwrap();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(path.join(format!("{session}.jsonl")), text).unwrap();
    }
}

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        written(&world.projects());
        world
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A report of the files.
    fn scanned(&self, arguments: &str) -> Printed {
        self.asked("--scan --listen 127.0.0.1:9", arguments)
    }

    fn asked(&self, source: &str, arguments: &str) -> Printed {
        let (projects, state) = (self.projects(), self.state());
        let places = ["--projects", projects.to_str().unwrap(), "--state", state.to_str().unwrap()];
        let now: &[&str] = if arguments.contains("--now") { &[] } else { &["--now", NOW] };
        let words = arguments.split_whitespace().chain(source.split_whitespace());
        tailspan(
            &["report"].into_iter().chain(words).chain(places).chain(now.iter().copied()).collect::<Vec<_>>(),
            &[("TAILSPAN_WEB_URL", PAGES)],
            "",
        )
    }
}

/// Compares a report with `fixtures/reports/made/<name>`, and no line is wider than `width`.
fn check(name: &str, printed: &Printed, width: usize) {
    assert_eq!(printed.code, Some(0), "{name}: {}", printed.said);
    for line in printed.text.lines() {
        assert!(line.width() <= width, "{name}: {} columns in {line:?}", line.width());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports/made").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, &printed.text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == printed.text, "{}: expected\n{expected}\ngot\n{}", path.display(), printed.text);
}

#[test]
fn reports_read_well_at_every_width() {
    let world = World::new();
    for width in [40, 80, 120] {
        for (name, arguments) in [
            ("costs", "costs --since 2w"),
            ("models", "costs --by project,model --since all"),
            ("dearest", "costs --by session --since all"),
            ("sessions", "sessions --since all"),
            ("blocks", "blocks --since 7d"),
            ("today", "today"),
        ] {
            let printed = world.scanned(&format!("{arguments} --width {width}"));
            check(&format!("{name}-{width}.txt"), &printed, width);
        }
    }
}

#[test]
fn what_tools_and_turns_and_patterns_say_is_drawn() {
    let sidecar = Fake::start();
    for width in [40, 80, 120] {
        for report in ["tools", "bottlenecks", "patterns", "costs"] {
            let width_text = width.to_string();
            let arguments = ["report", report, "--width", &width_text, "--listen", sidecar.address(), "--now", NOW];
            check(&format!("answered-{report}-{width}.txt"), &tailspan(&arguments, &[], ""), width);
        }
    }
    for (form, ending) in [("--markdown", "md"), ("--html", "html"), ("--csv", "csv")] {
        for report in ["tools", "bottlenecks", "patterns", "costs"] {
            let arguments = ["report", report, form, "--listen", sidecar.address(), "--now", NOW];
            check(&format!("answered-{report}.{ending}"), &tailspan(&arguments, &[], ""), usize::MAX);
        }
    }
}

#[test]
fn the_sidecar_the_state_and_the_files_say_the_same() {
    let world = World::new();
    let config = world.projects().with_file_name("tailspan.toml");
    fs::write(&config, format!("web.url = \"{PAGES}\"\n")).unwrap();
    let mut daemon = Daemon::start(&world.projects(), &world.state(), &["--config", config.to_str().unwrap()]);
    daemon.wait_for_log("the first scan is complete");
    let listen = format!("--listen {}", daemon.address);
    let reports = [
        "costs --since all",
        "costs --by month,model --csv",
        "costs --by session --since 2026-11-20 --until 2026-11-25 --html",
        "sessions --on tuesday --json",
        "sessions --since 7d --project api --markdown",
        "blocks --since 2w",
        "today --csv",
    ];
    let of_sidecar: Vec<Printed> = reports.iter().map(|report| world.asked(&listen, report)).collect();
    assert_eq!(daemon.stop(), Some(0));
    let of_state: Vec<Printed> = reports.iter().map(|report| world.asked(&listen, report)).collect();
    let of_files: Vec<Printed> = reports.iter().map(|report| world.scanned(report)).collect();
    for (at, report) in reports.iter().enumerate() {
        assert_eq!(of_sidecar[at].code, Some(0), "{report}: {}", of_sidecar[at].said);
        assert!(of_sidecar[at].text.len() > 40, "{report}: {}", of_sidecar[at].text);
        assert_eq!(of_sidecar[at].text, of_state[at].text, "{report}: {}", of_state[at].said);
        assert_eq!(of_sidecar[at].text, of_files[at].text, "{report}: {}", of_files[at].said);
        assert!(of_sidecar[at].said.contains("the sidecar at 127.0.0.1:"), "{}", of_sidecar[at].said);
        assert!(of_state[at].said.contains("the state in "), "{}", of_state[at].said);
        assert!(of_files[at].said.contains("4 session files answer; all of them were read"), "{}", of_files[at].said);
    }
}

#[test]
fn json_is_the_answer_of_the_api() {
    let world = World::new();
    let mut daemon = Daemon::start(&world.projects(), &world.state(), &[]);
    daemon.wait_for_log("the first scan is complete");
    let listen = format!("--listen {}", daemon.address);
    let same = |arguments: &str, path: &str| {
        let printed = world.asked(&listen, &format!("{arguments} --json"));
        let (status, body) = daemon.get(&format!("/api/v1/analytics/{path}"));
        assert_eq!((status, format!("{body}\n")), (200, printed.text), "{arguments}: {}", printed.said);
    };
    same("costs --since all --tz UTC", "costs?group_by=day&tz=UTC");
    same(
        "costs --by model --tz Europe/Berlin --since 2026-11-24 --until 2026-11-25 --agent main --agent x",
        "costs?group_by=model&tz=Europe/Berlin&since=2026-11-24&until=2026-11-25&agent=main&agent=x",
    );
    same("sessions --since all --sort cost --limit 2 --tz UTC", "sessions?tz=UTC&sort=cost&limit=2");
    same("blocks --since all --tz UTC", "costs?group_by=block&tz=UTC");
    let today: Value = serde_json::from_str(&world.asked(&listen, "today --json").text).unwrap();
    assert_eq!(today["hours"]["group_by"], json!(["hour"]));
    assert!(today["tools"].is_object() || today["tools"].is_null(), "{today}");
    drop(daemon);
}

#[test]
fn words_for_times_are_days_of_the_zone() {
    let world = World::new();
    // The last Sunday of November, noon UTC; in Berlin it is 13:00, in Auckland Monday.
    for (words, since, until) in [
        ("--on today", "2026-11-28T23:00:00.000Z", "2026-11-29T23:00:00.000Z"),
        ("--on yesterday", "2026-11-27T23:00:00.000Z", "2026-11-28T23:00:00.000Z"),
        ("--on tuesday", "2026-11-23T23:00:00.000Z", "2026-11-24T23:00:00.000Z"),
        ("--on Sun", "2026-11-21T23:00:00.000Z", "2026-11-22T23:00:00.000Z"),
        ("--on week", "2026-11-22T23:00:00.000Z", "2026-11-29T23:00:00.000Z"),
        ("--on month", "2026-10-31T23:00:00.000Z", "2026-11-30T23:00:00.000Z"),
        ("--on 2026-10", "2026-09-30T22:00:00.000Z", "2026-10-31T23:00:00.000Z"),
        ("--on 2026-10-25", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"),
        ("--since 7d", "2026-11-22T23:00:00.000Z", ""),
        ("--since 1d", "2026-11-28T23:00:00.000Z", ""),
        ("--since 2w", "2026-11-15T23:00:00.000Z", ""),
        ("--since 24h", "2026-11-28T12:00:00.000Z", ""),
        ("--since 90m", "2026-11-29T10:30:00.000Z", ""),
        ("--since 2026-11-24T09:00:00Z --until now", "2026-11-24T09:00:00.000Z", "2026-11-29T12:00:00.000Z"),
        ("--since monday --until tuesday", "2026-11-22T23:00:00.000Z", "2026-11-24T23:00:00.000Z"),
        ("--since all --until 2026-11-01", "", "2026-11-01T23:00:00.000Z"),
        ("--until 2026-11-01", "", "2026-11-01T23:00:00.000Z"),
        ("", "2026-11-22T23:00:00.000Z", ""),
    ] {
        let printed = world.scanned(&format!("costs --json --tz Europe/Berlin {words}"));
        let answer: Value = serde_json::from_str(&printed.text).unwrap_or_else(|_| panic!("{words}: {}", printed.said));
        let told = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((told("since").as_str(), told("until").as_str()), (since, until), "{words}");
    }
    let printed = world.scanned("costs --json --tz Pacific/Auckland --on today");
    assert!(printed.text.contains("2026-11-29T11:00:00.000Z"), "{}", printed.text);
}

#[test]
fn the_zone_is_that_of_the_system() {
    let world = World::new();
    let projects = world.projects();
    let arguments = ["report", "costs", "--scan", "--projects", projects.to_str().unwrap(), "--json"];
    for (name, zone) in [
        ("Asia/Kathmandu", "Asia/Kathmandu"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/America/St_Johns", "America/St_Johns"),
        ("Nowhere/Else", "UTC"),
    ] {
        let printed = tailspan(&arguments, &[("TZ", name)], "");
        assert_eq!(serde_json::from_str::<Value>(&printed.text).unwrap()["tz"], zone, "{name}");
        assert_eq!(printed.said.contains("does not name its time zone"), zone == "UTC", "{}", printed.said);
    }
}

#[test]
fn foreign_text_is_nothing_but_text() {
    let world = World::new();
    for form in ["", "--color always", "--markdown", "--html"] {
        let text = world.scanned(&format!("sessions --since all --width 160 {form}")).text;
        let own: Vec<char> = if form == "--color always" { vec!['\n', '\u{1b}'] } else { vec!['\n'] };
        let foreign: Vec<char> = text.chars().filter(|letter| letter.is_control() && !own.contains(letter)).collect();
        assert!(foreign.is_empty() && !text.contains('\u{202e}'), "{form}: {foreign:?}");
        assert!(text.contains("日本語") && text.contains("1+1"), "{form}: {text}");
        // No colours but ours, and nothing is left of those of the title.
        assert!(!text.contains("[31m"), "{form}: {text}");
    }
    let html = world.scanned("sessions --since all --html").text;
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
    let links = html.matches(&format!("<a rel=\"noreferrer\" href=\"{PAGES}/sessions/")).count();
    assert_eq!((links, html.matches("http:").count()), (4, 4), "nothing is loaded from elsewhere");
    assert!(!html.contains("src="), "nothing is loaded at all");
    let markdown = world.scanned("sessions --since all --markdown").text;
    assert!(markdown.contains("&lt;script>") && markdown.contains("\\|"), "{markdown}");
    let csv = world.scanned("sessions --since all --csv").text;
    assert!(csv.contains("\"'=1+1"), "{csv}");
    assert!(csv.lines().all(|line| line.matches('"').count() % 2 == 0), "{csv}");
}

#[test]
fn csv_has_exact_figures_and_all_rows() {
    let world = World::new();
    let csv = world.scanned("costs --by session --since all --csv").text;
    let answer: Value = serde_json::from_str(&world.scanned("costs --by session --since all --json").text).unwrap();
    let rows: Vec<&str> = csv.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert!(rows[0].starts_with("session,messages,turns,sessions,input_tokens,"), "{csv}");
    let answered = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), answered.len() + 1, "{csv}");
    for (line, row) in rows[1..].iter().zip(answered) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], row["session"].as_str().unwrap());
        assert_eq!(cells[9], row["cost_usd"].as_str().unwrap());
    }
}

#[test]
fn patterns_are_cut_as_csv_as_they_are_in_a_table() {
    let world = World::new();
    let ids = |arguments: &str| -> Vec<String> {
        let csv = world.scanned(&format!("patterns --since all --csv {arguments}")).text;
        csv.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let all = ids("");
    assert!(all.len() > 2, "{all:?}");
    assert_eq!((ids("--limit 2"), ids("--limit 1000")), (all[..2].to_vec(), all));
    // The answer of the API is printed as it is.
    let json = |arguments: &str| world.scanned(&format!("patterns --since all --json {arguments}")).text;
    assert_eq!(json("--limit 2"), json(""));
}

#[test]
fn patterns_of_files_know_the_settings_of_the_client_and_the_time_of_the_report() {
    let world = World::new();
    let told = |now: &str| {
        let printed = world.scanned(&format!("patterns --since all --json --now {now}"));
        let answer: Value = serde_json::from_str(&printed.text).unwrap_or_else(|_| panic!("{}", printed.said));
        let patterns = answer["patterns"].as_array().unwrap().iter();
        let found = patterns.into_iter().find(|found| found["id"] == "files_deleted_soon");
        (found.map(|found| found["figures"]["sessions"].clone()), printed.said)
    };
    // The first of two sessions has its last row on the 25th, the last on the 28th.
    assert_eq!(told("2026-12-01T00:00:00Z").0, None);
    assert_eq!(told("2026-12-21T12:00:00Z").0, Some(json!(1)));
    assert_eq!(told("2026-12-24T12:00:00Z").0, Some(json!(4)));
    let settings = world.folder.path().join("settings.json");
    fs::write(&settings, "{\"cleanupPeriodDays\": 10}").unwrap();
    assert_eq!(told("2026-12-01T00:00:00Z").0, Some(json!(1)));
    assert_eq!(told("2026-12-21T12:00:00Z").0, None);
    fs::write(&settings, "{\"cleanupPeriodDays\": 0}").unwrap();
    let (found, said) = told("2026-12-21T12:00:00Z");
    assert_eq!(found, Some(json!(1)));
    let wrong = format!("`cleanupPeriodDays` in {} is 0, expected a whole number", settings.display());
    assert_eq!(said.matches(&wrong).count(), 1, "{said}");
}

#[test]
fn the_configuration_of_a_report_is_not_that_of_the_sidecar_that_answers() {
    let world = World::new();
    let file = world.folder.path().join("own.toml");
    fs::write(&file, "[patterns]\noff = [\"cache_rebuilt\"]\n").unwrap();
    let (fake, config) = (Fake::start(), format!("--config {}", file.display()));
    let address = format!("--listen {}", fake.address());
    let said = |source: &str, arguments: &str| {
        let printed = world.asked(source, arguments);
        assert_eq!(printed.code, Some(0), "{arguments}: {}", printed.said);
        printed.said.lines().filter(|line| line.contains(" those of the sidecar ")).count()
    };
    for report in ["costs", "tools", "patterns", "sessions", "blocks", "today"] {
        assert_eq!(said(&address, &format!("{report} {config}")), 1, "{report}");
        assert_eq!(said(&address, report), 0, "{report}");
    }
    assert_eq!(said(&address, &format!("bottlenecks {config}")), 0, "nothing in it depends on a configuration");
    assert_eq!(said("--scan", &format!("patterns {config}")), 0, "the file counts");
    let waiting = world.scanned("waiting");
    assert!(waiting.text.contains("Only `tailspan run` knows which sessions wait"), "{}", waiting.text);
}

#[test]
fn the_beginning_of_an_id_is_enough() {
    let world = World::new();
    let total = |filter: &str| {
        let printed = world.scanned(&format!("costs --since all --json {filter}"));
        let answer: Value = serde_json::from_str(&printed.text).unwrap_or_else(|_| panic!("{}", printed.said));
        answer["total"]["cost_usd"].as_str().unwrap().to_owned()
    };
    assert_eq!(total("--session a1000000"), total("--session a1000000-0000-4000-8000-000000000001"));
    assert_ne!(total("--session a1000000"), "0");
    assert_eq!(total("--session c0000000"), "0");
}

#[test]
fn colours_are_for_terminals_and_signs_for_their_locale() {
    let world = World::new();
    let projects = world.projects();
    let report = |more: &[&str], variables: &[(&str, &str)]| {
        let arguments =
            [&["report", "costs", "--since", "all", "--scan", "--projects", projects.to_str().unwrap()], more];
        tailspan(&arguments.concat(), variables, "").text
    };
    assert!(!report(&[], &[]).contains('\u{1b}'), "a pipe is no terminal");
    assert!(report(&["--color", "always"], &[("NO_COLOR", "1")]).contains("\u{1b}[1m"));
    assert!(!report(&["--color", "never"], &[]).contains('\u{1b}'));
    assert!(report(&[], &[]).contains('█'));
    for locale in [("LC_ALL", "C"), ("LANG", "de_DE.ISO-8859-1")] {
        let text = report(&[], &[locale]);
        assert!(text.is_ascii() && text.contains('#'), "{locale:?}: {text}");
    }
    assert!(report(&[], &[("LC_ALL", "C.utf8")]).contains('█'));
}

#[test]
fn who_cannot_be_asked_is_said() {
    let world = World::new();
    // Neither a sidecar nor a state.
    let printed = world.asked("--listen 127.0.0.1:9", "costs");
    assert_eq!((printed.code, printed.text.as_str()), (Some(1), ""));
    assert!(printed.said.contains("--scan") && printed.said.contains(NOBODY), "{}", printed.said);
    // A sidecar that does not know the route.
    let older = Fake::older();
    let printed = world.asked(&format!("--listen {}", older.address()), "patterns");
    assert_eq!(printed.code, Some(1));
    assert!(
        printed.said.contains("does not know /api/v1/analytics/patterns: it is an older tailspan"),
        "{}",
        printed.said
    );
    // Something else.
    let stranger = Fake::stranger();
    let printed = world.asked(&format!("--listen {}", stranger.address()), "costs");
    assert_eq!(printed.code, Some(1));
    assert!(printed.said.contains("is not tailspan"), "{}", printed.said);
    for wrong in [
        "costs --since sometime",
        "costs --on 2026-13-01",
        "costs --since 2026-11-02 --until 2026-11-01",
        "costs --tz Europe/Nowhere",
        "costs --by day,day",
        "costs --by dya",
        "tools --by day",
        "today --since 7d",
        "costs --json --csv",
        "costs --limit 0",
        "nothing",
    ] {
        let printed = world.scanned(wrong);
        assert_eq!((printed.code, printed.text.as_str()), (Some(2), ""), "{wrong}: {}", printed.said);
    }
    // The API itself refuses what only it can know.
    let printed = world.scanned("costs --sort colour");
    assert_eq!(printed.code, Some(2), "{}", printed.said);
    assert!(printed.said.contains("`sort`"), "{}", printed.said);
}

#[test]
fn a_state_that_is_behind_its_files_says_so() {
    let world = World::new();
    let mut daemon = Daemon::start(&world.projects(), &world.state(), &[]);
    daemon.wait_for_log("the first scan is complete");
    assert_eq!(daemon.stop(), Some(0));
    let printed = world.asked("--listen 127.0.0.1:9", "costs");
    assert!(printed.said.contains("it has read everything"), "{}", printed.said);
    let file = world.projects().join("-home-dev-api/a1000000-0000-4000-8000-000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.clone() + text.lines().last().unwrap() + "\n").unwrap();
    let printed = world.asked("--listen 127.0.0.1:9", "costs");
    assert!(
        printed.said.contains("incomplete: ") && printed.said.contains(" bytes of session files"),
        "{}",
        printed.said
    );
}
