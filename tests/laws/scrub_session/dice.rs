//! Random letters: the same seed, the same secrets.

pub(crate) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
pub(crate) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const DIGITS: &str = "0123456789";
pub(crate) const HEX: &str = "0123456789abcdef";

/// Xorshift.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.plain(8);
        dice
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    /// `length` of these letters.
    pub(crate) fn of(&mut self, letters: &str, length: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..length).map(|_| letters[self.below(letters.len())]).collect()
    }

    /// Letters and digits.
    pub(crate) fn plain(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGITS].concat(), length)
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.of(HEX, length)
    }

    /// Capitals and digits.
    pub(crate) fn upper(&mut self, length: usize) -> String {
        self.of(&[UPPER, DIGITS].concat(), length)
    }

    /// base64 without padding.
    pub(crate) fn base64(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGITS, "+/"].concat(), length)
    }

    /// base64url without padding.
    pub(crate) fn url(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGITS, "_-"].concat(), length)
    }

    pub(crate) fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|length| self.hex(length)).join("-")
    }

    /// A password as a person makes one: 10 to 16 letters, digits and signs.
    pub(crate) fn password(&mut self) -> String {
        let length = 6 + self.below(7);
        format!("{}{}{}", self.plain(length), self.of("!*_.", 1), self.of(DIGITS, 3))
    }
}
