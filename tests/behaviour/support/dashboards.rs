//! The dashboards as JSON, and what tests of them share.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const NAMES: [&str; 6] = ["overview", "cost", "tools", "sessions", "team", "health"];

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
