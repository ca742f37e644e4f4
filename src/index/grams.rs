//! Runs of four folded letters (bytes, to be exact) as rows of a table.

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::views::text::find::fold::fold_char;

/// Rows of the table: bits of a column. Of 128 KiB of lines they take 3.9 %.
pub(super) const ROWS: usize = 40_960;

const _: () = assert!(ROWS.is_multiple_of(64));

/// Which four letters share a row depends on it.
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
    pub(super) fn row(&self, gram: [u8; 4]) -> usize {
        let mixed = (u64::from(u32::from_le_bytes(gram)) ^ self.mask).wrapping_mul(self.factor);
        let high = (mixed ^ mixed >> 29).wrapping_mul(self.factor.rotate_left(17) | 1) >> 32;
        usize::try_from((high * ROWS as u64) >> 32).unwrap_or_default()
    }
}

/// The bits of one column, before it is put into the table.
pub(super) struct ColumnBits(Vec<u64>);

impl Default for ColumnBits {
    fn default() -> Self {
        Self(vec![0; ROWS / 64])
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
            for gram in scratch.windows(4).filter_map(|four| four.first_chunk()) {
                let row = key.row(*gram);
                if let Some(word) = self.0.get_mut(row / 64) {
                    *word |= 1 << (row % 64);
                }
            }
        }
    }

    /// The rows that have a bit.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        (0..).zip(&self.0).flat_map(|(word, bits): (usize, &u64)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }
}
