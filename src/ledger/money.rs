//! Exact amounts of money in US dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Decimal places of a dollar that [`Money`] keeps.
const DECIMALS: i64 = 12;
/// Picodollars in a dollar.
const PICOUSD_PER_USD: u128 = 1_000_000_000_000;

/// An amount in picodollars (1e-12 USD); sums are exact and saturate at ±1.7e26 USD.
///
/// Every list price is a whole number of picodollars per token, so neither a cost nor a sum of costs is ever rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i128);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of picodollars (1e-12 USD).
    #[must_use]
    pub const fn from_picousd(picousd: i128) -> Self {
        Self(picousd)
    }

    /// The amount in picodollars (1e-12 USD).
    #[must_use]
    pub const fn picousd(self) -> i128 {
        self.0
    }

    /// Reads a decimal number of dollars with optional sign and exponent, rounded half to even at 12 decimals.
    ///
    /// `None` if the text is anything else or the amount does not fit.
    #[must_use]
    pub fn parse_usd(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let digits_kept = i64::try_from(whole.len()).ok()?.saturating_add(exponent).saturating_add(DECIMALS);
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte.saturating_sub(b'0'));
        let magnitude = round_half_even(digits, digits_kept)?;
        Some(Self(if negative { -magnitude } else { magnitude }))
    }

    /// An amount of dollars from a float: its shortest decimal form, rounded to 12 decimals.
    ///
    /// The client sums floats, and rounding removes its errors: 0.012382500000000001 USD becomes 0.0123825 USD. NaN
    /// becomes 0, and an amount that does not fit saturates.
    #[must_use]
    pub fn from_usd_f64(usd: f64) -> Self {
        if usd.is_nan() {
            return Self::ZERO;
        }
        let limit = if usd < 0.0 { i128::MIN } else { i128::MAX };
        Self::parse_usd(&usd.to_string()).unwrap_or(Self(limit))
    }

    /// The amount in dollars, as near as a float comes.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / PICOUSD_PER_USD as f64
    }
}

/// Exact decimal dollars without trailing zeros: `0`, `0.047439`, `-1.5`.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / PICOUSD_PER_USD, magnitude % PICOUSD_PER_USD);
        let mut text = whole.to_string();
        if fraction != 0 {
            text.push_str(format!(".{fraction:012}").trim_end_matches('0'));
        }
        formatter.pad_integral(self.0 >= 0, "", &text)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The exponent behind `e`. It saturates, because far out of range only its sign matters.
fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits
        .bytes()
        .fold(0i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte.saturating_sub(b'0'))));
    Some(if negative { -magnitude } else { magnitude })
}

/// The first `kept` digits as a number, filled up with zeros if there are fewer, and rounded half to even by the digits
/// that are cut. `None` if it does not fit.
fn round_half_even(digits: impl Iterator<Item = u8>, kept: i64) -> Option<i128> {
    let (mut magnitude, mut first_cut, mut rest_is_zero, mut count) = (0i128, 0, true, 0i64);
    for digit in digits {
        match count.cmp(&kept) {
            std::cmp::Ordering::Less => {
                magnitude = magnitude.checked_mul(10)?.checked_add(i128::from(digit))?;
            }
            std::cmp::Ordering::Equal => first_cut = digit,
            std::cmp::Ordering::Greater => rest_is_zero &= digit == 0,
        }
        count += 1;
    }
    while count < kept && magnitude != 0 {
        magnitude = magnitude.checked_mul(10)?;
        count += 1;
    }
    let up = first_cut > 5 || (first_cut == 5 && (!rest_is_zero || magnitude % 2 == 1));
    magnitude.checked_add(i128::from(up))
}
