//! The bodies of the fuzz targets in `fuzz/`, on the stable compiler: every input in `fixtures/fuzz`, then what becomes
//! of them by mutation, always the same. Everything that fuzzing has found is one of those inputs.
//!
//! `TAILSPAN_TEST_SEEDS=100000 TAILSPAN_TEST_SEED=7 cargo test --release --test laws fuzz_corpus::` goes on for longer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::support::fuzz_config as config;
use crate::support::fuzz_cursor as cursor;
use crate::support::fuzz_fold as fold;
use crate::support::fuzz_lines as lines;
use crate::support::fuzz_query as query;

/// Mutated inputs in an ordinary run of the tests.
const ROUNDS: u64 = 1500;

/// Longest mutated input, in bytes.
const BYTES_MAX: usize = 4096;

/// A small generator of numbers, the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }
}

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

/// One input with small changes, some of them pieces of other inputs.
fn mutated(inputs: &[(String, Vec<u8>)], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = inputs[dice.below(inputs.len())].1.clone();
    bytes.truncate(BYTES_MAX);
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 if at < bytes.len() => drop(bytes.remove(at)),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
            3 => bytes.truncate(at),
            _ => {
                let other = &inputs[dice.below(inputs.len())].1;
                let from = dice.below(other.len() + 1);
                let piece = other[from..(from + dice.below(80)).min(other.len())].to_vec();
                let end = (at + dice.below(20)).min(bytes.len());
                drop(bytes.splice(at..end, piece));
            }
        }
    }
    bytes
}

fn check(run: fn(&[u8]), bytes: &[u8], name: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(bytes)));
    assert!(outcome.is_ok(), "{name}: {:?}", String::from_utf8_lossy(bytes));
}

fn replay(target: &str, run: fn(&[u8])) {
    let seed: u64 = std::env::var("TAILSPAN_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let rounds = std::env::var("TAILSPAN_TEST_SEEDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let inputs = corpus(target);
    assert!(inputs.len() > 2, "{target} has no inputs");
    inputs.iter().for_each(|(name, bytes)| check(run, bytes, name));
    for round in seed..seed + rounds {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        check(run, &mutated(&inputs, &mut dice), &format!("seed {round}"));
    }
    println!("{target}: {} inputs, then seeds {seed}..{}", inputs.len(), seed + rounds);
}

#[test]
fn lines_are_cut_and_judged_alike() {
    replay("lines", lines::run);
}

#[test]
fn rows_of_any_content_count_once() {
    replay("fold", fold::run);
}

#[test]
fn a_changing_file_is_read_whole() {
    replay("cursor", cursor::run);
}

#[test]
fn every_address_gets_an_answer() {
    replay("query", query::run);
}

#[test]
fn a_configuration_is_valid_or_refused_in_words() {
    replay("config", config::run);
}
