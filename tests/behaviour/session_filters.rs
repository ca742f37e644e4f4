//! The list of sessions by every filter: what looking at each session gives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tailspan::transcript::time::Timestamp;

use crate::support::costs::{Fact, facts, recorded, value};
use crate::support::jaeger::encoded;

fn ids(list: &Value) -> BTreeSet<String> {
    let sessions = list["sessions"].as_array().unwrap();
    let ids: BTreeSet<String> = sessions.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((ids.len(), list["total"].as_u64()), (sessions.len(), Some(ids.len() as u64)));
    ids
}

/// The sessions in which each value is found.
fn by_value(facts: &[Fact], of: impl Fn(&Fact) -> BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fact in facts {
        of(fact).into_iter().for_each(|value| _ = found.entry(value).or_default().insert(fact.session.clone()));
    }
    found
}

#[test]
fn a_session_is_listed_by_what_one_of_its_turns_or_sub_agents_has() {
    let (asked, _world, _folder) = recorded();
    let (facts, everything) = (facts(&asked.reader), ids(&asked.sessions("limit=1000")));
    for name in ["branch", "model", "agent", "tool", "origin", "entrypoint", "session"] {
        let found = by_value(&facts, |fact| match name {
            "tool" => fact.tools.clone(),
            "origin" => fact.origin.iter().cloned().collect(),
            _ => value(name, chrono_tz::UTC, fact, Timestamp(0)).into_iter().collect(),
        });
        assert!(!found.is_empty(), "{name}");
        let mut any: BTreeSet<String> = BTreeSet::new();
        let mut query = "limit=1000".to_owned();
        for (value, sessions) in &found {
            let sessions: BTreeSet<String> = sessions.intersection(&everything).cloned().collect();
            assert_eq!(
                ids(&asked.sessions(&format!("limit=1000&{name}={}", encoded(value)))),
                sessions,
                "{name}={value}"
            );
            any.extend(sessions);
            query += &format!("&{name}={}", encoded(value));
        }
        assert_eq!(ids(&asked.sessions(&query)), any, "any of the values of {name}");
        assert!(ids(&asked.sessions(&format!("{name}=nothing"))).is_empty());
    }
    assert!(ids(&asked.sessions("workflow=nightly")).is_empty());
}

#[test]
fn a_session_is_listed_by_what_it_says_of_itself() {
    let (asked, _world, _folder) = recorded();
    let everything = asked.sessions("limit=1000");
    let lines = everything["sessions"].as_array().unwrap();
    let of = |takes: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        lines.iter().filter(|line| takes(line)).map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    for line in lines {
        let project = line["project"].as_str().unwrap();
        let same = of(&|other| other["project"] == project);
        assert_eq!(ids(&asked.sessions(&format!("limit=1000&project={}", encoded(project)))), same);
        let cost = line["cost_usd"].as_str().unwrap();
        let dearer = of(&|other| other["cost_usd"].as_str().unwrap().parse::<f64>().unwrap() >= cost.parse().unwrap());
        assert_eq!(ids(&asked.sessions(&format!("limit=1000&min_cost={cost}"))), dearer);
        let Some(title) = line["title"].as_str() else { continue };
        let mut words: Vec<&str> = title.split_whitespace().collect();
        words.reverse();
        let query = format!("limit=1000&q={}", encoded(&words.join(" ").to_uppercase()));
        assert!(ids(&asked.sessions(&query)).contains(line["id"].as_str().unwrap()), "{title}");
        assert!(!ids(&asked.sessions(&format!("{query}+qqqq"))).contains(line["id"].as_str().unwrap()), "{title}");
    }
    assert!(lines.iter().any(|line| line["title"].is_string()));
    assert!(of(&|line| line["cost_usd"] != "0").len() > 30);
}

#[test]
fn a_date_is_a_day_of_the_time_zone() {
    let (asked, _world, _folder) = recorded();
    // All of these were recorded on 2026-11-20 to 2026-11-28 UTC; in Kiritimati it is 14 hours later.
    for (day, zone, began, ended) in [
        ("2026-11-22", "UTC", "2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z"),
        ("2026-11-22", "Pacific/Kiritimati", "2026-11-21T10:00:00.000Z", "2026-11-22T10:00:00.000Z"),
    ] {
        let by_day = asked.sessions(&format!("limit=1000&since={day}&until={day}&tz={zone}"));
        let by_time = asked.sessions(&format!("limit=1000&since={began}&until={ended}"));
        assert_eq!(by_day, by_time, "{zone}");
        assert!(by_day["total"].as_u64() > Some(10), "{zone}");
    }
}
