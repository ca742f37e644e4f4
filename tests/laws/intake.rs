//! The law of the intake: however a stream is cut into requests, however often parts of it come again, and wherever the sidecar
//! is restarted, the file is the same.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tailspan::streams::{Caller, Folder, Intake, Run, RunId, mark};
use tailspan::transcript::time::Timestamp;

use crate::support::world::Dice;

const RUN: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70a";
const STREAMS: u64 = 300;

fn run() -> Run {
    let mut caller = Caller::default();
    caller.set_workflow("nightly").unwrap();
    Run { id: RunId::parse(RUN).unwrap(), caller }
}

/// The body that a sender would send if it sent all at once: marks of times, lines with and without an identity, junk.
fn body(dice: &mut Dice) -> Vec<u8> {
    let mut now = 1_764_464_400_000;
    let mut body = mark::run(&run(), Timestamp(now), false).into_bytes();
    for number in 0..dice.below(40) + 1 {
        if number == 0 || dice.one_in(3) {
            now += i64::try_from(dice.below(5_000)).unwrap() + 1;
            body.extend_from_slice(mark::at(Timestamp(now), false).as_bytes());
        }
        let text = "ä".repeat(dice.below(30));
        let line = match dice.below(8) {
            0 => format!("{{\"type\":\"keep_alive\",\"n\":{number}}}"),
            1 => "no JSON at all".to_owned(),
            2 => String::new(),
            3 => mark::lost(number as u64 + 1, 7, Timestamp(now)).trim_end().to_owned(),
            4 => format!("  {{\"type\":\"user\",\"uuid\":\"u{number}\",\"text\":\"{text}\"}}\r"),
            _ => format!("{{\"type\":\"assistant\",\"uuid\":\"u{number}\",\"session_id\":\"s\",\"text\":\"{text}\"}}"),
        };
        body.extend_from_slice(line.as_bytes());
        body.push(b'\n');
    }
    body.extend_from_slice(mark::end(Timestamp(now), 0).as_bytes());
    body
}

fn intake(state: &Path) -> Intake {
    Intake::new(Some(Folder::of_state(state)), Arc::default())
}

/// One request with these bytes in pieces; one that breaks off has no end.
fn send(intake: &Intake, bytes: &[u8], is_whole: bool, dice: &mut Dice) {
    let mut receiving = intake.begin(RunId::parse(RUN), run().caller).unwrap();
    let mut left = bytes;
    while !left.is_empty() {
        let (piece, rest) = left.split_at(dice.below(left.len().min(400)) + 1);
        // What the clock of the sidecar says makes no difference to a sender that tells times.
        receiving.take(piece, Timestamp(i64::try_from(dice.below(1 << 40)).unwrap())).unwrap();
        left = rest;
    }
    if is_whole {
        receiving.finish(Timestamp(7)).unwrap();
    }
}

fn kept(state: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(state.join("streams")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    assert_eq!(files.len(), 1);
    fs::read_to_string(&files[0]).unwrap()
}

/// The places behind a newline, and 0.
fn borders(body: &[u8]) -> Vec<usize> {
    let newlines = body.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    std::iter::once(0).chain(newlines.map(|(place, _)| place + 1)).collect()
}

#[test]
fn however_a_stream_is_cut_and_repeated_its_file_is_the_same() {
    for seed in 1..=STREAMS {
        let mut dice = Dice::new(seed);
        let body = body(&mut dice);
        let folder = tempfile::tempdir().unwrap();
        let (once, often) = (folder.path().join("once"), folder.path().join("often"));
        send(&intake(&once), &body, true, &mut dice);
        let wanted = kept(&once);
        assert!(wanted.lines().last().unwrap().contains("\"mark\":\"end\""), "seed {seed}: {wanted}");

        let borders = borders(&body);
        let mut intake_now = intake(&often);
        // How far the sender knows that the sidecar has everything, as a number of lines.
        let mut known = 0;
        while known + 1 < borders.len() {
            if dice.one_in(4) {
                intake_now = intake(&often);
            }
            // It begins there or before; sometimes with all.
            let from = if dice.one_in(6) { 0 } else { known - dice.below(known + 1).min(3) };
            let to = from + dice.below(borders.len() - from) + usize::from(from + 1 < borders.len());
            let to = to.min(borders.len() - 1);
            let breaks_off = dice.one_in(3);
            let torn = if breaks_off && to + 1 < borders.len() { dice.below(borders[to + 1] - borders[to]) } else { 0 };
            send(&intake_now, &body[borders[from]..borders[to] + torn], !breaks_off, &mut dice);
            if !breaks_off {
                known = known.max(to);
            }
        }
        send(&intake_now, &body, true, &mut dice);
        assert_eq!(kept(&often), wanted, "seed {seed}");
    }
}
