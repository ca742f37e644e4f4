//! The rule files as data, and what their tests ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

/// A recording rule or an alert.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) file: String,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) is_alert: bool,
    pub(crate) expression: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What the tests of promtool ask for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Alerts that must fire somewhere.
    pub(crate) firing: BTreeSet<String>,
    /// Alerts that must not fire somewhere.
    pub(crate) quiet: BTreeSet<String>,
    /// Expressions whose value must be there.
    pub(crate) values: BTreeSet<String>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/rules")
}

/// The files that Prometheus loads, sorted.
pub(crate) fn files() -> Vec<PathBuf> {
    yaml_files(&folder())
}

/// The files that `promtool test rules` runs, sorted.
pub(crate) fn tests() -> Vec<PathBuf> {
    yaml_files(&folder().join("tests"))
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|is| is == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "no rules in {}", folder.display());
    files
}

fn read(path: &Path) -> Yaml {
    YamlLoader::load_from_str(&fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

/// Every rule, in the order of the files.
pub(crate) fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for path in files() {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        for group in read(&path)["groups"].as_vec().unwrap() {
            for rule in group["rules"].as_vec().unwrap() {
                let (record, alert) = (rule["record"].as_str(), rule["alert"].as_str());
                rules.push(Rule {
                    file: file.clone(),
                    group: group["name"].as_str().unwrap().to_owned(),
                    name: record.or(alert).unwrap().to_owned(),
                    is_alert: alert.is_some(),
                    expression: rule["expr"].as_str().unwrap().to_owned(),
                    labels: texts(&rule["labels"]),
                    annotations: texts(&rule["annotations"]),
                });
            }
        }
    }
    rules
}

fn texts(map: &Yaml) -> BTreeMap<String, String> {
    let entries = map.as_hash().into_iter().flatten();
    entries.map(|(key, value)| (key.as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())).collect()
}

/// What all test files ask for.
pub(crate) fn asked() -> Asked {
    let mut asked = Asked::default();
    for path in tests() {
        for world in read(&path)["tests"].as_vec().unwrap() {
            for case in world["alert_rule_test"].as_vec().into_iter().flatten() {
                let fires = case["exp_alerts"].as_vec().is_some_and(|alerts| !alerts.is_empty());
                let cases = if fires { &mut asked.firing } else { &mut asked.quiet };
                cases.insert(case["alertname"].as_str().unwrap().to_owned());
            }
            for case in world["promql_expr_test"].as_vec().into_iter().flatten() {
                if case["exp_samples"].as_vec().is_some_and(|samples| !samples.is_empty()) {
                    asked.values.insert(case["expr"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    asked
}
