//! The table of routes tells all that a description of the API needs, and what it tells is what its functions read.

use std::collections::{BTreeMap, BTreeSet};

use tailspan::http::context::Context;
use tailspan::http::table::ROUTES;
use tailspan::http::{AnswerForm, Described, Others, ParameterPlace, Route, Schema};

use crate::support::fuzz_query::ask;

/// What no parameter takes, but those that take any text; and nothing has this name.
const NONSENSE: &str = "x";

/// Off unless it is asked for.
const OFF: &str = "/metrics/claude-code";

/// The parameter that says where a range begins.
const SINCE: &str = "since";

fn placed(route: &Route<Context>, place: ParameterPlace) -> impl Iterator<Item = &'static dyn Described> {
    let parameters = route.description.parameters.iter().copied();
    parameters.filter(move |parameter| parameter.about().place == place)
}

/// The names in braces of a pattern.
fn names_of(pattern: &str) -> BTreeSet<&str> {
    pattern.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn names(parameter: &dyn Described) -> Vec<&'static str> {
    let about = parameter.about();
    [about.name].into_iter().chain(about.also.iter().copied()).collect()
}

/// The recorded session has no picture; `pages.rs` asks for some.
const PICTURES: &str = "/sessions/{id}/images/{event}/{part}";

/// What is given for a parameter without which there is no answer.
fn usual(name: &str) -> &'static str {
    match name {
        // A session, which is shown as a trace too, and a run.
        "id" => "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f",
        "service" => "claude-code",
        "name" => "nightly",
        "file" => "costs.json",
        "q" => "the",
        "event" => "3",
        "turn" => "1",
        // The turn of that session, and its span.
        "trace" => "55c98515c0ab44acb3ee5db440f974c3",
        "span" => "b9bda84f4df04ce3",
        "path" => "/home/dev/b-tools/hello.txt",
        "query.startTimeMin" => "2000-01-01T00:00:00Z",
        "query.startTimeMax" => "2100-01-01T00:00:00Z",
        _ => panic!("`{name}` is required, and there is no value for it here"),
    }
}

/// Whether a body is one value of JSON.
fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}

/// The answer of a route with what it requires, and with a parameter by one of its names.
fn answer(route: &Route<Context>, given: Option<(&str, &str)>) -> (u16, String) {
    let is_given = |parameter: &dyn Described| given.is_some_and(|(name, _)| names(parameter).contains(&name));
    let mut path = route.pattern.to_owned();
    for parameter in placed(route, ParameterPlace::Path) {
        let name = parameter.about().name;
        let value = given.filter(|_| is_given(parameter)).map_or_else(|| usual(name), |(_, value)| value);
        path = path.replace(&format!("{{{name}}}"), value);
    }
    let required =
        placed(route, ParameterPlace::Query).filter(|parameter| parameter.about().required && !is_given(*parameter));
    let mut query: Vec<_> =
        required.map(|parameter| format!("{0}={1}", parameter.about().name, usual(parameter.about().name))).collect();
    // Some routes look back thirty days unless they are asked for more.
    let looks_back = placed(route, ParameterPlace::Query).any(|parameter| parameter.about().name == SINCE);
    query.extend((looks_back && given.is_none_or(|(name, _)| name != SINCE)).then(|| format!("{SINCE}=2000-01-01")));
    query.extend(
        given
            .filter(|(name, _)| !names_of(route.pattern).contains(name))
            .map(|(name, value)| format!("{name}={value}")),
    );
    let (status, body) = ask(&format!("{path}?{}", query.join("&")));
    // How long it took is never the same. A search that does not end at once begins anew as a stream, which reads more.
    let mut body = String::from_utf8(body).unwrap();
    for name in ["\"took_seconds\":", "\"searched_bytes\":"] {
        let told = body.split_once(name).and_then(|(before, rest)| Some((before, rest.split_once(',')?.1)));
        if let Some((before, behind)) = told {
            body = format!("{before}{name}0,{behind}");
        }
    }
    (status, body)
}

#[test]
fn every_description_is_a_sentence() {
    let is_sentence = |text: &str| {
        let starts = text.starts_with(|c: char| c.is_uppercase() || c == '`');
        starts && text.ends_with('.') && !text.contains(['\n', '\t']) && !text.contains("  ") && text.contains(' ')
    };
    for route in ROUTES {
        let told = route.description;
        let forms = told.answers.iter().chain([&told.refusal]);
        let texts = [told.summary].into_iter().chain(forms.map(|form| form.meaning));
        let texts = texts.chain(told.parameters.iter().map(|parameter| parameter.about().meaning));
        for text in texts {
            assert!(is_sentence(text), "{}: {text}", route.pattern);
        }
    }
}

#[test]
fn every_part_of_a_pattern_is_described() {
    for route in ROUTES {
        let told: Vec<&str> = placed(route, ParameterPlace::Path).map(|parameter| parameter.about().name).collect();
        assert_eq!(BTreeSet::from_iter(told.iter().copied()), names_of(route.pattern), "{}", route.pattern);
        assert_eq!(told.len(), names_of(route.pattern).len(), "{}", route.pattern);
        assert!(placed(route, ParameterPlace::Path).all(|parameter| parameter.about().required), "{}", route.pattern);
    }
}

#[test]
fn parameters_agree_with_themselves() {
    for route in ROUTES {
        let mut known = BTreeSet::new();
        for parameter in route.description.parameters {
            let (about, place) = (parameter.about(), format!("{} {parameter:?}", route.pattern));
            assert!(names(*parameter).into_iter().all(|name| known.insert(name)), "a name twice: {place}");
            assert!(about.default.is_none_or(|text| parameter.reads(text)), "a default that is not taken: {place}");
            assert!(about.default.is_none() || !(about.required || about.several), "{place}");
            match parameter.schema() {
                Schema::Whole { min: Some(min), max: Some(max) } => assert!(min < max, "{place}"),
                Schema::OneOf(words) => assert!(words.iter().all(|word| parameter.reads(word)), "{place}"),
                _ => {}
            }
            let takes_all = matches!(parameter.schema(), Schema::Text | Schema::Name(_));
            assert_eq!(parameter.reads(NONSENSE), takes_all, "{place}");
        }
        assert!(
            route.others != Others::Unread || known.is_empty(),
            "{} describes what it does not read",
            route.pattern
        );
    }
}

#[test]
fn every_answer_has_a_content_type_and_json_a_schema() {
    let mut schemas: BTreeMap<&str, &str> = BTreeMap::new();
    for route in ROUTES {
        let told = route.description;
        assert!(!told.answers.is_empty(), "{}", route.pattern);
        for AnswerForm { content_type, schema, meaning } in told.answers.iter().chain([&told.refusal]) {
            assert!(content_type.split_once('/').is_some(), "{}: {content_type}", route.pattern);
            assert_eq!(is_json(content_type), schema.is_some(), "{}: {content_type}", route.pattern);
            if let Some(schema) = schema {
                assert_eq!(schemas.entry(schema.name).or_insert(meaning), meaning, "two meanings of {}", schema.name);
            }
        }
    }
}

/// A function that reads what its route does not tell of, or answers in another form, panics here.
#[test]
fn what_is_described_is_what_is_read() {
    let is_asked = |pattern: &str| pattern != OFF && pattern != PICTURES;
    for route in ROUTES.iter().filter(|route| is_asked(route.pattern) && route.body.is_none()) {
        let usual = answer(route, None);
        let fine = if route.leads { 303 } else { 200 };
        assert_eq!(usual.0, fine, "{}: {}", route.pattern, usual.1);
        for part in names_of(route.pattern) {
            let other = answer(route, Some((part, NONSENSE)));
            assert_ne!(other, usual, "{} does not read {part}", route.pattern);
        }
        for parameter in placed(route, ParameterPlace::Query) {
            for name in names(parameter) {
                let (status, body) = answer(route, Some((name, NONSENSE)));
                assert_ne!((status, &body), (200, &usual.1), "{} does not read {name}", route.pattern);
                if parameter.schema() != Schema::Text {
                    let refusal = format!("`{name}` takes {}, not `{NONSENSE}`", parameter.takes());
                    assert!(status == 400 && body.contains(&refusal), "{}: {status} {body}", route.pattern);
                }
                if let Some(default) = parameter.about().default {
                    assert_eq!(answer(route, Some((name, default))), usual, "{}?{name}={default}", route.pattern);
                }
            }
        }
        let (status, body) = answer(route, Some(("no_such_parameter", NONSENSE)));
        match route.others {
            Others::Refused => {
                assert!(status == 400 && body.contains("no_such_parameter"), "{}: {body}", route.pattern)
            }
            Others::PassedOver => assert_eq!((status, body), usual, "{}", route.pattern),
            // What a page tells of the process may have changed meanwhile.
            Others::Unread => assert_eq!(status, usual.0, "{}", route.pattern),
        }
    }
}
