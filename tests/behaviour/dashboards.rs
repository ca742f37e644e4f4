//! The form of the Grafana dashboards: the rules of Grafana's linter, layout, colours, links, and the generator.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};
use tailspan::views::metrics::catalog::{self, Values};

use crate::support::dashboards::{dashboards, folder, installed, links_of, list, panels, text};

/// Units that Grafana knows; those that are used here.
const UNITS: &[&str] = &["short", "percentunit", "currencyUSD", "bytes", "s", "bool_yes_no", "dateTimeAsLocal"];

const KINDS: &[&str] = &["stat", "timeseries", "bargauge", "table", "heatmap"];
const PANELS_MAX: usize = 22;

/// How the chosen time is told to the sidecar.
const CHOSEN: &str = "?since=${__from:date:iso}&until=${__to:date:iso}&tz=${__timezone}";
const COLUMNS: u64 = 24;

#[test]
fn dashboards_are_as_grafana_wants_them() {
    let mut uids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        let uid = text(&dashboard["uid"]);
        assert_eq!(uid, format!("tailspan-{name}"));
        assert!(uid.len() <= 40 && uids.insert(uid.to_owned()), "{name}: uid {uid}");
        assert!(titles.insert(text(&dashboard["title"]).to_owned()), "{name}: title");
        assert!(text(&dashboard["description"]).len() > 40, "{name}: description");
        assert_eq!(dashboard["schemaVersion"], 39, "{name}");
        assert_eq!(dashboard["editable"], false, "{name}: uneditable-dashboard");
        assert_eq!(dashboard["graphTooltip"], 1, "{name}");
        assert_eq!(dashboard["timezone"], "browser", "{name}");
        assert!(!text(&dashboard["refresh"]).is_empty(), "{name}: refresh");
        assert!(list(&dashboard["tags"]).contains(&json!("tailspan")), "{name}: tag");
        for key in ["id", "version", "__inputs", "__requires"] {
            assert!(dashboard.get(key).is_none(), "{name}: {key}");
        }
        let link = &dashboard["links"][0];
        assert_eq!((&link["type"], &link["tags"]), (&json!("dashboards"), &json!(["tailspan"])), "{name}");
        assert_eq!((&link["includeVars"], &link["keepTime"]), (&json!(true), &json!(true)), "{name}");
    }
}

#[test]
fn variables_are_as_the_linter_wants_them() {
    for (name, dashboard) in dashboards() {
        let variables = list(&dashboard["templating"]["list"]);
        let variable = |wanted: &str| {
            variables.iter().find(|one| one["name"] == wanted).unwrap_or_else(|| panic!("{name}: no {wanted}"))
        };
        let source = variable("prometheus_datasource");
        assert_eq!(source, &variables[0], "{name}: the linter takes the first for the one of PromQL");
        assert_eq!((text(&source["type"]), text(&source["query"])), ("datasource", "prometheus"), "{name}");
        assert_eq!(source["label"], "Prometheus data source", "{name}: template-datasource");
        for (wanted, label) in [("job", "Job"), ("instance", "Instance")] {
            let one = variable(wanted);
            assert_eq!((text(&one["type"]), text(&one["label"])), ("query", label), "{name}: template-{wanted}");
            assert_eq!(one["datasource"]["uid"], "${prometheus_datasource}", "{name}: {wanted}");
            assert_eq!((&one["multi"], &one["includeAll"]), (&json!(true), &json!(true)), "{name}: {wanted}");
            // The linter wants `.+`, which hides pushed series that have no such label.
            assert_eq!(one["allValue"], ".*", "{name}: {wanted}");
            let query = text(&one["query"]);
            assert!(query.starts_with("label_values(tailspan_build_info"), "{name}: template-label-promql: {query}");
        }
        let mut names = BTreeSet::new();
        for one in variables {
            assert!(names.insert(text(&one["name"])), "{name}: two variables {}", one["name"]);
            assert!(!text(&one["label"]).is_empty(), "{name}: {} has no label", one["name"]);
            if one["type"] == "query" {
                assert_eq!(one["refresh"], 2, "{name}: {}: template-on-time-change-reload", one["name"]);
            }
        }
        for used in used_variables(&dashboard.to_string()) {
            assert!(names.contains(used.as_str()), "{name}: ${used} is no variable");
        }
        for declared in &names {
            let plain = [format!("${declared}"), format!("${{{declared}")];
            let panels = dashboard["panels"].to_string();
            assert!(plain.iter().any(|form| panels.contains(form)), "{name}: {declared} is never used");
        }
    }
}

/// Names in `$name` and `${name...}`, without those of Grafana itself and of groups of a regular expression.
fn used_variables(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('$') {
        let rest = text[at + 1..].trim_start_matches('{');
        let name: String = rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
        if !name.starts_with("__") && !name.starts_with(|letter: char| letter.is_ascii_digit()) && !name.is_empty() {
            found.insert(name);
        }
    }
    found
}

#[test]
fn panels_have_all_that_a_reader_needs() {
    for (name, dashboard) in dashboards() {
        let panels = list(&dashboard["panels"]);
        assert!((8..=PANELS_MAX).contains(&panels.len()), "{name}: {} panels", panels.len());
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in panels {
            let title = text(&panel["title"]);
            assert!(!title.is_empty() && titles.insert(title), "{name}: title {title:?}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name} / {title}: id");
            assert!(KINDS.contains(&text(&panel["type"])), "{name} / {title}: {}", panel["type"]);
            let about = text(&panel["description"]);
            assert!(about.ends_with('.') && about != format!("{title}."), "{name} / {title}: {about:?}");
            let fields = &panel["fieldConfig"]["defaults"];
            assert!(UNITS.contains(&text(&fields["unit"])), "{name} / {title}: unit {}", fields["unit"]);
            assert!(!text(&fields["noValue"]).is_empty(), "{name} / {title}: what a new install shows");
            for property in list(&panel["fieldConfig"]["overrides"]).iter().flat_map(|one| list(&one["properties"])) {
                if property["id"] == "unit" {
                    assert!(UNITS.contains(&text(&property["value"])), "{name} / {title}: {property}");
                }
            }
            targets_are_complete(&format!("{name} / {title}"), panel);
        }
    }
}

fn targets_are_complete(place: &str, panel: &Value) {
    let targets = list(&panel["targets"]);
    assert!(!targets.is_empty(), "{place}: panel-no-targets");
    let mut letters = BTreeSet::new();
    for target in targets {
        assert!(letters.insert(text(&target["refId"])), "{place}: {}", target["refId"]);
        assert_eq!(target["datasource"], panel["datasource"], "{place}");
        let source = text(&target["datasource"]["uid"]);
        let wanted = if target.get("expr").is_some() { "${prometheus_datasource}" } else { "${infinity_datasource}" };
        assert_eq!(source, wanted, "{place}: panel-datasource");
        if target.get("expr").is_some() {
            let instant = target.get("instant") == Some(&json!(true));
            let range = target.get("range") == Some(&json!(true));
            assert!(instant != range, "{place}: a query is instant or a range");
            let over_time = ["timeseries", "heatmap"].contains(&text(&panel["type"]));
            assert!(!over_time || range, "{place}: a line needs a range");
            assert!(range || target.get("exemplar").is_none(), "{place}: exemplars come with a range");
        }
    }
}

/// As areas, a series that is 0 would be drawn on top of the others, in its colour.
#[test]
fn stacks_are_bars_without_a_line() {
    let all = dashboards();
    let custom = |panel: &Value| panel["fieldConfig"]["defaults"]["custom"].clone();
    let stacked = panels(&all).into_iter().filter(|(_, panel)| custom(panel)["stacking"]["mode"] == "normal");
    let stacked: Vec<_> = stacked.collect();
    assert!(stacked.len() > 10, "{} stacks", stacked.len());
    for (place, panel) in stacked {
        let custom = custom(&panel);
        assert_eq!((&custom["drawStyle"], &custom["lineWidth"]), (&json!("bars"), &json!(0)), "{place}");
    }
}

#[test]
fn panels_do_not_overlap() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeMap::new();
        for panel in list(&dashboard["panels"]) {
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{name}: {} leaves the grid", panel["title"]);
            for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
                if let Some(other) = taken.insert(cell, panel["title"].clone()) {
                    panic!("{name}: {} lies over {other}", panel["title"]);
                }
            }
        }
        let rows = taken.keys().map(|(row, _)| row + 1).max().unwrap();
        assert_eq!(u64::try_from(taken.len()).unwrap(), rows * COLUMNS, "{name}: there are holes in the grid");
    }
}

#[test]
fn one_name_has_one_colour() {
    let mut colours: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (place, panel) in panels(&dashboards()) {
        for one in list(&panel["fieldConfig"]["overrides"]) {
            for property in list(&one["properties"]) {
                if property["id"] == "color" {
                    let (name, colour) = (text(&one["matcher"]["options"]), text(&property["value"]["fixedColor"]));
                    let first = colours.entry(name.to_owned()).or_insert((colour.to_owned(), place.clone()));
                    assert_eq!(first.0, colour, "{name} in {place} and in {}", first.1);
                }
            }
        }
    }
    // Several metrics may have a label of one name, such as `reason`, each with values of its own.
    for name in ["kind", "agent", "reason", "origin", "change"] {
        let values = catalog::ALL.iter().flat_map(|metric| metric.labels).filter(|label| label.name == name);
        let values: BTreeSet<_> = values.flat_map(|label| closed_values(label.values)).collect();
        assert!(values.len() > 1, "{name} has no closed values");
        for value in values {
            assert!(colours.contains_key(*value), "{name} {value} has no colour");
        }
    }
}

fn closed_values(values: Values) -> &'static [&'static str] {
    match values {
        Values::Closed(values) => values,
        Values::Open { .. } | Values::Said => &[],
    }
}

#[test]
fn links_lead_somewhere() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, dashboard)| text(&dashboard["uid"])).collect();
    let mut explored = 0;
    for (place, panel) in panels(&all) {
        for link in links_of(&panel) {
            let url = text(&link["url"]);
            assert!(!text(&link["title"]).is_empty(), "{place}: {link}");
            if let Some(rest) = url.strip_prefix("/d/") {
                assert!(uids.contains(rest.split('?').next().unwrap()), "{place}: {url}");
            } else if let Some(panes) = url.strip_prefix("/explore?schemaVersion=1&panes=") {
                explored += 1;
                let plain = panes.replace("%7B", "{").replace("%7D", "}").replace("%22", "\"").replace("%20", " ");
                let panes: Value = serde_json::from_str(&plain).unwrap();
                assert_eq!(panes["a"]["queries"][0]["datasource"]["uid"], "${jaeger_datasource}", "{place}");
            } else {
                // Pages of the sidecar, at an event or by a trace.
                let pages = ["${tailspan:raw}/sessions/${", "${tailspan:raw}/spans/${__data.fields.Trace:raw}"];
                if pages.iter().any(|page| url.starts_with(page)) {
                    assert_eq!(link["targetBlank"], true, "{place}: {link}");
                    continue;
                }
                // What these answer is asked in `dashboard_queries`.
                let path = url.strip_prefix("${tailspan:raw}/api/v1/analytics/");
                assert!(path.is_some_and(|path| path.contains(CHOSEN)), "{place}: {url}");
            }
        }
    }
    assert!(explored >= 8, "{explored} links to traces");
    for (name, dashboard) in &all {
        // The first leads to the other dashboards, more to answers of the sidecar.
        for link in &list(&dashboard["links"])[1..] {
            let url = text(&link["url"]);
            assert!(url.starts_with("${tailspan:raw}/api/v1/analytics/") && url.contains(CHOSEN), "{name}: {url}");
        }
    }
}

#[test]
fn the_json_is_what_the_generator_writes() {
    if !installed("python3", "python3") {
        return;
    }
    let checked = Command::new("python3").arg("-B").arg(folder().join("generate.py")).arg("--check").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}
