//! `/api/v1/analytics/patterns`: each rule speaks up where it should and is silent where it should, and what it says could
//! be saved is what the same conversation costs less without the habit.

mod answers;
mod history;
mod sessions;
mod settings;
mod work;

use serde_json::{Value, json};
use tailspan::config::PatternSettings;
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::transcript::time::Timestamp;

use crate::support::costs::{Asked, filled};
use crate::support::story::Story;
use crate::support::world::{Dice, World};

const ALWAYS: &str = "since=2000-01-01";
const OPUS: &str = "claude-opus-4-5";
const SONNET: &str = "claude-sonnet-4-5";
const HAIKU: &str = "claude-haiku-4-5";

/// How many histories are made for each rule.
const SEEDS: u64 = 20;

fn some(dice: &mut Dice, low: usize, high: usize) -> u64 {
    (low + dice.below(high - low)) as u64
}

/// A turn of some calls with small results.
fn turn(story: &mut Story, calls: u64) {
    story.prompt(200);
    for number in 0..calls {
        story.tool("Bash", json!({"command": format!("step {number}")}), 400);
    }
    story.answer(300);
}

/// What happened in some stories.
struct Told {
    /// The answer about patterns.
    answer: Value,
    /// What everything cost.
    cost: Money,
    /// How long all turns took, in milliseconds.
    turn_ms: i64,
}

impl Told {
    fn of(stories: &[Story]) -> Self {
        Self::with(stories, PatternSettings::default())
    }

    fn with(stories: &[Story], settings: PatternSettings) -> Self {
        let (asked, _world, _folder) = told(stories, settings);
        let answer = asked.answer(&format!("/patterns?{ALWAYS}"));
        let cost = dollars(&asked.ask(ALWAYS)["total"]["cost_usd"]);
        let seconds = asked.answer(&format!("/bottlenecks?{ALWAYS}"))["turn_seconds"].as_f64().unwrap();
        Self { answer, cost, turn_ms: (seconds * 1000.0).round() as i64 }
    }

    /// What a rule found; `None` if it is silent.
    fn pattern(&self, id: &str) -> Option<&Value> {
        self.answer["patterns"].as_array().unwrap().iter().find(|pattern| pattern["id"] == id)
    }
}

/// A state of some stories, to be asked with settings of its own.
fn told(stories: &[Story], patterns: PatternSettings) -> (Asked, World, tempfile::TempDir) {
    let (asked, world, folder) = filled(|world| stories.iter().for_each(|story| story.write(&world.root)));
    let end = stories.iter().map(|story| story.now).max().unwrap();
    let cells = SharedCells::new(Prices::embedded()).with_patterns(patterns);
    (Asked { cells, now: Timestamp(end), ..asked }, world, folder)
}

fn dollars(text: &Value) -> Money {
    Money::parse_usd(text.as_str().unwrap()).unwrap()
}

fn saving(pattern: &Value) -> Money {
    dollars(&pattern["saving_usd"])
}

fn saving_ms(pattern: &Value) -> i64 {
    (pattern["saving_seconds"].as_f64().unwrap() * 1000.0).round() as i64
}

/// By how much of itself a truth is larger than what was said; 0 if both are the same.
fn missing(said: Money, truth: Money) -> f64 {
    assert!(truth > Money::ZERO, "{truth}");
    (truth - said).to_f64() / truth.to_f64()
}
