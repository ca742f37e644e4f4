//! Quantiles of many whole numbers: exact for up to 2,048 of them, and then from counts in ranges that are so narrow
//! that no quantile is off by more than [`ERROR`]. Sketches of parts merge into that of the whole.

/// Most numbers that are kept one by one.
const EXACT_MAX: usize = 2048;

/// Bits of a number that its range keeps.
const BITS: u32 = 6;

/// Ranges: one for each number below `2^BITS`, and `2^BITS` for each further power of two.
const RANGES: usize = (33 - BITS as usize) << BITS;

/// Largest relative error of a quantile: half a range.
pub const ERROR: f64 = 1.0 / 128.0;

/// Whole numbers, of which only the distribution is kept.
#[derive(Debug, Clone, Default)]
pub struct Sketch {
    /// The numbers, while they are few.
    exact: Vec<u32>,
    /// How many numbers lie in each range, once they are many.
    ranges: Option<Box<[u64]>>,
    count: u64,
    sum: u64,
    max: u32,
}

impl Sketch {
    /// No numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self { exact: Vec::new(), ranges: None, count: 0, sum: 0, max: 0 }
    }

    /// Adds a number.
    pub fn add(&mut self, number: u32) {
        self.count += 1;
        self.sum = self.sum.saturating_add(number.into());
        self.max = self.max.max(number);
        match &mut self.ranges {
            Some(ranges) => count(ranges, number, 1),
            None if self.exact.len() < EXACT_MAX => self.exact.push(number),
            None => {
                self.spread();
                self.ranges.iter_mut().for_each(|ranges| count(ranges, number, 1));
            }
        }
    }

    /// Counts the numbers in ranges from now on.
    fn spread(&mut self) {
        let mut ranges = vec![0; RANGES].into_boxed_slice();
        for number in std::mem::take(&mut self.exact) {
            count(&mut ranges, number, 1);
        }
        self.ranges = Some(ranges);
    }

    /// How many numbers there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest; `None` if there is none.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        (self.count > 0).then_some(self.max)
    }

    /// The quantiles by nearest rank, for parts of a hundred in rising order; nothing if there is no number.
    #[must_use]
    pub fn quantiles<const N: usize>(&mut self, per_cent: [u64; N]) -> Option<[u32; N]> {
        if self.count == 0 {
            return None;
        }
        let ranks = per_cent.map(|part| (self.count.saturating_mul(part)).div_ceil(100).max(1) - 1);
        if let Some(ranges) = &self.ranges {
            return Some(ranks.map(|rank| self.in_ranges(ranges, rank)));
        }
        self.exact.sort_unstable();
        let at = |rank: u64| usize::try_from(rank).ok().and_then(|rank| self.exact.get(rank)).copied();
        Some(ranks.map(|rank| at(rank).unwrap_or(self.max)))
    }

    fn in_ranges(&self, ranges: &[u64], rank: u64) -> u32 {
        let mut before = 0u64;
        for (range, numbers) in ranges.iter().enumerate() {
            before += numbers;
            if before > rank {
                return middle(range).min(self.max);
            }
        }
        self.max
    }
}

fn count(ranges: &mut [u64], number: u32, times: u64) {
    if let Some(range) = ranges.get_mut(range_of(number)) {
        *range += times;
    }
}

/// The range of a number: the number itself while it has at most `BITS` bits, then its highest `BITS + 1` bits.
const fn range_of(number: u32) -> usize {
    let bits = u32::BITS - number.leading_zeros();
    let shift = bits.saturating_sub(BITS + 1);
    ((shift << BITS) + (number >> shift)) as usize
}

/// The number in the middle of a range.
fn middle(range: usize) -> u32 {
    let range = range as u64;
    let shift = (range >> BITS).saturating_sub(1);
    let first = (range - (shift << BITS)) << shift;
    let middle = first + ((1 << shift) - 1) / 2;
    u32::try_from(middle).unwrap_or(u32::MAX)
}
