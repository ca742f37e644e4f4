//! Hooks of the client: what `tailspan hook` keeps of what it is told.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tailspan::hooks::folder::sweep;
use tailspan::hooks::line::line_of;
use tailspan::sidecar::clock;
use tailspan::transcript::time::Timestamp;

/// Words that only a conversation has.
const TEXT: &str = "the quick brown fox";

const SESSION: &str = "6258a1b0-0000-4000-8000-000000000001";

/// What the client tells a hook, with text of the conversation wherever it puts some.
pub(crate) fn told(event: &str, more: Value) -> Value {
    let mut told = json!({"session_id": SESSION, "transcript_path": format!("/home/{TEXT}/x.jsonl"), "cwd": TEXT,
        "prompt_id": "06771b39-d188-46f6-a870-d37cc145550d", "permission_mode": "default", "hook_event_name": event,
        "prompt": TEXT, "last_assistant_message": TEXT, "message": TEXT, "title": TEXT,
        "tool_input": {"command": TEXT, "session_id": "a session within"}, "tool_response": [TEXT], "error": TEXT});
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// Runs the command as the client does. It must say nothing and end well.
pub(crate) fn hook(arguments: &[&str], variables: &[(&str, &Path)], input: &[u8]) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .env_clear()
        .envs(variables.iter().copied())
        .arg("hook")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!((output.status.code(), &*said, &*printed), (Some(0), "", ""), "{arguments:?}");
}

fn files(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join("hooks")).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn lines(state: &Path) -> Vec<Value> {
    let text: String = files(state).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_hook_keeps_words_and_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("not/there/yet");
    let variables: [(&str, &Path); 1] = [("TAILSPAN_STATE", &state)];
    let asked =
        told("PermissionRequest", json!({"tool_name": "mcp__git__log", "tool_use_id": "toolu_1", "agent_id": "a1"}));
    hook(&[], &variables, asked.to_string().as_bytes());
    hook(&[], &variables, told("Notification", json!({"notification_type": "idle_prompt"})).to_string().as_bytes());
    hook(&[], &variables, told("SessionEnd", json!({"reason": "prompt_input_exit"})).to_string().as_bytes());
    // A reason may be a sentence, and a name may be none.
    hook(&[], &variables, told("PermissionDenied", json!({"reason": TEXT, "tool_name": TEXT})).to_string().as_bytes());
    let mut lines = lines(&state);
    for line in &mut lines {
        let at = line.as_object_mut().unwrap().remove("at").unwrap();
        assert!(Timestamp::parse(at.as_str().unwrap()).is_some(), "{at}");
    }
    let line = |event: &str, more: Value| {
        let mut line = json!({"hook_event_name": event, "session_id": SESSION, "permission_mode": "default"});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let asked = json!({"tool_name": "mcp__git__log", "tool_use_id": "toolu_1", "agent_id": "a1"});
    assert_eq!(
        lines,
        [
            line("PermissionRequest", asked),
            line("Notification", json!({"notification_type": "idle_prompt"})),
            line("SessionEnd", json!({"reason": "prompt_input_exit"})),
            line("PermissionDenied", json!({})),
        ]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state.join("hooks")), mode(&files(&state)[0])), (0o700, 0o600));
}

#[test]
fn a_hook_ends_well_whatever_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let stop = told("Stop", json!({})).to_string();
    let inputs: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[1, 2]",
        b"\xff\xfe\x00",
        b"{\"session_id\": 7, \"hook_event_name\": {}}",
        b"{} {}",
        b"\"a\"",
    ];
    for input in inputs {
        hook(&["--state", state.to_str().unwrap()], &[], input);
    }
    assert_eq!(lines(&state), Vec::<Value>::new(), "none of these names a session and an event");
    // What comes before a fault counts, and so does what comes before the end of what is read.
    let torn =
        format!("{{\"session_id\": \"{SESSION}\", \"hook_event_name\": \"Stop\", \"last_assistant_message\": \"half");
    hook(&[&format!("--state={}", state.display())], &[], torn.as_bytes());
    let large = told("PostToolUse", json!({"zz_output": "x".repeat(9 << 20)})).to_string();
    hook(&["--state", state.to_str().unwrap()], &[], large.as_bytes());
    assert_eq!(lines(&state).len(), 2);
    // Arguments that nobody knows, a configuration that cannot be used, and no place for a state at all.
    hook(&["--loud", "--state"], &[], stop.as_bytes());
    hook(&["--config", "/not/there.toml"], &[("HOME", folder.path())], stop.as_bytes());
    hook(&[], &[], stop.as_bytes());
    // A file in the place of the folder, and a link in the place of the file.
    let taken = folder.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    hook(&[], &[("TAILSPAN_STATE", &taken)], stop.as_bytes());
    let (linked, target) = (folder.path().join("linked"), folder.path().join("target"));
    fs::create_dir_all(linked.join("hooks")).unwrap();
    fs::write(&target, "mine").unwrap();
    for day in [0, 1] {
        let day = Timestamp(clock::now().0 + day * 86_400_000).to_rfc3339();
        symlink(&target, linked.join("hooks").join(format!("{}.jsonl", &day[..10]))).unwrap();
    }
    hook(&[], &[("TAILSPAN_STATE", &linked)], stop.as_bytes());
    assert_eq!(
        (fs::read_to_string(&taken).unwrap(), fs::read_to_string(&target).unwrap()),
        ("mine".into(), "mine".into())
    );
}

#[test]
fn a_hook_finds_the_state_where_every_command_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let stop = told("Stop", json!({})).to_string();
    let named = home.join("named.toml");
    fs::write(&named, "state = \"~/by-file\"\n").unwrap();
    hook(&[], &[("HOME", home)], stop.as_bytes());
    hook(&[], &[("HOME", home), ("XDG_STATE_HOME", &home.join("xdg"))], stop.as_bytes());
    hook(&[], &[("HOME", home), ("XDG_STATE_HOME", Path::new("not/absolute"))], stop.as_bytes());
    hook(&[], &[("HOME", home), ("TAILSPAN_STATE", Path::new("~/by-variable"))], stop.as_bytes());
    hook(&["--config", named.to_str().unwrap()], &[("HOME", home)], stop.as_bytes());
    let count = |place: &str| lines(&home.join(place)).len();
    let places = [".local/state/tailspan", "xdg/tailspan", "by-variable", "by-file"];
    assert_eq!(places.map(count), [2, 1, 1, 1]);
}

#[test]
fn hooks_at_once_lose_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let stop = told("Stop", json!({})).to_string();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..8).for_each(|_| hook(&[], &[("TAILSPAN_STATE", state)], stop.as_bytes())));
        }
    });
    assert_eq!(lines(state).len(), 64);
}

#[test]
fn files_of_hooks_go_after_two_days() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["2026-11-27.jsonl", "2026-11-28.jsonl", "2026-11-30.jsonl", "notes.txt", "2026-11-2x.jsonl"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    sweep(folder.path(), Timestamp::parse("2026-11-30T00:00:01.000Z").unwrap());
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["2026-11-28.jsonl", "2026-11-2x.jsonl", "2026-11-30.jsonl", "notes.txt"]);
}

#[test]
fn a_line_names_what_a_session_waits_for_and_nothing_else() {
    let at = Timestamp(0);
    let line = line_of(told("PreToolUse", json!({"tool_name": "Bash"})).to_string().as_bytes(), at).unwrap();
    let line = String::from_utf8(line).unwrap();
    assert!(line.starts_with("{\"at\":\"1970-01-01T00:00:00.000Z\",") && line.ends_with("}\n"), "{line}");
    assert!(TEXT.split(' ').all(|word| !line.contains(word)), "{line}");
    assert_eq!(line_of(b"{\"hook_event_name\":\"Stop\"}", at), None);
}
