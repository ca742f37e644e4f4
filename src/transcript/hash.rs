//! A fast hash for ids, which are random or hashed already, and for the few strings that repeat in every row.
//!
//! It does not resist keys that were chosen to collide; session files are written by the user's own client.

use std::hash::{BuildHasherDefault, Hasher};

/// Hashes with [`IdHasher`].
pub type ById = BuildHasherDefault<IdHasher>;

/// Multiplies and folds eight bytes at a time, as wyhash does.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdHasher(u64);

impl IdHasher {
    fn mix(&mut self, word: u64) {
        // The multiplier of wyhash. Both halves of the product are used, so that every bit of the input matters.
        let product = u128::from(self.0.rotate_left(25) ^ word).wrapping_mul(0xa076_1d64_78bd_642f);
        let [low, high] = [product, product >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
        self.0 = low ^ high;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(<[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.mix(u64::from_le_bytes(word) ^ ((rest.len() as u64) << 56));
        }
    }

    /// Ignores the byte that ends a string: the length of the string is in the hash already.
    fn write_u8(&mut self, _: u8) {}

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
