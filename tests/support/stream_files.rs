//! The streams of recordings as the sidecar keeps them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::world::{World, append};

/// The streams of a recording in order.
pub(crate) fn streams_of(recording: &Path) -> Vec<PathBuf> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = fs::read_dir(recording).unwrap().map(|entry| entry.unwrap().path());
    let mut streams: Vec<PathBuf> = files.filter(|path| name(path).starts_with("stream")).collect();
    streams.sort_by_key(|path| {
        name(path).trim_start_matches("stream.").split('.').next().unwrap().parse::<u32>().unwrap_or(1)
    });
    streams
}

/// A stream file: the lines of a stream behind the mark that begins the run, with its further members (`workflow`,
/// `labels`, `traceparent`, `span`), and before the mark that ends it. The run begins at the time of the first line that
/// has one, or in November 2026.
pub(crate) fn stream_file(stream: &Path, run: &str, members: &Value) -> Vec<u8> {
    let bytes = fs::read(stream).unwrap();
    let (whole, torn) = bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let time_of = |line: &[u8]| Some(serde_json::from_slice::<Value>(line).ok()?["timestamp"].as_str()?.to_owned());
    let mut at = lines.iter().find_map(|line| time_of(line)).unwrap_or_else(|| "2026-11-01T00:00:00.000Z".to_owned());
    let mut begin = members.clone();
    begin.as_object_mut().unwrap().extend(json!({"run": run, "at": at}).as_object().unwrap().clone());
    let mut file = mark("run", &begin).into_bytes();
    for line in lines {
        at = time_of(line).map_or(at.clone(), |time| time.max(at));
        file.extend(mark("at", &json!({"at": at})).into_bytes());
        file.extend(line);
    }
    file.extend(mark("end", &json!({"at": at, "torn_bytes": torn.len()})).into_bytes());
    file
}

/// A mark as it stands in a stream file: what it is comes first.
fn mark(name: &str, members: &Value) -> String {
    format!("{{\"type\":\"tailspan\",\"mark\":\"{name}\",{}\n", members.to_string().trim_start_matches('{'))
}

/// The id of a run by its number.
pub(crate) fn run_id(number: usize) -> String {
    // The beginnings of ids differ too.
    let first = u32::try_from(number).unwrap().wrapping_mul(0x9e37_79b1);
    format!("{first:08x}-0000-4000-8000-{number:012}")
}

/// Puts a stream of a recording into a world as a run.
pub(crate) fn put_run(world: &World, stream: &Path, run: &str, members: &Value) {
    append(&world.streams().join(format!("{run}.jsonl")), &stream_file(stream, run, members));
}
