//! Session files of several days, and what a file of `tailspan backfill` holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// 2025-06-10T00:00:00Z.
pub(crate) const FIRST_DAY: i64 = 1_749_513_600;

/// One response of a made-up session: its time as RFC 3339, its model and its output tokens.
pub(crate) type Said<'a> = (&'a str, &'a str, u64);

/// Writes a session whose only prompt came with the first response, and whose every response calls a tool that answers
/// at once.
pub(crate) fn session(projects: &Path, number: u32, project: &str, said: &[Said<'_>]) {
    let folder = projects.join(format!("-home-dev-{project}"));
    fs::create_dir_all(&folder).unwrap();
    let id = format!("{number:08x}-0000-4000-8000-000000000000");
    let row = |row: usize, time: &str, kind: &str, message: &str| {
        format!(
            r#"{{"type":"{kind}","uuid":"{number:08x}-{row:04x}-4000-8000-000000000000","timestamp":"{time}","sessionId":"{id}","cwd":"/home/dev/{project}","version":"2.1.330","entrypoint":"cli","requestId":"req_{number}_{row}","message":{message}}}"#
        )
    };
    let mut text = row(0, said[0].0, "user", r#"{"role":"user","content":"Go."}"#) + "\n";
    for (position, (time, model, output)) in said.iter().enumerate() {
        let call = format!("toolu_{number}_{position}");
        let answer = format!(
            r#"{{"id":"msg_{number}_{position}","role":"assistant","model":"{model}","stop_reason":"tool_use","content":[{{"type":"tool_use","id":"{call}","name":"Bash","input":{{}}}}],"usage":{{"input_tokens":10,"cache_read_input_tokens":7000,"output_tokens":{output}}}}}"#
        );
        let result = format!(
            r#"{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{call}","content":"Done.","is_error":{}}}]}}"#,
            position % 3 == 2
        );
        writeln!(text, "{}", row(position * 2 + 1, time, "assistant", &answer)).unwrap();
        writeln!(text, "{}", row(position * 2 + 2, time, "user", &result)).unwrap();
    }
    fs::write(folder.join(format!("{id}.jsonl")), text).unwrap();
}

/// Twelve days of two people's work, with a day off, and each session within one day.
pub(crate) fn days(projects: &Path) {
    let models = ["claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"];
    let hours = [0, 8, 9, 13, 23];
    for day in (0..12).filter(|day| *day != 5) {
        for (position, hour) in hours.into_iter().enumerate().skip(day % 3) {
            let number = u32::try_from(day * 10 + position).unwrap();
            let time = |minute: usize| format!("2025-06-{:02}T{hour:02}:{minute:02}:07.250Z", day + 10);
            let times = [time(1), time(2), time(17 + day), time(59)];
            let said: Vec<Said<'_>> =
                times.iter().zip(1..).map(|(time, n)| (time.as_str(), models[(day + position) % 3], 100 * n)).collect();
            session(projects, number, ["api", "web"][position % 2], &said);
        }
    }
    // The last moment of a day and the first of the next.
    session(projects, 900, "api", &[("2025-06-12T23:59:59.999Z", models[0], 31)]);
    session(projects, 901, "api", &[("2025-06-13T00:00:00.000Z", models[0], 37)]);
}

/// Runs the program without any environment.
pub(crate) fn tailspan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailspan")).env_clear().args(arguments).output().unwrap()
}

/// What a command prints that ends well.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = tailspan(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The history of folders, in a file of its own right, for a sidecar that never ran.
pub(crate) fn backfill(projects: &Path, more: &[&str]) -> String {
    let projects = projects.to_str().unwrap();
    let state = format!("{projects}/no-state");
    printed(&[&["backfill", projects, "--state", &state], more].concat())
}

/// Samples by series, without the labels of the target, in the order of the file: seconds and value.
pub(crate) fn series(text: &str) -> BTreeMap<String, Vec<(i64, f64)>> {
    let mut all: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [time, value, name] = line.rsplitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        let own = name.replace("job=\"tailspan\",instance=\"127.0.0.1:9719\"", "").replace("{,", "{").replace("{}", "");
        assert_ne!(own, name, "no labels of the target: {line}");
        all.entry(own).or_default().push((time.parse().unwrap(), value.parse().unwrap()));
    }
    all
}
