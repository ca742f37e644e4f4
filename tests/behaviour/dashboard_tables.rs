//! What dashboards ask the sidecar itself, through the Infinity data source and by links: every address is answered, and
//! every selector finds what it is there for, in answers and in the description of the API.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::dashboards::{dashboards, links_of, list, text};

/// Roots that find no row in recordings of one day, with the reason.
const NO_ROWS: &[(&str, &str)] = &[("projection", "one day is too short for it")];

/// What the backend parser of Infinity does with a path of [GJSON](https://github.com/tidwall/gjson/blob/master/SYNTAX.md), as
/// far as the dashboards go. `None` if it finds nothing: a root that does not exist is an error, a column is empty.
fn found(value: &Value, path: &str) -> Option<Value> {
    let mut value = value.clone();
    for step in steps(path) {
        value = match step {
            Step::Name(name) => value.get(name)?.clone(),
            Step::Row(row) => value.get(row)?.clone(),
            Step::Unlike(name, unwanted) => {
                value.as_array()?.iter().filter(|row| row[name] != unwanted).cloned().collect()
            }
        };
    }
    Some(value)
}

enum Step<'a> {
    Name(&'a str),
    Row(usize),
    /// `#(name!="text")#`: the rows that do not have this text.
    Unlike(&'a str, &'a str),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let step = |part| match str::parse(part) {
        Ok(row) => Step::Row(row),
        Err(_) => {
            match str::strip_prefix(part, "#(").and_then(|inside| inside.strip_suffix("\")#")?.split_once("!=\"")) {
                Some((name, unwanted)) => Step::Unlike(name, unwanted),
                None => Step::Name(part),
            }
        }
    };
    path.split('.').filter(|part| !part.is_empty()).map(step).collect()
}

/// `[name]|@flatten` is the same as `name` where there is one, and no rows where there is none.
fn root_of(target: &Value) -> &str {
    text(&target["root_selector"]).trim_start_matches('[').trim_end_matches("]|@flatten")
}

/// The schema of what a path finds in values of a schema; `null` beside it does not count.
fn schema_at<'a>(schemas: &'a Value, schema: &'a Value, path: &str) -> Option<&'a Value> {
    let mut schema = resolved(schemas, schema);
    for step in steps(path) {
        schema = match step {
            Step::Name(name) => resolved(schemas, schema["properties"].get(name)?),
            Step::Row(_) => resolved(schemas, schema.get("items")?),
            Step::Unlike(name, _) => {
                resolved(schemas, schema.get("items")?)["properties"].get(name)?;
                schema
            }
        };
    }
    Some(schema)
}

fn resolved<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolved(schemas, &schemas["components"]["schemas"][reference.rsplit('/').next().unwrap()]);
    }
    let of_many = list(&schema["anyOf"]).iter().chain(list(&schema["oneOf"])).find(|one| one["type"] != "null");
    of_many.map_or(schema, |one| resolved(schemas, one))
}

/// Whether a column of this type can hold what a schema describes.
fn describes(schema: &Value, kind: &str) -> bool {
    let is = |name: &str| schema["type"] == name || list(&schema["type"]).contains(&json!(name));
    match kind {
        "number" => {
            is("number")
                || is("integer")
                || schema.get("pattern").is_some_and(|decimal| text(decimal).contains("[0-9]"))
        }
        "timestamp" => schema["format"] == "date-time",
        _ => is("string") && schema["format"] != "date-time",
    }
}

/// Every question of a table or of a choice, with the place that it stands in.
fn questions() -> Vec<(String, Value)> {
    let mut asked = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in list(&dashboard["panels"]) {
            let targets = list(&panel["targets"]).iter().filter(|target| target.get("expr").is_none());
            asked.extend(targets.map(|target| (format!("{name} / {}", text(&panel["title"])), target.clone())));
        }
        let variables = list(&dashboard["templating"]["list"]).iter();
        let choices = variables.filter_map(|one| Some((text(&one["name"]), one["query"].get("infinityQuery")?)));
        asked.extend(choices.map(|(choice, target)| (format!("{name} / ${choice}"), target.clone())));
    }
    asked
}

/// Every address of the sidecar that a dashboard or a panel links to: answers, and pages of what a row names.
fn linked() -> [Vec<(String, String)>; 2] {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards() {
        let of_panels = list(&dashboard["panels"]).iter().flat_map(links_of);
        for link in list(&dashboard["links"]).iter().cloned().chain(of_panels) {
            let path = text(&link["url"]).strip_prefix("${tailspan:raw}").map(str::to_owned);
            found.extend(path.map(|path| (name.to_owned(), path)));
        }
    }
    let (answers, pages) = found.into_iter().partition(|(_, path)| path.starts_with("/api/"));
    [answers, pages]
}

/// A sidecar with the recordings of one day.
struct Side {
    daemon: Daemon,
    session: String,
}

impl Side {
    fn start(folder: &Path) -> Self {
        let projects = folder.join("projects");
        // All of them: together they have rows for every table.
        let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330");
        for recording in fs::read_dir(recordings).unwrap().map(Result::unwrap) {
            copy(&recording.path().join("projects"), &projects);
        }
        // The recordings are short: what little their small tasks cost is told.
        let settings = folder.join("tailspan.toml");
        fs::write(&settings, "[patterns.sub_agent_warm_up]\nusd = 0\n").unwrap();
        let daemon = Daemon::start(&projects, &folder.join("state"), &["--config", settings.to_str().unwrap()]);
        daemon.metrics();
        let (_, body) = daemon.get("/api/v1/analytics/sessions?project=e6-subagent-sync");
        let list: Value = serde_json::from_str(&body).unwrap();
        Self { session: text(&list["sessions"][0]["id"]).to_owned(), daemon }
    }

    /// Path and answer of an address with the variables of Grafana, for a browser in Berlin.
    fn ask(&self, address: &str) -> (String, Value) {
        let path = address
            .replace("${session}", &self.session)
            .replace("${__from:date:iso}", "2026-11-20T00:00:00.000Z")
            .replace("${__to:date:iso}", "2026-11-24T00:00:00.000Z")
            .replace("${__timezone}", "Europe/Berlin");
        assert!(!path.contains('$'), "{path}");
        let (status, body) = self.daemon.get(&path);
        assert_eq!(status, 200, "{path}: {body}");
        (path, serde_json::from_str(&body).unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The schema of the answer of a path.
fn schema_of<'a>(document: &'a Value, path: &str, session: &str) -> &'a Value {
    let pattern = path.split('?').next().unwrap().replace(session, "{id}");
    let schema = &document["paths"][&pattern]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{pattern} is not described");
    schema
}

#[test]
fn tables_ask_for_what_the_api_answers() {
    let folder = tempfile::tempdir().unwrap();
    let side = Side::start(folder.path());
    let (_, document) = side.ask("/api/v1/openapi.json");
    let asked = questions();
    assert_eq!(
        asked.iter().filter(|(place, _)| place.starts_with("sessions")).count(),
        5,
        "list, count, turns, steps, choice"
    );
    assert_eq!(asked.iter().filter(|(place, _)| place.starts_with("insights")).count(), 14);
    for (place, target) in asked {
        let (path, answer) = side.ask(text(&target["url"]));
        let root = root_of(&target);
        let schema = schema_at(&document, schema_of(&document, &path, &side.session), root);
        let schema = schema.unwrap_or_else(|| panic!("{place}: {root} is not described"));
        let schema = schema.get("items").map_or(schema, |items| resolved(&document, items));
        let rows = found(&answer, root).unwrap_or_else(|| panic!("{place}: no {root}: {answer}"));
        let rows = if rows.is_null() { vec![] } else { rows.as_array().cloned().unwrap_or_else(|| vec![rows]) };
        let excused = NO_ROWS.iter().any(|(known, why)| *known == root && !why.is_empty());
        assert!(rows.is_empty() == excused, "{place}: {root} has {} rows", rows.len());
        for column in list(&target["columns"]) {
            let (selector, kind) = (text(&column["selector"]), text(&column["type"]));
            let described = schema_at(&document, schema, selector);
            assert!(described.is_some_and(|schema| describes(schema, kind)), "{place}: {column} is {described:?}");
            // In an answer too, so that the description is not all that is asked; a place may be missing in every row.
            let values: Vec<Value> = rows.iter().filter_map(|row| found(row, selector)).collect();
            assert!(!values.is_empty() || excused, "{place}: no {selector}: {rows:?}");
            for value in values {
                let number = value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
                let fits = match kind {
                    "number" => number,
                    "timestamp" => value.as_str().is_some_and(|text| text.ends_with('Z')),
                    _ => value.is_string(),
                };
                assert!(fits || value.is_null(), "{place}: {column} is {value}");
            }
        }
    }
    // Without a session in the choice, the question is one for the list: an empty table, not an error.
    assert!(side.ask("/api/v1/analytics/sessions/").1.get("sessions").is_some());
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn links_to_answers_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let side = Side::start(folder.path());
    let [linked, pages] = linked();
    assert!(linked.len() >= 7 && pages.len() >= 5, "{linked:?} {pages:?}");
    // What a row names: a session, an event of it, the trace of a turn.
    let (_, one) = side.ask(&format!("/api/v1/analytics/sessions/{}", side.session));
    let trace = text(&one["turns"][0]["trace_id"]);
    for (name, address) in pages {
        let fields = [("Session", side.session.as_str()), ("Event", "3"), ("Trace", trace)];
        let path = fields.iter().fold(address.replace("${session:raw}", &side.session), |path, (field, value)| {
            path.replace(&format!("${{__data.fields.{field}:raw}}"), value)
        });
        let (page, event) = path.split_once('#').unwrap_or((&path, "event=3"));
        assert!(!path.contains('$') && event == "event=3", "{name}: {path}");
        let expected = if page.starts_with("/spans/") { 303 } else { 200 };
        assert_eq!(side.daemon.get(page).0, expected, "{name}: {path}");
    }
    for (name, address) in linked {
        let (path, answer) = side.ask(&address);
        assert_eq!(answer["tz"], "Europe/Berlin", "{name}: {path}");
    }
    // Grafana calls it so, whatever the case of the name is elsewhere.
    let (_, answer) = side.ask("/api/v1/analytics/patterns?tz=utc");
    assert_eq!(answer["tz"], "UTC");
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn the_week_adds_up_to_what_was_spent() {
    let folder = tempfile::tempdir().unwrap();
    let side = Side::start(folder.path());
    let all = questions();
    let of = |panel: &str| &all.iter().find(|(place, _)| *place == format!("insights / {panel}")).unwrap().1;
    let week = of("The week, hour by hour");
    let (_, answer) = side.ask(text(&week["url"]));
    let rows = found(&answer, root_of(week)).unwrap();
    assert_eq!(list(&rows).len(), 7);
    let hours = list(&week["columns"])[1..].iter().map(|column| text(&column["selector"]));
    let dollars = |value: Value| text(&value).parse::<f64>().unwrap();
    let cells = hours.flat_map(|selector| list(&rows).iter().map(move |row| found(row, selector).unwrap()));
    let sum: f64 = cells.map(dollars).sum();
    let total = dollars(found(&answer, "usage.total.cost_usd").unwrap());
    assert!(total > 0.0 && (sum - total).abs() < 1e-9, "{sum} of {total}");
    // What is beside the model is the rest of the paths.
    let beside = of("Beside the model");
    let (_, answer) = side.ask(text(&beside["url"]));
    let share = |rows: &Value| list(rows).iter().map(|row| row["share"].as_f64().unwrap()).sum::<f64>();
    let (all, rest) = (share(&answer["critical_path"]), share(&found(&answer, root_of(beside)).unwrap()));
    let model = list(&answer["critical_path"]).iter().filter(|row| row["kind"] == "model");
    let model = share(&model.cloned().collect());
    assert!(
        model > 0.0 && rest > 0.0 && (all - 1.0).abs() < 1e-6 && (rest + model - 1.0).abs() < 1e-6,
        "{rest} and {model}"
    );
    assert_eq!(side.daemon.stop(), Some(0));
}
