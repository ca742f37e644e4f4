//! `tailspan watch`: what happens, as people read it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::followed::Side;
use crate::support::reports::tailspan;
use crate::support::stream::pretender;

/// A sidecar that has told of a turn with a failure, and text that would harm a terminal.
fn told() -> Side {
    let side = Side::new("");
    let mut stream = side.open("", None);
    let mut session = side.session("shop", 1);
    session.prompt("Look\u{1b}[31m around\nplease");
    session.calls(1, "Bash", "a b c");
    session.fails("Bash", "ls: cannot access");
    session.stop("Done.");
    stream.until("turn");
    side
}

fn watched(side: &Side, more: &[&str], variables: &[(&str, &str)]) -> String {
    let listen = side.daemon().address.to_string();
    let arguments =
        [&["watch", "--listen", &listen, "--no-follow", "--since", "2000-01-01", "--tz", "UTC"], more].concat();
    let printed = tailspan(&arguments, variables, "");
    assert_eq!(printed.code, Some(0), "{}", printed.said);
    printed.text
}

#[test]
fn each_event_is_a_line() {
    let side = told();
    let text = watched(&side, &[], &[]);
    let lines: Vec<String> = text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    assert_eq!(
        lines,
        [
            "shop/00000001  session begins  main  /home/dev/shop",
            "shop/00000001  prompt  Look [31m around please",
            "shop/00000001  answer  claude-sonnet-4-5  1.0k in, 20 out  $0.0006  0.0 s",
            "shop/00000001  Bash  ls",
            "shop/00000001  Bash  ok  0.0 s  5 B",
            "shop/00000001  answer  claude-sonnet-4-5  1.0k in, 20 out  $0.0006  0.0 s",
            "shop/00000001  Bash  ls",
            "shop/00000001  Bash  failed  0.0 s  17 B  ls: cannot access",
            "shop/00000001  answer  claude-sonnet-4-5  1.0k in, 20 out  $0.0006  0.0 s  Done.",
            "shop/00000001  turn 1 ended  stop  0.0 s  3 answers, 2 calls  $0.0018",
        ]
    );
    assert!(!text.contains('\u{1b}'));
    let coloured = watched(&side, &["--color", "always", "--event", "tool_result"], &[]);
    assert!(coloured.contains("\u{1b}[31mfailed\u{1b}[0m") && coloured.contains("\u{1b}[32mok\u{1b}[0m"), "{coloured}");
    let narrow = watched(&side, &["--width", "40"], &[]);
    assert!(narrow.lines().all(|line| line.chars().count() <= 40) && narrow.contains('…'), "{narrow}");
    let json = watched(&side, &["--json", "--tool", "Bash", "--project", "shop"], &[]);
    let kinds: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["tool_call", "tool_result", "tool_call", "tool_result"]);
    assert_eq!(watched(&side, &["--event", "tool_result", "--session", "00000001"], &[]).lines().count(), 2);
}

/// The lines of events that a sidecar sends, without their times.
fn lines_of(body: &str) -> Vec<String> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let (address, _requests) = pretender(Some((head + body).leak()));
    let arguments = ["watch", "--listen", &address.to_string(), "--no-follow", "--tz", "UTC"];
    let printed = tailspan(&arguments, &[], "");
    assert_eq!(printed.code, Some(0), "{}", printed.said);
    printed.text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect()
}

#[test]
fn counts_tokens_and_bytes_read_as_in_every_other_command() {
    const BODY: &str = concat!(
        "data: {\"kind\":\"turn\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"turn\":3,\"outcome\":\"stop\",\"messages\":1,\"tool_calls\":1}\n\n",
        "data: {\"kind\":\"turn\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"turn\":4,\"outcome\":\"stop\",\"messages\":1200,\"tool_calls\":0}\n\n",
        "data: {\"kind\":\"message\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"tokens\":{\"input\":900,\"cache_read\":12000,\"output\":999}}\n\n",
        "data: {\"kind\":\"tool_result\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"tool\":\"Read\",\"outcome\":\"ok\",\"bytes\":3550}\n\n",
        "data: {\"kind\":\"tool_result\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"tool\":\"Read\",\"outcome\":\"ok\",\"bytes\":999}\n\n",
    );
    assert_eq!(
        lines_of(BODY),
        [
            "1  turn 3 ended  stop  1 answer, 1 call",
            "1  turn 4 ended  stop  1,200 answers, 0 calls",
            "1  answer  13k in, 999 out",
            "1  Read  ok  3.6 kB",
            "1  Read  ok  999 B",
        ]
    );
}

#[test]
fn runs_waits_and_runaways_say_what_began_or_ended_and_why() {
    const BODY: &str = concat!(
        "data: {\"kind\":\"run\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"workflow\":\"night\u{200e}ly\",\"state\":\"began\",\"outcome\":\"running\"}\n\n",
        "data: {\"kind\":\"waiting\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"state\":\"began\",\"reason\":\"permission\"}\n\n",
        "data: {\"kind\":\"waiting\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"state\":\"ended\",\"reason\":\"permission\"}\n\n",
        "data: {\"kind\":\"runaway\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"state\":\"began\",\"reason\":\"calls\"}\n\n",
        "data: {\"kind\":\"runaway\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"state\":\"ended\",\"reason\":\"calls\"}\n\n",
        "data: {\"kind\":\"run\",\"at\":\"2026-11-30T02:26:19Z\",\"session\":\"1\",\"workflow\":\"nightly\",\"state\":\"ended\",\"outcome\":\"error_max_turns\",\"exit_reason\":\"max_turns\"}\n\n",
    );
    assert_eq!(
        lines_of(BODY),
        [
            "1  run begins  night ly",
            "1  waits  permission",
            "1  waits no more  permission",
            "1  runs away  calls",
            "1  runs away no more  calls",
            "1  run ended  nightly  error_max_turns  max_turns",
        ]
    );
}

#[test]
fn it_says_why_there_is_nothing() {
    let nobody = tailspan(&["watch", "--listen", "127.0.0.1:9"], &[], "");
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.said.contains("no sidecar answers at 127.0.0.1:9: start `tailspan run`"), "{}", nobody.said);
    let side = Side::new("");
    let listen = side.daemon().address.to_string();
    for (wrong, said) in [(["--event", "turns"], "`event` takes"), (["--since", "tomorrowish"], "tomorrowish")] {
        let printed = tailspan(&[&["watch", "--listen", &listen], &wrong[..]].concat(), &[], "");
        assert_eq!(printed.code, Some(2), "{}", printed.said);
        assert!(printed.said.contains(said), "{}", printed.said);
    }
    for (more, said) in [
        (&["--since", "1h"][..], "no event is kept of this time"),
        (&["--since", "1h", "--event", "turn"], "no event that is kept of this time matches the filters"),
        (&["--since", "1h", "--workflow", "nope"], "no event that is kept of this time matches the filters"),
        (&[], "--since names where to begin"),
    ] {
        let printed = tailspan(&[&["watch", "--listen", &listen, "--no-follow"], more].concat(), &[], "");
        assert_eq!((printed.code, printed.text.as_str()), (Some(0), ""), "{more:?}");
        assert!(printed.said.contains(said), "{more:?}: {}", printed.said);
    }
}

#[test]
fn the_help_has_an_example_of_each_filter() {
    let help = tailspan(&["watch", "--help"], &[], "").text;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (flag, example) in [
        ("project", "like shop"),
        ("branch", "like main"),
        ("model", "like claude-sonnet-4-5"),
        ("agent", "like Explore"),
        ("tool", "like Bash or mcp__github__get_issue"),
        ("workflow", "like nightly"),
        ("session", "like 4ff56491"),
        ("entrypoint", "like cli or sdk-cli"),
    ] {
        let (_, about) = words.split_once(&format!("--{flag} <")).unwrap_or_else(|| panic!("{flag}: {help}"));
        assert!(about.split(" --").next().unwrap().contains(example), "{flag}: {help}");
    }
}

#[test]
fn it_goes_on_when_the_sidecar_is_there_again_and_ends_with_its_reader() {
    let mut side = Side::new("heartbeat = \"50ms\"");
    let address = side.daemon().address.to_string();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .env_clear()
        .args(["watch", "--listen", &address, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut session = side.session("shop", 1);
    side.daemon()
        .until("it follows", || side.daemon().metrics().contains("\ntailspan_event_clients 1\n").then_some(()));
    session.prompt("Look around");
    session.calls(1, "Bash", "x");
    let mut kinds = Vec::new();
    let mut hear = |last: &str| loop {
        let data: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        kinds.push(data["kind"].as_str().unwrap().to_owned());
        if kinds.last().unwrap() == last {
            return;
        }
    };
    hear("tool_result");
    side.kill();
    session.stop("Done.");
    let path = |name: &str| side.folder.path().join(name);
    let config = path("tailspan.toml");
    let again =
        Daemon::start_on(&address, &[], &path("projects"), &path("state"), &["--config", config.to_str().unwrap()]);
    hear("turn");
    assert_eq!(kinds, ["session", "prompt", "message", "tool_call", "tool_result", "message", "turn"]);
    // Its reader goes away, which it notices when it writes.
    drop(lines);
    session.prompt("More");
    session.stop("Done.");
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("the connection to the sidecar at {address} ended; trying again")), "{said}");
    assert_eq!(said.matches("the sidecar is there again").count(), 1, "{said}");
    drop(again);
}
