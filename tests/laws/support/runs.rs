//! Sessions while they run: rows as they are written, one after the other, and who is told to run away meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::ledger::fold::Fold;
use tailspan::ledger::known::{Changed, Known};
use tailspan::ledger::prices::Prices;
use tailspan::ledger::unit::{Section, UnitId};
use tailspan::measures::Change;
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use tailspan::transcript::read;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::runaway::detector::{RunawayEvent, Runaways};
use tailspan::views::analytics::runaway::settings::RunawaySettings;

use super::world::{Dice, files_below};

/// A row of a file, and when it is written.
pub(crate) type Row = (Timestamp, String, String);

/// Time between two looks without a row, as the sidecar looks.
const LOOK_MS: i64 = 3000;

/// Who follows sessions while they run.
pub(crate) struct Follower {
    known: Known,
    prices: Prices,
    settings: RunawaySettings,
    runaways: Runaways,
    /// Parts of long units.
    sections: BTreeMap<UnitId, Section>,
    files: BTreeMap<String, (FileNumber, u64)>,
    now: Timestamp,
    /// What was told, and when.
    pub(crate) events: Vec<(Timestamp, RunawayEvent)>,
}

impl Follower {
    pub(crate) fn new(settings: RunawaySettings) -> Self {
        Self {
            known: Known::default(),
            prices: Prices::embedded(),
            settings,
            runaways: Runaways::new(settings),
            sections: BTreeMap::new(),
            files: BTreeMap::new(),
            now: Timestamp(0),
            events: Vec::new(),
        }
    }

    /// Reads rows in the order of their times, each when it is written, and looks every few seconds.
    pub(crate) fn follow(&mut self, rows: Vec<Row>) {
        self.follow_to(rows);
        self.wait();
    }

    /// The process ends and another one begins, which knows the facts and what was told.
    pub(crate) fn restart(&mut self) {
        let told: Vec<_> = self.runaways.running().map(|one| (one.session.clone(), one.reason, one.since)).collect();
        self.runaways = Runaways::new(self.settings);
        for unit in self.known.units() {
            self.runaways.observe(&Change::between(None, unit), self.now);
        }
        for section in self.sections.values() {
            let unit = self.known.unit(section.of).unwrap();
            self.runaways.observe(&Change::Parts(Changed::section(unit, section)), self.now);
        }
        told.iter().for_each(|(session, reason, since)| self.runaways.resume(session, *reason, *since));
    }

    /// Looks every few seconds for a quarter of an hour in which nothing comes.
    pub(crate) fn wait(&mut self) {
        for _ in 0..180 {
            self.look(Timestamp(self.now.0 + LOOK_MS));
        }
    }

    /// Reads rows as [`Follower::follow`], and stops behind the last.
    pub(crate) fn follow_to(&mut self, mut rows: Vec<Row>) {
        rows.sort_by_key(|(at, ..)| *at);
        for (at, file, row) in rows {
            // Days pass at once.
            self.now.0 = self.now.0.max(at.0 - 600_000);
            while self.now.0 + LOOK_MS < at.0 {
                self.look(Timestamp(self.now.0 + LOOK_MS));
            }
            self.read(&file, &row, at);
            self.look(at);
        }
    }

    fn look(&mut self, now: Timestamp) {
        self.now = now;
        self.events.extend(self.runaways.look(now).into_iter().map(|event| (now, event)));
    }

    fn read(&mut self, file: &str, row: &str, now: Timestamp) {
        let next = u32::try_from(self.files.len()).unwrap();
        let known = &mut self.known;
        let (number, offset) = self.files.entry(file.to_owned()).or_insert_with(|| {
            _ = known.paths.push(file.as_bytes());
            (FileNumber(next), 0)
        });
        let bytes = format!("{row}\n").into_bytes();
        let (length, restarted) = (bytes.len() as u64, *offset == 0);
        let cursor = Cursor::default();
        let chunk =
            Chunk { file: *number, role: FileRole::Rows, offset: *offset, bytes, restarted, too_long_lines: 0, cursor };
        *offset += length;
        let mut fold = Fold::new(known, &self.prices, *number, restarted);
        read(&chunk).records.iter().for_each(|record| fold.fold(record));
        known.missing.clear();
        known.roll_up();
        for changed in known.changes() {
            self.runaways.observe(&Change::Parts(changed), now);
        }
        let sections = known.changed_sections().map(|(id, _, section)| (id, section.clone()));
        self.sections.extend(sections);
        known.committed();
    }

    /// When runaways began, with their reasons.
    pub(crate) fn begun(&self) -> Vec<(Timestamp, &'static str)> {
        let begun = |(at, event): &(Timestamp, RunawayEvent)| match event {
            RunawayEvent::Began(runaway) => Some((*at, runaway.reason.word())),
            RunawayEvent::Ended(_) => None,
        };
        self.events.iter().filter_map(begun).collect()
    }
}

/// Every row of the session files below a folder that has a time.
pub(crate) fn rows_of(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in files_below(folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl")) {
        let mut last = Timestamp(0);
        for line in fs::read_to_string(&file).unwrap_or_default().lines() {
            let json: Value = serde_json::from_str(line).unwrap_or_default();
            last = json["timestamp"].as_str().and_then(Timestamp::parse).unwrap_or(last);
            rows.push((last, file.display().to_string(), line.to_owned()));
        }
    }
    // What has no time before the first that has one is written then.
    let first = rows.iter().map(|(at, ..)| *at).filter(|at| at.0 > 0).min().unwrap_or_default();
    rows.iter_mut().filter(|(at, ..)| at.0 == 0).for_each(|(at, ..)| *at = first);
    rows
}

/// What goes wrong in a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Planted {
    /// The same command fails every few seconds.
    Failing,
    /// Hundreds of calls a minute.
    Calling,
    /// Dozens of responses a minute, each with a long context.
    Spending,
}

/// A session that is made up row by row.
pub(crate) struct Session {
    id: String,
    serial: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) now: Timestamp,
}

impl Session {
    pub(crate) fn new(number: usize, now: Timestamp) -> Self {
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        Self { id, serial: 0, rows: Vec::new(), now }
    }

    fn row(&mut self, at: Timestamp, kind: &str, message: Value) {
        self.serial += 1;
        let uuid = format!("{}-{:012x}", &self.id[..23], self.serial);
        let row = json!({"type": kind, "uuid": uuid, "timestamp": at.to_rfc3339(), "sessionId": self.id, "cwd": "/home/dev/api",
            "version": "2.1.332", "entrypoint": "cli", "message": message});
        self.rows.push((at, self.id.clone(), row.to_string()));
    }

    fn prompt(&mut self) {
        self.row(self.now, "user", json!({"role": "user", "content": "Go on."}));
    }

    /// A response that makes calls, each with its input; and how long each of them takes and whether it fails.
    fn answer(&mut self, (context, output): (usize, usize), calls: &[(&str, usize, bool)]) {
        let message = format!("msg_{}_{}", self.id, self.serial);
        let ids: Vec<String> = (0..calls.len()).map(|call| format!("toolu_{message}_{call}")).collect();
        let blocks: Vec<Value> = ids
            .iter()
            .zip(calls)
            .map(|(id, (input, ..))| json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": input}}))
            .collect();
        let usage = json!({"input_tokens": 5, "cache_read_input_tokens": context, "output_tokens": output});
        let stop = if calls.is_empty() { "end_turn" } else { "tool_use" };
        let answer = json!({"id": message, "role": "assistant", "model": "claude-opus-4-5", "stop_reason": stop,
            "content": blocks, "usage": usage});
        self.row(self.now, "assistant", answer);
        for (id, (_, took_ms, fails)) in ids.iter().zip(calls) {
            let result = json!({"type": "tool_result", "tool_use_id": id, "content": "Done.", "is_error": fails});
            let at = Timestamp(self.now.0 + i64::try_from(*took_ms).unwrap());
            self.row(at, "user", json!({"role": "user", "content": [result]}));
        }
    }

    fn pass(&mut self, milliseconds: usize) {
        self.now.0 += i64::try_from(milliseconds).unwrap();
    }

    /// A turn as people have them: some steps, now and then a burst of sub-agents, a batch of calls that all fail, the same
    /// command tried again, or a long context that is cached anew.
    pub(crate) fn turn(&mut self, dice: &mut Dice) {
        self.prompt();
        let mut context = 15_000 + dice.below(120_000);
        for step in 0..2 + dice.below(15) {
            self.pass(2500 + dice.below(20_000));
            context += 500 + dice.below(6000);
            let name = format!("make {}", dice.below(1000) + step * 1000);
            let fails = dice.one_in(8);
            match dice.below(40) {
                0 => {
                    let many: Vec<String> = (0..3 + dice.below(4)).map(|nth| format!("{name} {nth}")).collect();
                    let calls: Vec<_> = many.iter().map(|call| (&**call, 800, true)).collect();
                    self.answer((context, 900), &calls);
                }
                1 => {
                    for _ in 0..2 + dice.below(2) {
                        self.answer((context, 300), &[(&name, 1500, true)]);
                        self.pass(5000 + dice.below(9000));
                    }
                }
                2 => {
                    // A sub-agent writes what its context holds; a resumed session all of it at once.
                    self.answer((1_500_000 + dice.below(3_000_000), 2000), &[(&name, 900, false)]);
                }
                3 => self.agents(dice),
                _ => {
                    let took = 200 + dice.below(15_000);
                    self.answer((context, 100 + dice.below(2500)), &[(&name, took, fails)]);
                    self.pass(took);
                }
            }
        }
        self.pass(3000);
        self.answer((context, 600), &[]);
    }

    /// Some sub-agents at work for a minute or two.
    fn agents(&mut self, dice: &mut Dice) {
        let (agents, steps) = (2 + dice.below(6), 4 + dice.below(12));
        for step in 0..steps {
            for agent in 0..agents {
                self.pass(1 + (4000 + dice.below(5000)) / agents);
                let name = format!("rg {}", dice.below(100_000) + step * agents + agent);
                self.answer((12_000 + step * 3000, 250), &[(&name, 300 + dice.below(2000), dice.one_in(12))]);
            }
        }
    }

    /// What goes wrong, for three minutes from now on.
    pub(crate) fn run_away(&mut self, planted: Planted, dice: &mut Dice) {
        let end = self.now.0 + 180_000;
        while self.now.0 < end {
            match planted {
                Planted::Failing => {
                    self.answer((60_000, 150), &[("npm test", 400, true)]);
                    self.pass(2500 + dice.below(3500));
                }
                Planted::Calling => {
                    let many: Vec<String> = (0..10).map(|nth| format!("curl {nth} {}", dice.below(100_000))).collect();
                    let calls: Vec<_> = many.iter().map(|call| (&**call, 300, false)).collect();
                    self.answer((20_000, 80), &calls);
                    self.pass(900 + dice.below(900));
                }
                Planted::Spending => {
                    self.answer((400_000, 1200), &[("true", 100, false)]);
                    self.pass(700 + dice.below(500));
                }
            }
        }
    }

    /// Until the next prompt.
    pub(crate) fn pause(&mut self, dice: &mut Dice) {
        let longest = if dice.one_in(6) { 1_800_000 } else { 120_000 };
        self.pass(5000 + dice.below(longest));
    }
}
