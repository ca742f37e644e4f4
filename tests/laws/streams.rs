//! Laws of streams: what a stream and a session file tell together does not depend on which comes first, on cuts, on
//! repetition or on crashes, and each of them alone tells what it can know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tailspan::audit::pass::find;
use tailspan::audit::selfcheck::SelfCheck;
use tailspan::audit::survey::Survey;
use tailspan::ledger::money::Money;
use tailspan::tail;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::{Sample, Snapshot};
use tailspan::vitals::Vitals;

use crate::support::world::{Dice, World, append, files_below, prices, recordings};

/// The streams of a recording as the sidecar keeps them.
pub(crate) fn runs_of(recording: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut runs = Vec::new();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let streams = fs::read_dir(recording).unwrap().map(|entry| entry.unwrap().path());
    let mut streams: Vec<_> = streams.filter(|path| name(path).starts_with("stream")).collect();
    streams.sort_by_key(|path| {
        name(path).trim_start_matches("stream.").split('.').next().unwrap().parse::<u32>().unwrap_or(1)
    });
    // Lines of old clients have no time: they came when their rows were written.
    let rows = files_of(recording).into_iter().flat_map(|(_, bytes)| values(&bytes));
    let times: BTreeMap<String, String> =
        rows.filter_map(|row| Some((text(&row, "uuid")?, text(&row, "timestamp")?))).collect();
    for (stream, number) in streams.iter().zip(1..) {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let bytes = fs::read(stream).unwrap();
        let (whole, torn) = bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        let mut at = String::from("2026-11-01T00:00:00.000Z");
        let mut file = format!(r#"{{"type":"tailspan","mark":"run","run":"{id}","workflow":"demo"}}"#).into_bytes();
        file.push(b'\n');
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let told = values(line).pop();
            let own = |line| text(line, "timestamp").or_else(|| times.get(&text(line, "uuid")?).cloned());
            at = told.as_ref().and_then(own).map_or(at.clone(), |time| time.max(at));
            file.extend(format!("{{\"type\":\"tailspan\",\"mark\":\"at\",\"at\":\"{at}\"}}\n").into_bytes());
            file.extend(line);
        }
        let torn = torn.len();
        file.extend(
            format!("{{\"type\":\"tailspan\",\"mark\":\"end\",\"at\":\"{at}\",\"torn_bytes\":{torn}}}\n").into_bytes(),
        );
        runs.push((PathBuf::from(format!("{id}.jsonl")), file));
    }
    runs
}

/// The values of lines, without those that are none.
fn values(lines: &[u8]) -> Vec<Value> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn text(line: &Value, key: &str) -> Option<String> {
    line[key].as_str().map(str::to_owned)
}

fn files_of(recording: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let projects = recording.join("projects");
    let read = |path: PathBuf| (path.strip_prefix(&projects).unwrap().to_path_buf(), fs::read(&path).unwrap());
    files_below(&projects).into_iter().map(read).collect()
}

/// What is told of each session, but for its title and branch, which only the session file has.
fn told(world: &World) -> BTreeMap<String, Value> {
    let summary = serde_json::to_value(world.summary()).unwrap();
    let sessions = summary["session_list"].as_array().unwrap().iter().cloned();
    sessions.map(|session| (session["id"].as_str().unwrap().to_owned(), session)).collect()
}

/// The tokens of a session, of all kinds together.
fn tokens(session: &Value) -> u64 {
    session["tokens"].as_object().unwrap().values().map(|tokens| tokens.as_u64().unwrap()).sum()
}

fn usd(session: &Value, field: &str) -> Option<Money> {
    session[field].as_str().map(|text| Money::parse_usd(text).unwrap())
}

/// A recording with its streams, in worlds that read them in different orders.
struct Recorded {
    name: String,
    files: Vec<(PathBuf, Vec<u8>)>,
    runs: Vec<(PathBuf, Vec<u8>)>,
}

/// Where the files of a world are.
#[derive(Clone, Copy)]
enum Side {
    File,
    Stream,
}

impl Recorded {
    fn all() -> Vec<Self> {
        let recorded = |recording: PathBuf| {
            let (files, runs) = (files_of(&recording), runs_of(&recording));
            let name = recording.components().rev().take(2).map(|part| part.as_os_str().to_str().unwrap().to_owned());
            Self { name: name.collect::<Vec<_>>().join("/"), files, runs }
        };
        recordings().into_iter().map(recorded).filter(|recorded| !recorded.runs.is_empty()).collect()
    }

    fn write(&self, world: &World, side: Side) {
        let (root, files) = match side {
            Side::File => (world.root.clone(), &self.files),
            Side::Stream => (world.streams(), &self.runs),
        };
        files.iter().for_each(|(path, bytes)| append(&root.join(path), bytes));
    }

    /// What a world tells that gets these sides one after the other, and settles in between if `late` is true.
    fn after(&self, sides: &[Side], late: bool) -> (BTreeMap<String, Value>, i128) {
        let (told, snapshot) = self.world_after(sides, late);
        (told, counted(&snapshot))
    }

    /// The same, with all that the metrics have.
    fn world_after(&self, sides: &[Side], late: bool) -> (BTreeMap<String, Value>, Snapshot) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        for side in sides {
            self.write(&world, *side);
            world.read(&mut Dice::new(1), usize::MAX);
            if late {
                world.settle();
            }
        }
        world.settle();
        let snapshot = world.settle();
        (told(&world), snapshot)
    }
}

/// A pass without a state over the files and streams of a world tells what its state tells, and no check finds a drift.
pub(crate) fn check(world: &World, name: &str) {
    let mut found = find(std::slice::from_ref(&world.root), &mut Vec::new()).unwrap();
    found.extend(tail::scan_streams(&world.streams(), &mut |problem| panic!("{problem}")));
    let (clean, _) = Survey::of(found, &prices(), 1).summary(true, |_, _| {});
    let clean = serde_json::to_value(clean.session_list).unwrap();
    assert_eq!(serde_json::to_value(world.summary()).unwrap()["session_list"], clean, "{name}");
    let vitals = Arc::new(Vitals::new(world.now, Duration::from_secs(1_800)));
    let (reader, folders) = (world.reader.clone().unwrap(), (vec![world.root.clone()], world.streams()));
    let checked = SelfCheck::new(reader, prices(), folders, vitals, Arc::default()).check().unwrap();
    assert_eq!(checked.drifts, 0, "{name}: {checked:?}");
}

/// All tokens that the counters have.
fn counted(snapshot: &Snapshot) -> i128 {
    let numbers = snapshot.of(&catalog::TOKENS).map(|(_, sample)| match sample {
        Sample::Number(number) => *number,
        Sample::Histogram(_) => 0,
    });
    numbers.sum()
}

/// Every series of the waits that only a stream shows, with the number and the sum of what was observed.
fn waits(snapshot: &Snapshot) -> Vec<(String, u64, i128)> {
    let metrics = [&catalog::TIME_TO_FIRST_CHUNK, &catalog::PERMISSION_WAIT].into_iter();
    let series = metrics.flat_map(|metric| snapshot.of(metric).map(|(labels, sample)| (metric.name, labels, sample)));
    let seen = series.filter_map(|(name, labels, sample)| match sample {
        Sample::Histogram(seen) if seen.count > 0 => {
            Some((format!("{name} {}", labels.join(" ")), seen.count, seen.sum))
        }
        _ => None,
    });
    seen.collect()
}

#[test]
fn waits_that_a_stream_shows_are_observed_once_in_every_order() {
    use Side::{File, Stream};
    let mut seen = BTreeMap::new();
    for recorded in Recorded::all() {
        let (_, streamed) = recorded.world_after(&[Stream], false);
        let expected = waits(&streamed);
        for (sides, late) in [(&[Stream, File][..], false), (&[File, Stream], false), (&[Stream, File], true)] {
            let (_, both) = recorded.world_after(sides, late);
            assert_eq!(waits(&both), expected, "{}", recorded.name);
        }
        if !expected.is_empty() {
            seen.insert(recorded.name, expected);
        }
    }
    // The marks of these streams have the time of the row before: a question is as old as the call.
    let one = |series: &str, count, sum| (series.to_owned(), count, sum);
    let asked = |tool: &str, ms| one(&format!("permission_wait_seconds {tool}"), 1, ms);
    let pieces = |count, ms| vec![one("time_to_first_chunk_seconds claude-sonnet-4-5", count, ms)];
    let expected = BTreeMap::from([
        ("aa_partial_messages/2.1.332".to_owned(), pieces(2, 29)),
        (
            "ad_host_permission/2.1.332".to_owned(),
            vec![asked("AskUserQuestion", 2_019), asked("Bash", 2_040), asked("Write", 2_117)],
        ),
        ("bq_partial_retry/2.1.332".to_owned(), pieces(3, 33)),
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn a_stream_and_a_file_tell_the_same_in_every_order() {
    use Side::{File, Stream};
    let (mut killed, mut beyond, mut other) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for recorded in Recorded::all() {
        let name = &recorded.name;
        let (alone, _) = recorded.after(&[File], false);
        let (streamed, _) = recorded.after(&[Stream], false);
        let (both, tokens_counted) = recorded.after(&[File, Stream], false);
        for (sides, late) in [(&[Stream, File][..], false), (&[Stream, File], true), (&[File, Stream], true)] {
            let (other, other_counted) = recorded.after(sides, late);
            assert_eq!(other, both, "{name}");
            // A counter cannot take back what only the client's account told.
            assert!(other_counted >= tokens_counted, "{name}: {other_counted} instead of {tokens_counted} tokens");
            let most: u64 =
                both.iter().map(|(id, session)| tokens(session).max(streamed.get(id).map_or(0, tokens))).sum();
            assert!(other_counted <= i128::from(most), "{name}: {other_counted} of at most {most} tokens");
        }
        for (id, session) in &both {
            let (file, stream) = (alone.get(id).map_or(0, tokens), streamed.get(id).map_or(0, tokens));
            assert!(tokens(session) >= file, "{name} {id}: less than the file alone tells");
            if tokens(session) > file && file > 0 {
                killed.insert(name.clone());
            }
            let of = |side: &BTreeMap<String, Value>, kind: &String| {
                side.get(id).and_then(|session| session["tokens"][kind].as_u64()).unwrap_or(0)
            };
            let most = |kind: &String| of(&alone, kind).max(of(&streamed, kind));
            let is_most = |(kind, tokens): (&String, &Value)| tokens.as_u64() == Some(most(kind));
            if !session["tokens"].as_object().unwrap().iter().all(is_most) {
                other.insert(name.clone());
            }
            let reported = usd(session, "client_reported_usd");
            if let (Some(reported), false) = (reported, alone.contains_key(id)) {
                assert_eq!(usd(session, "cost_usd"), Some(reported), "{name} {id}: no file, and the client tells all");
                assert_eq!(tokens(session), stream, "{name} {id}");
            }
        }
        for (id, session) in &streamed {
            if let Some(reported) = usd(session, "client_reported_usd") {
                let ours = usd(session, "cost_usd").unwrap() + usd(session, "unattributed_usd").unwrap();
                assert!(ours >= reported, "{name} {id}: a stream alone tells what the client tells");
                if ours > reported {
                    beyond.insert(name.clone());
                }
            }
        }
    }
    // In these the client was killed within a response, of which only the stream has rows.
    let expected = ["bd_sigterm/2.1.332", "j2_kill9_stream/2.1.330"].map(str::to_owned);
    assert_eq!(killed, BTreeSet::from(expected));
    // Both together are the most that one tells of each kind of token, but for these:
    let expected = [
        // The file has the end of one response, and the stream alone has another one.
        "bd_sigterm/2.1.332",
        // The client asked without rows and without lines: for a title, a compaction, or what was interrupted before its first
        // line. With a file that is what it used for itself, and without one nobody knows that it is not of the responses.
        "b_tools/2.0.77",
        "c2_slow_stream/1.0.128",
        "c_parallel/1.0.128",
        "e8_subagent_task_name/2.0.77",
        "i2_sigint_stream/2.1.330",
        "k1_compact_manual/2.1.330",
        "z1_big_transcript/2.1.330",
    ];
    assert_eq!(other, BTreeSet::from(expected.map(str::to_owned)));
    // What was used after the last account of the client, or by another process at the same time.
    let expected =
        ["ba_parallel_resume/2.1.332", "bd_sigterm/2.1.332", "j1_kill9_tool/2.1.330", "j2_kill9_stream/2.1.330"];
    assert_eq!(beyond, BTreeSet::from(expected.map(str::to_owned)));
}

#[test]
fn cuts_repetitions_and_crashes_change_nothing() {
    for (recorded, seed) in Recorded::all().into_iter().zip(1..) {
        let (expected, _) = recorded.after(&[Side::File, Side::Stream], false);
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path());
        let mut dice = Dice::new(seed);
        let files = recorded.files.iter().map(|(path, bytes)| (world.root.join(path), bytes));
        let runs = recorded.runs.iter().map(|(path, bytes)| (world.streams().join(path), bytes));
        // What was handed over twice lies in two files.
        let again =
            recorded.runs.iter().map(|(path, bytes)| (world.streams().join(path.with_extension("2.jsonl")), bytes));
        let parts: Vec<_> = files.chain(runs).chain(again).collect();
        let mut written = vec![0; parts.len()];
        while written.iter().zip(&parts).any(|(at, (_, bytes))| at < &bytes.len()) {
            for _ in 0..4 {
                let which = dice.below(parts.len());
                let (path, bytes) = &parts[which];
                let left = bytes.len() - written[which];
                let some = if dice.one_in(3) { left } else { dice.below(9_000).min(left) };
                append(path, &bytes[written[which]..written[which] + some]);
                written[which] += some;
            }
            let pieces = if dice.one_in(3) { dice.below(5) } else { usize::MAX };
            world.read(&mut dice, pieces);
            match dice.below(6) {
                0 => world.die(),
                1 => world.restart(),
                2 => drop(world.settle()),
                _ => {}
            }
        }
        world.read(&mut dice, usize::MAX);
        world.settle();
        world.settle();
        assert_eq!(told(&world), expected, "{} with seed {seed}", recorded.name);
        check(&world, &recorded.name);
    }
}

/// The bytes with one name for all responses, as a gateway may give it.
fn renamed(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut pieces = text.split("msg_01");
    let first = pieces.next().unwrap().to_owned();
    pieces
        .fold(first, |text, piece| text + "answer" + piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric()))
        .into_bytes()
}

#[test]
fn a_gateway_may_give_all_responses_one_name() {
    use Side::{File, Stream};
    let wanted =
        ["aa_partial_messages/2.1.332", "bq_partial_retry/2.1.332", "ad_host_permission/2.1.332", "g_resume/2.1.332"];
    let recorded = Recorded::all().into_iter().filter(|recorded| wanted.contains(&&*recorded.name));
    let mut compared = 0;
    for recorded in recorded {
        let rename = |(path, bytes): &(PathBuf, Vec<u8>)| (path.clone(), renamed(bytes));
        let named = Recorded {
            name: recorded.name.clone(),
            files: recorded.files.iter().map(rename).collect(),
            runs: recorded.runs.iter().map(rename).collect(),
        };
        for sides in [&[Stream][..], &[File], &[File, Stream], &[Stream, File]] {
            let ((told, snapshot), (same, also)) = (recorded.world_after(sides, true), named.world_after(sides, true));
            let all = |told: &BTreeMap<String, Value>| {
                told.iter().map(|(id, told)| (id.clone(), told["tokens"].clone())).collect::<Vec<_>>()
            };
            assert_eq!(all(&same), all(&told), "{}", recorded.name);
            assert_eq!(waits(&also), waits(&snapshot), "{}", recorded.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}
