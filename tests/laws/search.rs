//! Search finds what somebody finds who reads every event of every session in the replay and compares it word by word: in
//! session files of every shape, while they grow, after crashes, rewritten and removed, from page to page.
//!
//! `TAILSPAN_TEST_FIRST_SEED=7 TAILSPAN_TEST_SEEDS=500` runs other stories than the usual ones.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tailspan::archive::Archive;
use tailspan::archive::keep::{Keeper, Rules};
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::http::api::replay::kept::Replays;
use tailspan::http::api::search::Patience;
use tailspan::http::api::{replay, search, sessions};
use tailspan::http::{Route, get};
use tailspan::index::build::Builder;
use tailspan::index::catalogue::SearchIndex;
use tailspan::ledger::prices::Prices;
use tailspan::tail;
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::searched::State;
use crate::support::shapes::{Files, story};
use crate::support::world::{Dice, World, append};

/// Stories in an ordinary run of the tests.
const SEEDS: u64 = 8;

const WORDS: [&str; 17] = [
    "alpha",
    "Beta",
    "GAMMA",
    "delta_epsilon",
    "zetaEta",
    "src/main.rs",
    "exit",
    "Größe",
    "STRAßE",
    "Ωmega",
    "日本語",
    "ſtop",
    "\u{212a}elvin",
    "\"quoted\"",
    "back\\slash",
    "\\u0062eta",
    "🙂",
];

static ROUTES: &[Route<State>] = &[
    Route::get("/search", &search::SEARCH, |state, request| search::search_for(state, request, Patience::ENDLESS)),
    Route::get("/impatient", &search::SEARCH, |state, request| search::search_for(state, request, Patience::NONE)),
    Route::get("/sessions", &sessions::LIST, sessions::list),
    Route::get("/sessions/{id}/replay", &replay::REPLAY, replay::replay),
];

impl State {
    /// The state of a world, with the index that an earlier process left.
    pub(crate) fn of(world: &World, folder: &Path) -> Self {
        let reader = world.reader.clone().unwrap();
        let index = SearchIndex::open_for(folder, &archive_of(world), &reader).unwrap();
        Self(reader, SharedCells::new(Prices::embedded()), Arc::new(OnceLock::from(index)), Replays::default())
    }

    /// Adds to the index what is new, sometimes in part.
    fn build(&self, builder: &mut Builder, dice: &mut Dice) {
        let left = Cell::new(if dice.one_in(2) { usize::MAX } else { dice.below(6) });
        let goes_on = || {
            left.set(left.get().saturating_sub(1));
            left.get() > 0
        };
        builder.pass(self.2.get().unwrap(), &self.0, &goes_on).unwrap().unwrap();
    }

    fn json(&self, target: &str) -> Value {
        let (status, body) = get(ROUTES, self, target);
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// A text of an event, or of a title.
#[derive(Debug)]
struct Told {
    at: String,
    session: String,
    event: Option<u64>,
    kind: &'static str,
    pieces: Vec<String>,
}

/// Every text that the API tells elsewhere.
fn told(state: &State) -> Vec<Told> {
    let mut told = Vec::new();
    for session in state.json("/sessions?limit=1000")["sessions"].as_array().unwrap() {
        let id = session["id"].as_str().unwrap();
        if let Some(title) = session["title"].as_str() {
            let (at, session) = (session["started_at"].as_str().unwrap().to_owned(), id.to_owned());
            told.push(Told { at, session, event: None, kind: "title", pieces: vec![title.to_owned()] });
        }
        let page = state.json(&format!("/sessions/{id}/replay?limit=1000"));
        assert_eq!(page["next_from"], Value::Null, "a story has fewer events");
        page["events"].as_array().unwrap().iter().for_each(|event| add_event(&mut told, id, event));
    }
    told
}

fn add_event(told: &mut Vec<Told>, session: &str, event: &Value) {
    let plain = match event["kind"].as_str().unwrap() {
        "prompt" | "queued_prompt" | "subagent_start" => "prompt",
        "message" | "away_summary" => "answer",
        "tool_call" => "tool_input",
        "tool_result" | "task_end" => "tool_result",
        _ => return,
    };
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for piece in event["content"].as_array().into_iter().flatten() {
        assert!(piece["truncated"] == false || piece["text"].is_null(), "a story has short texts");
        let Some(text) = piece["text"].as_str().filter(|text| !text.is_empty()) else { continue };
        match piece["type"].as_str().unwrap() {
            "thinking" => texts.entry("thinking").or_default().push(text.to_owned()),
            "tool_input" => leaves(&serde_json::from_str(text).unwrap(), texts.entry(plain).or_default()),
            _ => texts.entry(plain).or_default().push(text.to_owned()),
        }
    }
    for (kind, pieces) in texts.into_iter().filter(|(_, pieces)| !pieces.is_empty()) {
        let (at, session) = (event["at"].as_str().unwrap().to_owned(), session.to_owned());
        told.push(Told { at, session, event: event["index"].as_u64(), kind, pieces });
    }
}

fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, into)),
        _ => {}
    }
}

fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|letter| if letter == 'ſ' { 's' } else { letter }).collect()
}

/// A condition of a question.
struct Wanted {
    not: bool,
    text: String,
    is_regex: bool,
}

impl Wanted {
    fn of(dice: &mut Dice) -> Self {
        let word = WORDS[dice.below(WORDS.len())];
        let letters: Vec<char> = word.chars().collect();
        let (not, is_regex) = (dice.one_in(5), dice.one_in(6));
        if is_regex {
            let text = ["(?i)beta|gamma", "delta_[a-z]+n", "\\bexit\\b", "ma?in\\.rs", "[a-z]+Eta", "(?i)straße x?"];
            return Self { not, is_regex, text: text[dice.below(6)].to_owned() };
        }
        // A part of a word, from one letter on, in any case, or two words that may stand one behind the other.
        let from = dice.below(letters.len());
        let to = from + 1 + dice.below(letters.len() - from);
        let text: String = match dice.below(4) {
            0 => word.to_owned(),
            1 => letters[from..to].iter().collect(),
            2 => word.to_lowercase(),
            _ => format!("{word} {}", WORDS[dice.below(WORDS.len())]),
        };
        Self { not, is_regex, text }
    }

    fn written(&self) -> String {
        let minus = if self.not { "-" } else { "" };
        if self.is_regex {
            return format!("{minus}/{}/", self.text);
        }
        format!("{minus}\"{}\"", self.text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    fn takes(&self, pieces: &[String]) -> bool {
        let regex = regex_of(&self.text, self.is_regex);
        let is_in = |piece: &String| match &regex {
            Some(find) => find(piece),
            None => folded(piece).contains(&folded(&self.text)),
        };
        pieces.iter().any(is_in) != self.not
    }
}

/// The few expressions that are asked for, by hand.
fn regex_of(pattern: &str, is_regex: bool) -> Option<fn(&str) -> bool> {
    is_regex.then_some(match pattern {
        "(?i)beta|gamma" => |text: &str| folded(text).contains("beta") || folded(text).contains("gamma"),
        "delta_[a-z]+n" => |text: &str| {
            text.match_indices("delta_").any(|(at, found)| {
                let rest = &text[at + found.len()..];
                let run: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                run.len() > 1 && run[1..].contains('n')
            })
        },
        "\\bexit\\b" => |text: &str| {
            let is_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
            text.match_indices("exit").any(|(at, found)| {
                !is_word(text[..at].chars().next_back()) && !is_word(text[at + found.len()..].chars().next())
            })
        },
        "ma?in\\.rs" => |text: &str| text.contains("main.rs") || text.contains("min.rs"),
        "[a-z]+Eta" => |text: &str| {
            text.match_indices("Eta").any(|(at, _)| text[..at].ends_with(|letter: char| letter.is_ascii_lowercase()))
        },
        _ => |text: &str| folded(text).contains("straße "),
    })
}

/// What a plain reader finds, in the order of the answer, as `(at, session, event, kind)`.
fn expected(told: &[Told], wanted: &[Wanted], newest: bool) -> Vec<(String, String, Option<u64>, String)> {
    let is_found = |told: &&Told| wanted.iter().all(|wanted| wanted.takes(&told.pieces));
    let mut found: Vec<_> = told
        .iter()
        .filter(is_found)
        .map(|told| (told.at.clone(), told.session.clone(), told.event, told.kind.to_owned()))
        .collect();
    found.sort();
    if newest {
        found.reverse();
    }
    found
}

/// Begin and end of each session.
fn spans(state: &State) -> BTreeMap<String, (String, String)> {
    let text = |session: &Value, name: &str| session[name].as_str().unwrap().to_owned();
    let sessions = state.json("/sessions?limit=1000");
    let sessions = sessions["sessions"].as_array().unwrap().iter();
    sessions.map(|one| (text(one, "id"), (text(one, "started_at"), text(one, "ended_at")))).collect()
}

/// All pages of a search; the order by time is checked, and what is of the same time is sorted. Where a gateway gives ids
/// of responses twice, an event may be put outside of its session: its place is at the edge of the session then.
fn answered(state: &State, route: &str, query: &str, newest: bool) -> Vec<(String, String, Option<u64>, String)> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for pages in 0.. {
        assert!(pages < 20_000, "{query} has no end");
        let page = state.json(&format!("/{route}?{query}{cursor}"));
        for hit in page["hits"].as_array().unwrap() {
            check_snippet(hit);
            let text = |name: &str| hit[name].as_str().unwrap().to_owned();
            found.push((text("at"), text("session"), hit["event"].as_u64(), text("kind")));
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let spans = spans(state);
    let placed = |(at, session, ..): &(String, String, Option<u64>, String)| {
        let (begin, end) = &spans[session];
        at.clamp(begin, end).clone()
    };
    let times: Vec<String> = found.iter().map(placed).collect();
    assert!(if newest { times.is_sorted_by(|a, b| a >= b) } else { times.is_sorted() }, "{query}: {times:?}");
    found.sort();
    if newest {
        found.reverse();
    }
    found
}

fn check_snippet(hit: &Value) {
    let letters = hit["snippet"].as_str().unwrap().chars().count() as u64;
    assert!(letters <= 300, "{hit}");
    let matches: Vec<(u64, u64)> = serde_json::from_value(hit["matches"].clone()).unwrap();
    assert!(matches.iter().all(|(start, length)| *length > 0 && start + length <= letters), "{hit}");
    assert!(matches.windows(2).all(|two| two[0].0 + two[0].1 < two[1].0), "{hit}");
}

/// Questions about a state, asked of the API and of a plain reader.
fn check(state: &State, dice: &mut Dice) -> usize {
    let told = told(state);
    let mut count = 0;
    for _ in 0..8 {
        let wanted: Vec<Wanted> = (0..1 + dice.below(3)).map(|_| Wanted::of(dice)).collect();
        let written: Vec<String> = wanted.iter().map(Wanted::written).collect();
        let newest = dice.one_in(2);
        let sort = if newest { "newest" } else { "oldest" };
        let (limit, route) = ([1, 3, 1000][dice.below(3)], ["search", "search", "impatient"][dice.below(3)]);
        let encoded: String = written.join(" ").bytes().map(|byte| format!("%{byte:02x}")).collect();
        let query = format!("q={encoded}&sort={sort}&limit={limit}");
        let answer = answered(state, route, &query, newest);
        assert_eq!(answer, expected(&told, &wanted, newest), "{} by {route} {sort} {limit}", written.join(" "));
        count += answer.len();
        check_replays(state, &encoded, limit, &answer);
    }
    count
}

/// Within each session, the replay finds the events of which the search finds a text.
fn check_replays(state: &State, encoded: &str, limit: usize, hits: &[(String, String, Option<u64>, String)]) {
    for session in state.json("/sessions?limit=1000")["sessions"].as_array().unwrap() {
        let id = session["id"].as_str().unwrap();
        let expected: BTreeSet<u64> = hits.iter().filter(|hit| hit.1 == id).filter_map(|hit| hit.2).collect();
        let (mut found, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let page = state.json(&format!("/sessions/{id}/replay?q={encoded}&limit={limit}&from={start}"));
            found.extend(page["events"].as_array().unwrap().iter().filter_map(|event| event["index"].as_u64()));
            from = page["next_from"].as_u64();
        }
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{id}");
    }
}

/// The words of a row: the same in all of its copies.
fn words(row: &Value) -> Dice {
    let uuid = row["uuid"].as_str().unwrap_or_default();
    Dice::new(uuid.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into())))
}

fn said(dice: &mut Dice) -> String {
    let count = dice.below(6);
    (0..count).map(|_| WORDS[dice.below(WORDS.len())]).collect::<Vec<_>>().join([" ", "\n", "x"][dice.below(3)])
}

/// The line with more to say, written as one client or another writes it.
pub(crate) fn spoken(line: &str) -> String {
    let Ok(mut row) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let mut dice = words(&row);
    match row.pointer_mut("/message/content") {
        Some(Value::String(text)) => text.push_str(&format!(" {}", said(&mut dice))),
        Some(Value::Array(blocks)) => {
            for block in &mut *blocks {
                match block["type"].as_str() {
                    Some("text") => {
                        block["text"] = json!(format!("{} {}", block["text"].as_str().unwrap(), said(&mut dice)))
                    }
                    Some("tool_use") => {
                        block["input"]["note"] = json!([said(&mut dice), 417, {"deep": said(&mut dice)}])
                    }
                    Some("tool_result") if block["content"] == "ok" => block["content"] = json!(said(&mut dice)),
                    _ => {}
                }
            }
            if row["type"] == "assistant" && dice.one_in(3) {
                let thinking = json!({"type": "thinking", "thinking": said(&mut dice)});
                row["message"]["content"].as_array_mut().unwrap().insert(0, thinking);
            }
        }
        _ => return line.to_owned(),
    }
    let text = row.to_string();
    let escaped = |letter: char| {
        let mut units = [0; 2];
        letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    let text: String = match dice.below(4) {
        // As a program writes it that knows ASCII only.
        0 => text.chars().map(|letter| if letter.is_ascii() { letter.to_string() } else { escaped(letter) }).collect(),
        // As nobody needs to.
        1 => text.replace("alpha", "\\u0061lph\\u0061").replace("src/", "src\\/"),
        _ => text,
    };
    format!("{text}\n")
}

/// Lives through a story and asks now and then.
fn live(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let files: Files = story(&mut dice, false);
    let folder = TempDir::new().unwrap();
    let mut world = World::new(folder.path());
    let mut left: Vec<(PathBuf, std::vec::IntoIter<String>)> =
        files.into_iter().map(|(path, lines)| (path, lines.into_iter())).collect();
    let mut count = 0;
    let (mut state, mut builder) = (None, Builder::small(1 + dice.below(2_000) as u64, 4));
    let index = folder.path().join("index");
    while !left.is_empty() {
        let which = dice.below(left.len());
        let (path, lines) = &mut left[which];
        match lines.next() {
            Some(line) => append(&world.root.join(path), spoken(&line).as_bytes()),
            None => drop(left.swap_remove(which)),
        }
        if !dice.one_in(12) && !left.is_empty() {
            continue;
        }
        world.read(&mut dice, usize::MAX);
        if dice.one_in(4) {
            // It holds the database.
            state = None;
            builder = Builder::small(1 + dice.below(2_000) as u64, 4);
            world.die();
        }
        world.settle();
        let state = state.get_or_insert_with(|| State::of(&world, &index));
        if !dice.one_in(3) {
            state.build(&mut builder, &mut dice);
        }
        count += check(state, &mut dice);
    }
    let state = state.unwrap_or_else(|| State::of(&world, &index));
    state.build(&mut builder, &mut dice);
    count += check(&state, &mut dice);
    // What the state has not read yet is not found, and what is gone is not either.
    let mut paths = Vec::new();
    for folder in fs::read_dir(&world.root).unwrap() {
        paths.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    let path = &paths[dice.below(paths.len())];
    let text = fs::read_to_string(path).unwrap();
    if dice.one_in(2) {
        fs::write(path, text.replace("elta", "elto")).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
    count += check(&state, &mut dice);
    world.read(&mut dice, usize::MAX);
    world.settle();
    state.build(&mut builder, &mut dice);
    no_word_is_in(&index);
    count += check(&state, &mut dice);
    without_files(&world, state, (&mut builder, &index), &mut dice);
    count
}

fn archive_of(world: &World) -> Archive {
    Archive::at(&world.root.with_file_name("archive"))
}

/// Copies every file and removes all of them: everything is told, and found, as before.
fn without_files(world: &World, state: State, (builder, index): (&mut Builder, &Path), dice: &mut Dice) {
    let archive = state.2.get().unwrap().archive().clone();
    let mut keeper = Keeper::new(archive);
    keeper.look().unwrap();
    let found = tail::scan(&world.root, &mut |problem| panic!("{problem}"));
    let rules = Rules { after: Duration::ZERO, end: None };
    let files = found.iter().map(|found| (found, world.root.as_path()));
    let pass = keeper.pass(files, &rules, Timestamp(i64::MAX), &|| true);
    assert_eq!((pass.copied, pass.failed.len(), pass.paused), (found.len() as u64, 0, None));
    let all = |state: &State| format!("{:?}", told(state));
    let before = all(&state);
    fs::remove_dir_all(&world.root).unwrap();
    assert!(all(&state) == before, "of the copies");
    check(&state, dice);
    state.build(builder, dice);
    check(&state, dice);
    drop(state);
    let state = State::of(world, index);
    check(&state, dice);
    assert!(all(&state) == before, "after a restart");
}

/// Whoever has the index and not the session files finds no word in it, and cannot use it.
fn no_word_is_in(folder: &Path) {
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        assert!(file.extension().is_some_and(|end| end == "segment"), "{file:?}");
        let bytes = fs::read(&file).unwrap().to_ascii_lowercase();
        for word in WORDS.iter().map(|word| word.to_lowercase()).filter(|word| word.len() > 4) {
            assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{word} in {file:?}");
        }
    }
}

#[test]
fn search_finds_what_a_plain_reader_finds() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("TAILSPAN_TEST_FIRST_SEED", 1);
    let mut found = 0;
    for seed in first..first + number("TAILSPAN_TEST_SEEDS", SEEDS) {
        let lived = std::panic::catch_unwind(|| live(seed));
        found += lived.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(found > 0, "nothing was found at all");
}
