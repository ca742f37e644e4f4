//! The dashboards as JSON, and what tests of them share.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const NAMES: [&str; 7] = ["overview", "cost", "tools", "insights", "sessions", "team", "health"];

pub(crate) fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards"))
}

pub(crate) fn dashboards() -> Vec<(&'static str, Value)> {
    let read = |name| {
        let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    NAMES.iter().copied().map(read).collect()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Links of a panel and of its columns.
pub(crate) fn links_of(panel: &Value) -> Vec<Value> {
    let mut links = list(&panel["links"]).to_vec();
    for property in list(&panel["fieldConfig"]["overrides"]).iter().flat_map(|one| list(&one["properties"])) {
        if property["id"] == "links" {
            links.extend_from_slice(list(&property["value"]));
        }
    }
    links
}

/// Every panel with a name to say in a failure.
pub(crate) fn panels(dashboards: &[(&'static str, Value)]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards {
        for panel in list(&dashboard["panels"]) {
            found.push((format!("{name} / {}", text(&panel["title"])), panel.clone()));
        }
    }
    found
}

/// True if the program is there; absent is a failure in CI only.
pub(crate) fn installed(program: &str, package: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "CI needs {program}: apt-get install {package}");
        println!("skipped: {program} is not installed");
    }
    found
}
