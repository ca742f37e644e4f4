//! Times of rows: the client writes RFC 3339 in UTC, this crate keeps milliseconds since 1970-01-01 UTC.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// How far a row may be stamped ahead of our clock, in milliseconds: clocks of two machines differ.
const AHEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// A moment in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads an RFC 3339 text with any UTC offset; `None` if it is not a time. Fractions of a millisecond are cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_client_form(text.as_bytes())
            .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_millis())))
    }

    /// Reads `YYYY-MM-DDTHH:MM:SS.mmmZ`, the form that the client writes; `None` for any other form.
    pub(super) fn of_client_form(text: &[u8]) -> Option<Self> {
        parse_client_form(text)
    }

    /// Milliseconds from `earlier` to `self`; 0 if `self` is the earlier one.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// True if a row with this time may have been written by `now`: at most five minutes ahead, since clocks differ.
    #[must_use]
    pub fn may_be(self, now: Self) -> bool {
        self.since_ms(now) <= AHEAD_MS_MAX
    }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-22T06:02:51.075Z`; the plain number if the year is out
    /// of range.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .map_or_else(|| self.0.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// Whole days since 1970-01-01, in UTC; negative before.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS.mmmZ`, faster than the general parser.
fn parse_client_form(text: &[u8]) -> Option<Timestamp> {
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        mo0,
        mo1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        mi0,
        mi1,
        b':',
        s0,
        s1,
        b'.',
        f0,
        f1,
        f2,
        b'Z',
    ] = text
    else {
        return None;
    };
    let mut all_digits = true;
    let mut number = |digits: &[u8]| {
        all_digits &= digits.iter().all(u8::is_ascii_digit);
        digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit.wrapping_sub(b'0')))
    };
    let (year, month, day) = (number(&[*y0, *y1, *y2, *y3]), number(&[*mo0, *mo1]), number(&[*d0, *d1]));
    let (hour, minute, second) = (number(&[*h0, *h1]), number(&[*mi0, *mi1]), number(&[*s0, *s1]));
    let milli = number(&[*f0, *f1, *f2]);
    if !all_digits || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(year, month, day)?;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, years 0 to 9999; `None` if there is no such date.
/// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Count years from March, so that the leap day is the last day of a year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// Milliseconds as seconds. Written as text the number is exact to the millisecond.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53 milliseconds")]
pub fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
