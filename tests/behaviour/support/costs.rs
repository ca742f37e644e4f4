//! A state filled from session files, the answers about its costs, and the same added up one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Datelike, Utc};
use serde_json::Value;
use tailspan::http::api::analytics::cells::{HasCells, SharedCells};
use tailspan::http::api::analytics::runs::{list, one, workflows};
use tailspan::http::api::analytics::{bottlenecks, costs, patterns, tools};
use tailspan::http::api::replay::kept::{HasReplays, Replays};
use tailspan::http::api::tables::answer::HasHost;
use tailspan::http::api::{replay, session_detail, sessions, tables};
use tailspan::http::{HasReader, Route, get};
use tailspan::ledger::family::TurnNumbers;
use tailspan::ledger::money::Money;
use tailspan::ledger::session::project_of;
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::{Unit, UnitKey};
use tailspan::store::StoreReader;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::finish::SpanRules;
use tempfile::TempDir;

use super::world::{Dice, World, copy_folder, recordings};

pub(crate) struct Asked {
    pub(crate) reader: StoreReader,
    pub(crate) cells: SharedCells,
    pub(crate) now: Timestamp,
    pub(crate) rules: SpanRules,
    pub(crate) replays: Replays,
}

impl HasReader for Asked {
    fn reader(&self) -> &StoreReader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn span_rules(&self) -> &SpanRules {
        &self.rules
    }
}

impl HasCells for Asked {
    fn cells(&self) -> &SharedCells {
        &self.cells
    }
}

impl HasReplays for Asked {
    fn replays(&self) -> &Replays {
        &self.replays
    }
}

impl HasHost for Asked {
    fn host(&self) -> &str {
        "made"
    }
}

static ROUTES: &[Route<Asked>] = &[
    Route::get("/costs", &costs::COSTS, costs::answer),
    Route::get("/tools", &tools::TOOLS, tools::answer),
    Route::get("/bottlenecks", &bottlenecks::BOTTLENECKS, bottlenecks::answer),
    Route::get("/workflows", &workflows::WORKFLOWS, workflows::answer),
    Route::get("/workflows/{name}", &list::WORKFLOW_RUNS, list::of_workflow),
    Route::get("/runs", &list::RUNS, list::all),
    Route::get("/runs/{id}", &one::RUN, one::answer),
    Route::get("/patterns", &patterns::PATTERNS, patterns::answer),
    Route::get("/export/{file}", &tables::answer::EXPORT, tables::answer::answer),
    Route::get("/sessions", &sessions::LIST, sessions::list),
    Route::get("/sessions/{id}", &session_detail::ONE, session_detail::one),
    Route::get("/sessions/{id}/replay", &replay::REPLAY, replay::replay),
];

impl Asked {
    pub(crate) fn of(world: &World) -> Self {
        let reader = world.reader.clone().unwrap();
        Self {
            reader,
            cells: SharedCells::new(tailspan::ledger::prices::Prices::embedded()),
            now: world.now,
            rules: SpanRules::default(),
            replays: Replays::default(),
        }
    }

    pub(crate) fn ask(&self, query: &str) -> Value {
        self.answer(&format!("/costs?{query}"))
    }

    /// The list of sessions.
    pub(crate) fn sessions(&self, query: &str) -> Value {
        self.answer(&format!("/sessions?{query}"))
    }

    /// The answer at a path.
    pub(crate) fn answer(&self, target: &str) -> Value {
        serde_json::from_str(&self.text(target)).unwrap()
    }

    /// The same as text.
    pub(crate) fn text(&self, target: &str) -> String {
        let (status, body) = get(ROUTES, self, target);
        assert_eq!(status, 200, "{target}: {}", String::from_utf8_lossy(&body));
        String::from_utf8(body).unwrap()
    }

    pub(crate) fn refusal(&self, target: &str) -> String {
        let (status, body) = get(ROUTES, self, target);
        assert_eq!(status, 400, "{target}: {}", String::from_utf8_lossy(&body));
        String::from_utf8(body).unwrap()
    }
}

pub(crate) fn filled(fill: impl FnOnce(&World)) -> (Asked, World, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut world = World::new(folder.path());
    fill(&world);
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    (Asked::of(&world), world, folder)
}

/// Every recording in one state.
pub(crate) fn recorded() -> (Asked, World, TempDir) {
    filled(|world| {
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &world.root);
        }
    })
}

/// One response's tokens at one model, or a turn or sub-agent by itself, with everything that it can be told apart by.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) at: Option<Timestamp>,
    pub(crate) is_turn: bool,
    pub(crate) project: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) agent: String,
    pub(crate) origin: Option<String>,
    pub(crate) session: String,
    pub(crate) tools: BTreeSet<String>,
    /// The turn and the time of its prompt.
    pub(crate) turn: Option<(u128, Timestamp)>,
    pub(crate) messages: u64,
    pub(crate) tokens: Tokens,
    pub(crate) cost: Money,
    pub(crate) unpriced: u64,
}

/// Everything in the state, one by one.
pub(crate) fn facts(reader: &StoreReader) -> Vec<Fact> {
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    let mut facts = Vec::new();
    for session in sessions {
        let units = reader.units_of(&session).unwrap();
        let numbers = TurnNumbers::of(&units);
        let turns: HashMap<usize, &Unit> = units
            .iter()
            .filter(|unit| unit.is_turn())
            .map(|unit| (numbers.turn(unit.key.id()).unwrap(), unit))
            .collect();
        for unit in &units {
            let turn = numbers.turn(unit.key.id()).and_then(|number| turns.get(&number));
            let told = unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref());
            let one = Fact {
                at: None,
                is_turn: unit.is_turn(),
                project: unit.context.cwd.as_deref().and_then(project_of).map(str::to_owned),
                branch: unit.context.branch.as_deref().map(str::to_owned),
                entrypoint: unit.context.entrypoint.as_deref().map(str::to_owned),
                model: None,
                agent: match unit.key {
                    UnitKey::Agent(..) => told.unwrap_or("unknown").to_owned(),
                    _ => "main".to_owned(),
                },
                origin: turn.and_then(|turn| turn.prompt.as_ref()).map(|prompt| prompt.origin.name().to_owned()),
                session: session.id.to_string(),
                tools: unit.parts.tools.iter().filter_map(|tool| Some(tool.call.as_ref()?.name.to_string())).collect(),
                turn: turn.map(|turn| (turn.key.id().0, turn.prompt.as_ref().unwrap().time)),
                messages: 0,
                tokens: Tokens::default(),
                cost: Money::ZERO,
                unpriced: 0,
            };
            facts.push(one.clone());
            for message in &unit.parts.messages {
                facts.extend(message.shares.iter().enumerate().map(|(position, share)| Fact {
                    at: Some(message.rank.time),
                    model: Some(share.model.to_string()),
                    messages: u64::from(position == 0),
                    tokens: share.tokens,
                    cost: share.cost.unwrap_or_default(),
                    unpriced: if share.cost.is_none() { share.tokens.total() } else { 0 },
                    ..one.clone()
                }));
            }
        }
    }
    facts
}

/// What a clock of the zone shows at a time, as rows name it.
pub(crate) fn shown(by: &str, zone: chrono_tz::Tz, at: Timestamp) -> String {
    let local = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap().with_timezone(&zone);
    match by {
        "hour" => {
            let text = local.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            format!("{}:00:00{}", &text[..13], &text[19..])
        }
        "day" => local.format("%Y-%m-%d").to_string(),
        "week" => format!("{}-W{:02}", local.iso_week().year(), local.iso_week().week()),
        "month" => local.format("%Y-%m").to_string(),
        _ => panic!("{by}"),
    }
}

pub(crate) fn value(by: &str, zone: chrono_tz::Tz, fact: &Fact, at: Timestamp) -> Option<String> {
    match by {
        "hour" | "day" | "week" | "month" => Some(shown(by, zone, at)),
        "project" => fact.project.clone(),
        "branch" => fact.branch.clone(),
        "model" => fact.model.clone(),
        "agent" => Some(fact.agent.clone()),
        "session" => Some(fact.session.clone()),
        "workflow" => None,
        "entrypoint" => fact.entrypoint.clone(),
        _ => panic!("{by}"),
    }
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Expected {
    pub(crate) messages: u64,
    pub(crate) turns: BTreeSet<u128>,
    pub(crate) sessions: BTreeSet<String>,
    pub(crate) tokens: Tokens,
    pub(crate) cost: Money,
    pub(crate) unpriced: u64,
}

impl Expected {
    pub(crate) fn as_row(&self) -> (u64, u64, u64, Value, String, u64) {
        let tokens = serde_json::to_value(self.tokens).unwrap();
        let distinct = (self.turns.len() as u64, self.sessions.len() as u64);
        (self.messages, distinct.0, distinct.1, tokens, self.cost.to_string(), self.unpriced)
    }
}

pub(crate) fn row(row: &Value) -> (u64, u64, u64, Value, String, u64) {
    let number = |name: &str| row[name].as_u64().unwrap();
    let cost = row["cost_usd"].as_str().unwrap().to_owned();
    (number("messages"), number("turns"), number("sessions"), row["tokens"].clone(), cost, number("unpriced_tokens"))
}

pub(crate) type Keys = Vec<Option<String>>;

/// The rows and the total of everything that `takes` takes within a window.
pub(crate) fn expected(
    facts: &[Fact],
    by: &[&str],
    zone: chrono_tz::Tz,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    takes: impl Fn(&Fact) -> bool,
    asks_for_models: bool,
) -> (BTreeMap<Keys, Expected>, Expected) {
    let within = |at: Timestamp| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until);
    let (mut rows, mut total) = (BTreeMap::<Keys, Expected>::new(), Expected::default());
    let mut answered = BTreeSet::new();
    let taken: Vec<&Fact> = facts.iter().filter(|fact| takes(fact)).collect();
    let mut count = |fact: &Fact, at: Timestamp, add: &dyn Fn(&mut Expected)| {
        let keys = by.iter().map(|by| value(by, zone, fact, at)).collect();
        for sums in [rows.entry(keys).or_default(), &mut total] {
            add(sums);
            sums.sessions.insert(fact.session.clone());
        }
    };
    for fact in taken.iter().filter(|fact| fact.at.is_some()) {
        if within(fact.at.unwrap()) {
            count(fact, fact.at.unwrap(), &|sums| {
                sums.messages += fact.messages;
                sums.tokens += fact.tokens;
                sums.cost += fact.cost;
                sums.unpriced += fact.unpriced;
            });
        }
        if let Some((turn, at)) = fact.turn.filter(|(_, at)| within(*at)) {
            answered.insert(turn);
            count(fact, at, &|sums| {
                sums.turns.insert(turn);
            });
        }
    }
    for fact in taken.iter().filter(|fact| fact.at.is_none() && fact.is_turn && !asks_for_models) {
        let (turn, at) = fact.turn.unwrap();
        if within(at) && !answered.contains(&turn) {
            count(fact, at, &|sums| {
                sums.turns.insert(turn);
            });
        }
    }
    (rows, total)
}
