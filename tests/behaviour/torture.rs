//! The real program under `kill -9` at random moments, while its files grow, fork, are copied, cut, replaced, rewritten in
//! place and deleted. After each restart its numbers are those of a clean pass over everything that was ever written, and no
//! counter has run backwards; in the end every span has arrived.
//!
//! `TAILSPAN_TEST_ROUNDS=5000 TAILSPAN_TEST_SEED=7 cargo test --release --test behaviour torture::` goes on for longer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::daemon::{Daemon, is_of_the_process, sum};
use crate::support::receiver::{self, Receiver};
use crate::support::world::{Dice, append, files_below};

/// Kills in an ordinary run of the tests.
const ROUNDS: usize = 200;
/// Of so many comparisons one is followed by what files seldom go through.
const MEDDLING: usize = 3;
/// Forks in one run: each is one file more.
const FORKS_MAX: usize = 12;
/// What is written over time. Responses, tools, sub-agents, forks, resumes, retries, compactions.
const SCENARIOS: [&str; 7] =
    ["b_tools", "e1_subagent", "e6_subagent_sync", "g_resume", "h1_errors_retried", "z1_big_transcript", "f_multiturn"];

/// A file that is written bit by bit.
struct Source {
    inside: PathBuf,
    bytes: Vec<u8>,
    /// How much of it was ever written.
    most: usize,
    /// How much of it is in the file.
    now: usize,
}

struct World {
    folder: tempfile::TempDir,
    sources: Vec<Source>,
    receiver: Receiver,
    dice: Dice,
    /// The last value of every counter.
    counters: BTreeMap<String, f64>,
    forks: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut sources = Vec::new();
        for scenario in SCENARIOS {
            let projects =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/recordings/2.1.330/{scenario}/projects"));
            for file in files_below(&projects) {
                let Ok(text) = fs::read_to_string(&file) else { continue };
                // Everything happens after the first start, so that counters count it.
                let bytes = text.replace("2026-11-22T", "2096-11-22T").into_bytes();
                let inside = Path::new(scenario)
                    .join(file.strip_prefix(&projects).unwrap().components().skip(1).collect::<PathBuf>());
                sources.push(Source { inside, bytes, most: 0, now: 0 });
            }
        }
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start());
        Self { folder, sources, receiver, dice: Dice::new(seed), counters: BTreeMap::new(), forks: 0 }
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    /// Starts it; `listening` waits until it answers.
    fn start(&self, listening: bool) -> Daemon {
        let state = self.folder.path().join("state");
        fs::create_dir_all(self.projects()).unwrap();
        let url = self.receiver.url();
        let more = ["--otlp-endpoint", url.as_str(), "--listen", "127.0.0.1:0"];
        if listening {
            Daemon::start(&self.projects(), &state, &more[..2])
        } else {
            Daemon::spawn(&self.projects(), &state, &more)
        }
    }

    /// Some files grow, at any byte.
    fn grow(&mut self) {
        for _ in 0..=self.dice.below(4) {
            let number = self.dice.below(self.sources.len());
            let bytes = self.dice.below(6000);
            let projects = self.projects();
            let source = &mut self.sources[number];
            let end = (source.now + bytes).min(source.bytes.len());
            append(&projects.join(&source.inside), &source.bytes[source.now..end]);
            source.now = end;
            source.most = source.most.max(end);
        }
    }

    /// What must not happen before it was counted: cut, replaced, rewritten, deleted, copied.
    fn meddle(&mut self) {
        let number = self.dice.below(self.sources.len());
        let projects = self.projects();
        let stem = self.sources[number].inside.with_extension("");
        let has_agents = self.sources.iter().any(|other| other.inside.starts_with(&stem));
        let source = &mut self.sources[number];
        let path = projects.join(&source.inside);
        if source.now == 0 {
            return;
        }
        let present = &source.bytes[..source.now];
        match self.dice.below(6) {
            0 => {
                let end = self.dice.below(source.now);
                let whole = present[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole as u64).unwrap();
                source.now = whole;
            }
            1 => {
                fs::remove_file(&path).unwrap();
                source.now = 0;
            }
            2 => {
                let new = path.with_extension("new");
                fs::write(&new, present).unwrap();
                fs::rename(new, &path).unwrap();
            }
            3 => fs::write(&path, present).unwrap(),
            4 => {
                // Not of a session with sub-agents: those stay with the original.
                let fork = if has_agents { None } else { forked(source, self.forks) };
                if let Some(fork) = fork.filter(|_| self.forks < FORKS_MAX) {
                    self.forks += 1;
                    append(&projects.join(&fork.inside), &fork.bytes);
                    self.sources.push(fork);
                }
            }
            _ => {
                let copy = projects.join("copies").join(source.inside.file_name().unwrap());
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::write(copy, present).unwrap();
            }
        }
    }

    /// Everything that was ever written, in a folder of its own.
    fn everything(&self) -> PathBuf {
        let folder = self.folder.path().join("everything");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        for source in self.sources.iter().filter(|source| source.most > 0) {
            append(&folder.join(&source.inside), &source.bytes[..source.most]);
        }
        folder
    }

    /// Waits until the program says what a clean pass over everything says; counters must not have run backwards.
    fn compare(&mut self, daemon: &Daemon) {
        let clean = scan(&self.everything());
        let kinds = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
        let tokens: f64 = kinds.iter().map(|kind| clean["tokens"][*kind].as_f64().unwrap()).sum();
        let counted = clean["messages"].as_f64().unwrap();
        assert_eq!((counted, tokens), independent(&self.everything()), "a reading by other means");
        let cost: f64 = clean["cost_usd"].as_str().unwrap().parse().unwrap();
        let expected = [
            ("tailspan_lifetime_tokens", tokens),
            ("tailspan_tokens_total", tokens),
            ("tailspan_lifetime_cost_usd", cost),
            ("tailspan_cost_usd_total", cost),
            ("tailspan_api_requests_total", counted),
            ("tailspan_turns_total", clean["turns"].as_f64().unwrap()),
            ("tailspan_subagents_started_total", clean["subagents"].as_f64().unwrap()),
            ("tailspan_compactions_total", clean["compactions"].as_f64().unwrap()),
        ];
        let said = |text: &str| expected.map(|(name, _)| (sum(text, name) * 1e9).round() / 1e9);
        let wanted = expected.map(|(_, value)| (value * 1e9).round() / 1e9);
        let last = daemon.until_or("the numbers are those of a clean pass", || {
            let text = daemon.metrics();
            if said(&text) == wanted { Ok(text) } else { Err(format!("{:?} instead of {wanted:?}", said(&text))) }
        });
        for line in last.lines().filter(|line| line.split(['{', ' ']).next().unwrap().ends_with("_total")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            if is_of_the_process(line) {
                continue;
            }
            let value = value.parse().unwrap();
            let before = self.counters.insert(series.to_owned(), value).unwrap_or(0.0);
            assert!(value >= before, "{series} went from {before} to {value}");
        }
    }

    fn span_ids(receiver: &Receiver) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        receiver.received().iter().flat_map(receiver::Received::span_ids).collect()
    }
}

/// The whole lines of a session in a file of their own, as a fork copies them: under another session id, and with every
/// response saying whose request it was.
fn forked(source: &Source, number: usize) -> Option<Source> {
    let original = source.inside.file_stem()?.to_str()?.to_owned();
    if source.inside.components().count() != 2 || original.len() != 36 || source.inside.extension()? != "jsonl" {
        return None;
    }
    let id = format!("ffffffff-0000-4000-8000-{number:012}");
    let mut bytes = Vec::new();
    for line in source.bytes[..source.now].split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let Ok(mut row) = serde_json::from_slice::<Value>(line) else { continue };
        // The client's own account is not copied.
        if row["type"] == "cost-state" {
            continue;
        }
        if row["type"] == "assistant" && row["requestSessionId"].is_null() {
            row["requestSessionId"] = row["sessionId"].clone();
        }
        if row["sessionId"].is_string() {
            row["sessionId"] = id.clone().into();
        }
        bytes.extend(serde_json::to_vec(&row).unwrap());
        bytes.push(b'\n');
    }
    let inside = source.inside.with_file_name(format!("{id}.jsonl"));
    let length = bytes.len();
    (length > 0).then_some(Source { inside, bytes, most: length, now: length })
}

/// Responses and tokens of a folder by other means than those of the program: distinct `message.id`, and of each the
/// largest figure of every kind.
fn independent(folder: &Path) -> (f64, f64) {
    const KINDS: [&str; 4] =
        ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    let mut messages: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for file in files_below(folder) {
        let bytes = fs::read(&file).unwrap();
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let Ok(row) = serde_json::from_slice::<Value>(line) else { continue };
            let message = &row["message"];
            if row["type"] != "assistant" || message["model"] == "<synthetic>" {
                continue;
            }
            let known = messages.entry(message["id"].as_str().unwrap().to_owned()).or_default();
            for (known, kind) in known.iter_mut().zip(KINDS) {
                *known = (*known).max(message["usage"][kind].as_u64().unwrap_or(0));
            }
        }
    }
    (messages.len() as f64, messages.values().flatten().sum::<u64>() as f64)
}

fn scan(folder: &Path) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tailspan")).args(["scan", "--format", "json"]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn nothing_is_lost_or_doubled_under_kill_9() {
    let seed = number("TAILSPAN_TEST_SEED", 1);
    let rounds = usize::try_from(number("TAILSPAN_TEST_ROUNDS", ROUNDS as u64)).unwrap();
    println!("seed {seed}, {rounds} rounds");
    let mut world = World::new(seed);
    let mut round = 0;
    while round < rounds {
        // Most often one kill, at times several in a row: then each meets what the one before left unfinished.
        let kills = if world.dice.one_in(3) { 2 + world.dice.below(3) } else { 1 };
        round += kills;
        for _ in 0..kills {
            let daemon = world.start(false);
            world.grow();
            // The moment of death.
            let longest = if world.dice.one_in(3) { 400 } else { 60 };
            let milliseconds = world.dice.below(longest);
            thread::park_timeout(Duration::from_millis(milliseconds as u64));
            drop(daemon);
        }
        let daemon = world.start(true);
        world.compare(&daemon);
        drop(daemon);
        if world.dice.one_in(MEDDLING) {
            for _ in 0..=world.dice.below(3) {
                world.meddle();
            }
        }
    }
    // Everything is written to its end, and every turn leaves.
    let projects = world.projects();
    for source in &mut world.sources {
        append(&projects.join(&source.inside), &source.bytes[source.now..]);
        (source.now, source.most) = (source.bytes.len(), source.bytes.len());
    }
    let daemon = world.start(true);
    world.compare(&daemon);
    let everything = world.everything();
    let (other, reference) = (tempfile::tempdir().unwrap(), Receiver::start());
    let undisturbed = Daemon::start(&everything, &other.path().join("state"), &["--otlp-endpoint", &reference.url()]);
    let is_done = |daemon: &Daemon| (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(());
    undisturbed.until("all has left", || is_done(&undisturbed).filter(|()| World::span_ids(&reference).len() > 60));
    let settled = undisturbed.until("nothing more leaves", || {
        let before = World::span_ids(&reference);
        thread::park_timeout(Duration::from_millis(2_500));
        (World::span_ids(&reference) == before).then_some(before)
    });
    daemon.until_or("every span has arrived", || {
        let here = World::span_ids(&world.receiver);
        let missing: Vec<String> =
            settled.difference(&here).map(|(trace, span)| format!("{} {}", hex(trace), hex(span))).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{} of {}: {missing:?}", missing.len(), settled.len())) }
    });
    let more: Vec<_> = World::span_ids(&world.receiver).difference(&settled).cloned().collect();
    assert!(more.is_empty(), "{} spans that nobody should have sent: {more:?}", more.len());
}
