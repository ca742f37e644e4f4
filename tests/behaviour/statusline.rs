//! `tailspan statusline`: the JSON of the client in, one line out, whatever happens.

use std::net::TcpListener;

use serde_json::json;

use crate::support::reports::{Fake, tailspan};

/// Where nobody answers.
const NOBODY: &str = "127.0.0.1:9";

/// What the client writes, without what is not read.
fn told() -> String {
    json!({"hook_event_name": "Status", "session_id": "a1000000-0000-4000-8000-000000000001",
        "transcript_path": "/home/dev/.claude/projects/x.jsonl", "cwd": "/home/dev/api/src",
        "model": {"id": "claude-opus-4-5", "display_name": "Opus"},
        "workspace": {"current_dir": "/home/dev/api/src", "project_dir": "/home/dev/api"}, "version": "2.1.330",
        "cost": {"total_cost_usd": 0.12345, "total_duration_ms": 200_000, "total_lines_added": 1234,
            "total_lines_removed": 2}, "something_new": [1, 2]})
    .to_string()
}

fn line(listen: &str, more: &[&str], variables: &[(&str, &str)], input: &str) -> String {
    let arguments = [&["statusline", "--listen", listen], more].concat();
    let printed = tailspan(&arguments, variables, input);
    assert_eq!(printed.code, Some(0), "{}", printed.said);
    assert_eq!(printed.text.matches('\n').count(), 1, "{:?}", printed.text);
    printed.text.trim_end().to_owned()
}

#[test]
fn the_sidecar_tells_the_day_the_block_the_session_and_the_budget() {
    let sidecar = Fake::start();
    let all = "{today} {today_tokens} {today_turns} | {block} {block_burn} {block_projected} | {session} {session_tokens} | {budget}";
    assert_eq!(
        line(sidecar.address(), &["--patience", "1m", "--format", all], &[], &told()),
        "$1,234.57 110k 2 | $3.20 $1.28 $6.40 | $1,234.57 110k | week of the team $97.50 of $100.00, will be over"
    );
    let by_default = line(sidecar.address(), &["--patience", "1m"], &[], &told());
    assert!(by_default.starts_with("$1,234.57 today | "), "{by_default}");
}

#[test]
fn without_a_sidecar_the_line_says_what_the_client_says() {
    assert_eq!(line(NOBODY, &[], &[], &told()), "session $0.12");
    let format =
        "{model} in {project} | {client} in {duration} | +{lines_added} -{lines_removed} | {version} | {today} today";
    assert_eq!(
        line(NOBODY, &["--format", format], &[], &told()),
        "Opus in api | $0.12 in 3m 20s | +1,234 -2 | 2.1.330"
    );
    // The variable of the configuration, and what is no figure.
    let variables = [("TAILSPAN_STATUSLINE_FORMAT", "{sesion} {session} {")];
    assert_eq!(line(NOBODY, &[], &variables, &told()), "{sesion} $0.12 {");
}

#[test]
fn whatever_stands_on_the_input_there_is_a_line() {
    for input in ["", "{", "null", "[]", "\u{0}\u{1}", "{\"cost\": 7, \"model\": []}", "{\"session_id\": 5}"] {
        assert_eq!(line(NOBODY, &[], &[], input), "tailspan", "{input:?}");
    }
    let hostile = json!({"model": {"display_name": "\u{1b}]0;title\u{7}Opus\nsecond\u{202e}"}}).to_string();
    assert_eq!(line(NOBODY, &["--format", "{model}"], &[], &hostile), "Opus second");
}

#[test]
fn a_sidecar_that_does_not_answer_is_not_waited_for() {
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    assert_eq!(line(&address, &[], &[], &told()), "session $0.12");
    let stranger = Fake::stranger();
    assert_eq!(line(stranger.address(), &[], &[], &told()), "session $0.12");
}

#[test]
fn a_line_that_is_none_is_refused() {
    for format in ["", "two\nlines"] {
        let printed = tailspan(&["statusline", "--format", format], &[], "");
        assert_eq!(printed.code, Some(2), "{format:?}: {}", printed.said);
        assert!(printed.said.contains("`statusline.format`"), "{}", printed.said);
    }
}
