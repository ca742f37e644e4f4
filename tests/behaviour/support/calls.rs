//! The tool calls of a state, one by one, and the answer about tools added up from them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tailspan::ledger::family::TurnNumbers;
use tailspan::ledger::session::project_of;
use tailspan::ledger::unit::UnitKey;
use tailspan::store::StoreReader;
use tailspan::transcript::record::Outcome;
use tailspan::transcript::time::{Timestamp, seconds};

use super::costs::{Keys, shown};

/// One tool call with everything that it can be told apart by.
#[derive(Debug, Clone)]
pub(crate) struct OneCall {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) tool: String,
    pub(crate) project: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) agent: String,
    pub(crate) origin: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) session: String,
    pub(crate) took_ms: Option<u64>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) bytes: u64,
}

impl OneCall {
    pub(crate) fn value(&self, by: &str, zone: chrono_tz::Tz) -> Option<String> {
        match by {
            "day" | "week" | "month" => Some(shown(by, zone, self.at)),
            "tool" => Some(self.tool.clone()),
            "project" => self.project.clone(),
            "branch" => self.branch.clone(),
            "entrypoint" => self.entrypoint.clone(),
            "agent" => Some(self.agent.clone()),
            "origin" => self.origin.clone(),
            "model" => self.model.clone(),
            "session" => Some(self.session.clone()),
            _ => panic!("{by}"),
        }
    }
}

/// Every call in the state.
pub(crate) fn calls(reader: &StoreReader) -> Vec<OneCall> {
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    let mut calls = Vec::new();
    for session in sessions {
        let units = reader.units_of(&session).unwrap();
        let numbers = TurnNumbers::of(&units);
        for unit in &units {
            let number = numbers.turn(unit.key.id());
            let turn = units.iter().find(|turn| turn.is_turn() && numbers.turn(turn.key.id()) == number);
            let told = unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref());
            for tool in &unit.parts.tools {
                let Some(call) = &tool.call else { continue };
                let message = unit.parts.message(&call.message);
                let end = tool.told_result();
                calls.push(OneCall {
                    id: tool.id.to_string(),
                    at: call.rank.time,
                    tool: call.name.to_string(),
                    project: unit.context.cwd.as_deref().and_then(project_of).map(str::to_owned),
                    branch: unit.context.branch.as_deref().map(str::to_owned),
                    entrypoint: unit.context.entrypoint.as_deref().map(str::to_owned),
                    agent: match unit.key {
                        UnitKey::Agent(..) => told.unwrap_or("unknown").to_owned(),
                        _ => "main".to_owned(),
                    },
                    origin: number
                        .and(turn)
                        .and_then(|turn| turn.prompt.as_ref())
                        .map(|prompt| prompt.origin.name().to_owned()),
                    model: message.and_then(|message| message.shares.first()).map(|share| share.model.to_string()),
                    session: session.id.to_string(),
                    took_ms: tool.duration_ms(),
                    outcome: end.map(|end| end.outcome),
                    bytes: end.map_or(0, |end| end.bytes),
                });
            }
        }
    }
    calls
}

/// The part of a row that can be told without estimates, from its calls.
pub(crate) fn figures(calls: &[&OneCall]) -> Value {
    let count = |outcome: Option<Outcome>| calls.iter().filter(|call| call.outcome == outcome).count();
    let mut took: Vec<u64> = calls.iter().filter_map(|call| call.took_ms).collect();
    let mut bytes: Vec<u64> = calls.iter().filter(|call| call.outcome.is_some()).map(|call| call.bytes).collect();
    took.sort_unstable();
    bytes.sort_unstable();
    // The nearest rank: the least number that so many of a hundred do not exceed.
    let at = |sorted: &[u64], part: usize| sorted.get((sorted.len() * part).div_ceil(100).max(1) - 1).copied();
    let second = |part| at(&took, part).map(seconds);
    let sessions: BTreeSet<&str> = calls.iter().map(|call| &*call.session).collect();
    json!({
        "calls": calls.len(),
        "failed": count(Some(Outcome::Failed)),
        "denied": count(Some(Outcome::Denied)),
        "interrupted": count(Some(Outcome::Interrupted)),
        "open": count(None),
        "duration_seconds": {"count": took.len(), "sum": seconds(took.iter().sum()), "p50": second(50), "p90": second(90),
            "p95": second(95), "p99": second(99), "max": second(100)},
        "result_bytes": {"sum": bytes.iter().sum::<u64>(), "p50": at(&bytes, 50), "p95": at(&bytes, 95),
            "max": at(&bytes, 100)},
        "sessions": sessions.len(),
    })
}

/// The rows of an answer by their values, with what [`figures`] tells.
pub(crate) fn rows(answer: &Value, by: &[&str]) -> BTreeMap<Keys, Value> {
    let mut rows = BTreeMap::new();
    for row in answer["tools"].as_array().unwrap() {
        let keys: Keys = ["tool"].iter().chain(by).map(|by| row[by].as_str().map(str::to_owned)).collect();
        let mut told = json!({});
        for name in figures(&[]).as_object().unwrap().keys() {
            told[name] = row[name].clone();
        }
        let ratio = told["failed"].as_f64().unwrap() / told["calls"].as_f64().unwrap();
        assert!((row["failure_ratio"].as_f64().unwrap() - ratio).abs() < 1e-9, "{row}");
        assert_eq!(rows.insert(keys, told), None, "no row twice");
    }
    rows
}

/// The same from the calls.
pub(crate) fn expected(calls: &[&OneCall], by: &[&str], zone: chrono_tz::Tz) -> BTreeMap<Keys, Value> {
    let mut groups: BTreeMap<Keys, Vec<&OneCall>> = BTreeMap::new();
    for call in calls {
        let keys = ["tool"].iter().chain(by).map(|by| call.value(by, zone)).collect();
        groups.entry(keys).or_default().push(call);
    }
    groups.into_iter().map(|(keys, calls)| (keys, figures(&calls))).collect()
}
