//! The queries of Grafana dashboards, with values in the place of their variables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// What a dashboard asks Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Name of the file without its ending.
    pub(crate) board: String,
    /// Title of the panel and name of the query, or what asks besides panels.
    pub(crate) panel: String,
    pub(crate) expression: String,
}

/// What Grafana itself fills in, for a dashboard that shows a day scraped each second; the longest names first.
const BUILT_IN: &[(&str, &str)] = &[
    ("__rate_interval_ms", "60000"),
    ("__rate_interval", "1m"),
    ("__interval_ms", "15000"),
    ("__interval", "15s"),
    ("__range_ms", "86400000"),
    ("__range_s", "86400"),
    ("__range", "1d"),
];

/// The dashboards of a folder by the name of their file.
pub(crate) fn boards(folder: &Path) -> BTreeMap<String, Value> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let boards = files.filter(|path| path.extension().is_some_and(|is| is == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
    };
    boards.map(read).collect()
}

/// Every query of a dashboard. `values` gives what an expression knows of a label.
pub(crate) fn queries(board: &str, json: &Value, values: &dyn Fn(&str, &str) -> Vec<String>) -> Vec<Query> {
    let mut variables = BTreeMap::new();
    let mut found = Vec::new();
    let mut add = |panel: String, expression: &str, variables: &BTreeMap<String, String>| {
        found.push(Query { board: board.to_owned(), panel, expression: filled(expression, variables) });
    };
    for variable in list(&json["templating"]["list"]) {
        let name = variable["name"].as_str().unwrap();
        let asked = variable["query"].as_str().or(variable["query"]["query"].as_str()).unwrap_or_default();
        let elsewhere = variable["datasource"]["type"].as_str().is_some_and(|kind| kind != "prometheus");
        let value = match variable["type"].as_str().unwrap() {
            // Another data source knows its values; no query for Prometheus may need them.
            "query" if elsewhere => continue,
            "query" => {
                let (expression, label) = label_values(asked).unwrap_or_else(|| panic!("{board}: ${name} is {asked}"));
                add(format!("variable {name}"), &format!("group by ({label}) ({expression})"), &variables);
                let all = variable["allValue"].as_str().unwrap_or(".*").to_owned();
                let known = || values(&filled(expression, &variables), label);
                if variable["includeAll"] == true { all } else { known().into_iter().next().unwrap_or_default() }
            }
            "custom" | "interval" => {
                let first = asked.split(',').next().unwrap_or_default();
                first.rsplit(" : ").next().unwrap_or_default().trim().to_owned()
            }
            "textbox" | "constant" => asked.to_owned(),
            "datasource" | "adhoc" => continue,
            other => panic!("{board}: ${name} is of the unknown type {other}"),
        };
        variables.insert(name.to_owned(), value);
    }
    for annotation in list(&json["annotations"]["list"]) {
        if let Some(expression) = annotation["expr"].as_str() {
            add(format!("annotation {}", annotation["name"].as_str().unwrap_or_default()), expression, &variables);
        }
    }
    for panel in panels(json) {
        for target in list(&panel["targets"]) {
            if let Some(expression) = target["expr"].as_str() {
                let title = panel["title"].as_str().unwrap_or("without a title");
                add(format!("{title} {}", target["refId"].as_str().unwrap_or_default()), expression, &variables);
            }
        }
    }
    found
}

/// Panels, those inside of rows included, in the order of the file.
fn panels(json: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for panel in list(&json["panels"]).chain(list(&json["rows"])) {
        found.push(panel);
        found.extend(panels(panel));
    }
    found
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

/// Expression and label of `label_values(expression, label)`, or of `label_values(label)`.
fn label_values(query: &str) -> Option<(&str, &str)> {
    let inside = query.trim().strip_prefix("label_values(")?.strip_suffix(')')?;
    let (expression, label) = inside.rsplit_once(',').unwrap_or(("{__name__=~\"tailspan_.+\"}", inside));
    Some((expression.trim(), label.trim()))
}

/// `$name`, `${name}`, `${name:format}` and `[[name]]` replaced.
fn filled(expression: &str, variables: &BTreeMap<String, String>) -> String {
    let mut names: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    names.extend(BUILT_IN);
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut text = expression.to_owned();
    for (name, value) in names {
        for form in [format!("${{{name}}}"), format!("${name}"), format!("[[{name}]]")] {
            text = text.replace(&form, value);
        }
        while let Some((before, after)) = text.split_once(&format!("${{{name}:")) {
            let after = after.split_once('}').unwrap_or_else(|| panic!("no }} in {expression}")).1;
            text = format!("{before}{value}{after}");
        }
    }
    text
}
