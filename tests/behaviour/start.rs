//! What the log says at the start: what is read, kept, served and sent, and which setting said so.

use std::fs;
use std::path::Path;

use crate::support::daemon::Daemon;

/// An address where nobody answers: nothing is to be sent here.
const NOBODY: &str = "http://127.0.0.1:9";

/// What is said by a start with these variables, flags and configuration, without the times.
fn said(folder: &Path, variables: &[&str], flags: &[&str], config: &str) -> Vec<String> {
    let (projects, file) = (folder.join("projects"), folder.join("tailspan.toml"));
    fs::write(&file, config).unwrap();
    let flags = [&["--config", file.to_str().unwrap()], flags].concat();
    let wrapper = [&["env"], variables].concat();
    let mut daemon = Daemon::start_within(&wrapper, &projects, &folder.join("state"), &flags);
    daemon.wait_for_log("the first scan is complete");
    daemon.hear_out();
    let said = std::mem::take(&mut daemon.said);
    assert_eq!(daemon.stop(), Some(0));
    said.iter().map(|line| line.split_once(": ").map_or("", |(_, said)| said).to_owned()).collect()
}

fn starts_with(said: &[String], beginning: &str) -> Vec<String> {
    said.iter().filter(|line| line.starts_with(beginning)).cloned().collect()
}

#[test]
fn the_start_says_what_it_reads_where_it_serves_and_that_it_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let lines = said(folder.path(), &[], &[], "");
    for line in [
        format!("reading session files in {at}/projects (not there yet) (--projects)"),
        format!("keeping the state in {at}/state (--state)"),
        "sending traces nowhere (set --otlp-endpoint, or otlp.endpoint in the configuration)".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line}\n{lines:#?}");
    }
    let serving = starts_with(&lines, "serving http://127.0.0.1:");
    assert!(serving.len() == 1 && serving[0].ends_with(" (--listen)"), "{lines:#?}");
    fs::create_dir(folder.path().join("projects")).unwrap();
    let lines = said(folder.path(), &["OTEL_SDK_DISABLED=true"], &["--otlp-endpoint", NOBODY], "");
    assert!(lines.contains(&format!("reading session files in {at}/projects (--projects)")), "{lines:#?}");
    let sending = ["sending traces nowhere (environment variable OTEL_SDK_DISABLED)"];
    assert_eq!(starts_with(&lines, "sending traces"), sending);
}

#[test]
fn the_start_says_which_setting_begins_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailspan.toml");
    let sending = |variables: &[&str], flags: &[&str], config: &str| {
        starts_with(&said(folder.path(), variables, flags, config), "sending traces to")
    };
    let none = "history: none, what ends from now on (traces.history_since is not set)";
    let variable = format!("OTEL_EXPORTER_OTLP_ENDPOINT={NOBODY}");
    assert_eq!(
        sending(&[&variable], &[], ""),
        [format!("sending traces to {NOBODY}/v1/traces (environment variable OTEL_EXPORTER_OTLP_ENDPOINT), {none}")]
    );
    assert_eq!(
        sending(&[&variable], &["--otlp-endpoint", NOBODY, "--traces-history-since", "all"], ""),
        [format!("sending traces to {NOBODY}/v1/traces (--otlp-endpoint), history: all (--traces-history-since)")]
    );
    let since = "TAILSPAN_TRACES_HISTORY_SINCE=2026-11-01T00:00:00Z";
    let config = format!("[otlp]\nendpoint = \"{NOBODY}\"\n[otlp.endpoints]\njaeger = \"{NOBODY}/jaeger\"\n");
    let history = "history: since 2026-11-01T00:00:00.000Z (environment variable TAILSPAN_TRACES_HISTORY_SINCE)";
    let place = |line| format!("{}, line {line}", file.display());
    assert_eq!(
        sending(&[since], &[], &config),
        [
            format!("sending traces to {NOBODY}/v1/traces (endpoint default, {}), {history}", place(2)),
            format!("sending traces to {NOBODY}/jaeger/v1/traces (endpoint jaeger, {}), {history}", place(4)),
        ]
    );
}

#[test]
fn the_start_says_where_metrics_go_and_keeps_secrets_of_urls() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[otlp]\nendpoint = \"{NOBODY}/base?api_key=sesame\"\nmetrics = true\nmetrics_interval = \"1h\"\n\
         metrics_endpoint = \"{NOBODY}/ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\n"
    );
    let lines = said(folder.path(), &[], &[], &config);
    let (traces, metrics) = (starts_with(&lines, "sending traces to"), starts_with(&lines, "pushing metrics to"));
    assert!(traces[0].starts_with(&format!("sending traces to {NOBODY}/base/v1/traces?... (")), "{lines:#?}");
    assert!(metrics[0].contains(" every 3600 s ("), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("sesame") || line.contains("16C7e42F")), "{lines:#?}");
}

#[test]
fn the_start_says_when_files_are_deleted_and_what_is_wrong_with_the_settings_of_the_client() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("projects")).unwrap();
    let settings = folder.path().join("settings.json");
    let deletes = |config: &str| starts_with(&said(folder.path(), &[], &[], config), "the client deletes");
    let after = |days: u64| vec![format!("the client deletes session files {days} days after they were written last")];
    fs::write(&settings, "{\"cleanupPeriodDays\": 60}").unwrap();
    assert_eq!(deletes(""), after(60));
    fs::write(&settings, "{\"cleanupPeriodDays\": 60").unwrap();
    assert_eq!(deletes("[patterns.files_deleted_soon]\ndays = 90"), after(90));
    let lines = said(folder.path(), &[], &[], "");
    let wrong =
        starts_with(&lines, &format!("the settings of the client in {} are no JSON object", settings.display()));
    assert_eq!((wrong.len(), starts_with(&lines, "the client deletes")), (1, after(30)), "{lines:#?}");
}

#[test]
fn what_is_wrong_with_the_settings_of_the_client_is_told_once_until_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, settings) = (folder.path().join("projects"), folder.path().join("settings.json"));
    fs::create_dir(&projects).unwrap();
    let mut daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    daemon.wait_for_log("the first scan is complete");
    for text in ["{", "{", "{\"cleanupPeriodDays\": 0}", "{}", "{", "{\"cleanupPeriodDays\": 7.5}"] {
        fs::write(&settings, text).unwrap();
        assert_eq!(daemon.get("/api/v1/analytics/patterns").0, 200);
    }
    daemon.wait_for_log("is 7.5, expected a whole number of days from 1");
    let about = |what: &str| daemon.said.iter().filter(|line| line.contains(what)).count();
    let told = (about("are no JSON object"), about("`cleanupPeriodDays` in "), about("taken to be kept for 30 days"));
    assert_eq!(told, (2, 2, 4), "{:#?}", daemon.said);
    assert_eq!(daemon.stop(), Some(0));
}
