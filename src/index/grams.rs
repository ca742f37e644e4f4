//! Runs of four and of eight folded letters (bytes, to be exact) as rows of a table.
//!
//! Every four letters have a row. Of eight letters, one run in eight has one as well: which one, its hash tells. Four letters
//! alone stand almost everywhere, and the fours of a phrase in many parts that have not the phrase; eight of its letters do
//! not.

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::views::text::find::fold::fold_char;

/// Rows of the table: bits of a column. Of 48 KiB of lines they take 4.7 %.
pub(super) const ROWS: usize = 18_432;

/// Most fours, and most eights, of a run that are looked for: more narrow hardly further, and each is a row to read.
const GRAMS_MAX: usize = 24;

const _: () = assert!(ROWS.is_multiple_of(64));

/// Which letters share a row depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    mask: u64,
    factor: u64,
    /// By this it is known again, without telling it.
    pub(super) check: u64,
}

impl Key {
    /// The key that belongs to the text at the beginning of a segment.
    pub(super) fn of(text: &[u8]) -> Self {
        let [mask, factor] = [0, 64].map(|shift| u64::try_from(xxh3_128(text) >> shift & u128::from(u64::MAX)));
        let (mask, factor) = (mask.unwrap_or_default(), factor.unwrap_or_default() | 1);
        Self { mask, factor, check: xxh3_64_with_seed(text, mask ^ factor.rotate_left(29)) }
    }

    /// The row of four letters.
    fn four(&self, gram: [u8; 4]) -> usize {
        let mixed = (u64::from(u32::from_le_bytes(gram)) ^ self.mask).wrapping_mul(self.factor);
        place((mixed ^ mixed >> 29).wrapping_mul(self.factor.rotate_left(17) | 1) >> 32)
    }

    /// The row of eight letters, and whether they have one. (No branch, because nothing could foretell it.)
    fn eight(&self, gram: [u8; 8]) -> (usize, bool) {
        let mixed = (u64::from_le_bytes(gram) ^ self.mask).wrapping_mul(self.factor);
        (place((mixed ^ mixed >> 29).wrapping_mul(self.factor.rotate_left(41) | 1) >> 32), mixed >> 61 == 0)
    }

    /// The rows of a run that are looked for, those that few parts have before the others; none if the run is too short.
    pub(super) fn rows(&self, run: &[u8]) -> Vec<usize> {
        let eights = run.windows(8).filter_map(|eight| eight.first_chunk()).map(|eight| self.eight(*eight));
        let mut rows: Vec<usize> = eights.filter(|(_, counts)| *counts).map(|(row, _)| row).take(GRAMS_MAX).collect();
        let fours = run.windows(4);
        let every = fours.len().div_ceil(GRAMS_MAX).max(1);
        rows.extend(fours.step_by(every).filter_map(|four| four.first_chunk()).map(|four| self.four(*four)));
        rows
    }
}

/// A hash of 32 bits as a row.
fn place(hash: u64) -> usize {
    usize::try_from((hash * ROWS as u64) >> 32).unwrap_or_default()
}

/// The bits of one column.
#[derive(Debug, Clone)]
pub(super) struct ColumnBits(Box<[u64]>);

impl Default for ColumnBits {
    fn default() -> Self {
        Self(vec![0; ROWS / 64].into())
    }
}

impl ColumnBits {
    /// Adds all letters of some whole lines; `scratch` is memory that is used again.
    pub(super) fn add(&mut self, key: &Key, lines: &[u8], scratch: &mut Vec<u8>) {
        for line in lines.split(|byte| *byte == b'\n') {
            scratch.clear();
            if line.is_ascii() {
                scratch.extend_from_slice(line);
                scratch.make_ascii_lowercase();
            } else {
                let mut bytes = [0; 4];
                for letter in String::from_utf8_lossy(line).chars() {
                    match u8::try_from(letter).ok().filter(u8::is_ascii) {
                        Some(byte) => scratch.push(byte.to_ascii_lowercase()),
                        None => scratch.extend_from_slice(fold_char(letter).encode_utf8(&mut bytes).as_bytes()),
                    }
                }
            }
            for four in scratch.windows(4).filter_map(|four| four.first_chunk()) {
                self.set(key.four(*four), true);
            }
            for eight in scratch.windows(8).filter_map(|eight| eight.first_chunk()) {
                let (row, counts) = key.eight(*eight);
                self.set(row, counts);
            }
        }
    }

    fn set(&mut self, row: usize, bit: bool) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= u64::from(bit) << (row % 64);
        }
    }

    /// Adds the bits of another one.
    pub(super) fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, own)| *word |= own);
    }

    /// Whether a row has a bit.
    pub(super) fn has(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The bits of 64 rows, by the number of the first one in steps of 64.
    pub(super) fn rows_64(&self, step: usize) -> u64 {
        self.0.get(step).copied().unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }
}
