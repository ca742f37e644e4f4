//! One look at a window of a limit, as the client tells it.
//!
//! ```text
//! rate_limits.NAME.used_percentage   a number from 0 to 100 (also as text); of some versions a time, which is refused
//! rate_limits.NAME.resets_at         seconds since 1970 (also as text), or an RFC 3339 time
//! ```
//!
//! `NAME` is one of `NAMES`; further windows are taken as they come, while there is room. Only subscribers have them, and only after
//! the first answer of the session.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::transcript::time::Timestamp;

/// Most windows that are taken.
pub const WINDOWS_MAX: usize = 8;

/// Windows that clients have, for which there is always room.
const NAMES: [&str; 4] = ["five_hour", "seven_day", "seven_day_opus", "seven_day_sonnet"];

/// Most characters of a window's name.
pub const NAME_CHARS_MAX: usize = 40;

/// The largest percentage that is believed. Above it lies what is none: version 2.1.118 wrote the time of the reset there.
const PERCENT_MAX: f64 = 200.0;

/// Numbers above this are milliseconds since 1970 and not seconds: as seconds they would lie in the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// The reset of a window whose length nobody knows lies no further ahead, in milliseconds.
const AHEAD_MAX_MS: u64 = 32 * DAY_MS;

/// The reset of a window may lie so much further ahead than the window is long, in milliseconds, because clocks differ.
const CLOCKS_MS: u64 = HOUR_MS;

/// The reset of a window may be told a little differently from one answer to the next, in milliseconds.
const SAME_MS: u64 = 5 * 60_000;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How much of a window was used at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSample {
    /// Name of the window as the client has it: `five_hour`, `seven_day` or another of at most 40 small letters, digits and `_`.
    pub window: Arc<str>,
    /// What is used, in millionths of the limit.
    pub used_ppm: u32,
    /// When the window begins anew; `None` if the client does not tell.
    pub resets_at: Option<Timestamp>,
    /// When it was told.
    pub at: Timestamp,
}

impl LimitSample {
    /// What is used, as a share of the limit.
    #[must_use]
    pub fn used(&self) -> f64 {
        f64::from(self.used_ppm) / 1e6
    }

    /// Whether the window has begun anew since, so that nobody knows what is used.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.resets_at.is_some_and(|reset| reset <= now)
    }

    /// Whether the window begins anew later than a window of its length can that was told at `told`.
    #[must_use]
    pub fn is_too_long(&self, told: Timestamp) -> bool {
        let longest = length_ms(&self.window).map_or(AHEAD_MAX_MS, |length| length + CLOCKS_MS);
        self.resets_at.is_some_and(|reset| reset.since_ms(told) > longest)
    }

    /// Whether both are of the same run of a window: their resets are the same.
    #[must_use]
    pub fn is_of_run(&self, other: &Self) -> bool {
        match (self.resets_at, other.resets_at) {
            (Some(own), Some(other)) => own.since_ms(other).max(other.since_ms(own)) <= SAME_MS,
            (None, None) => true,
            _ => false,
        }
    }

    /// When this run of the window began; `None` if that is not known.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        Some(Timestamp(self.resets_at?.0.checked_sub_unsigned(length_ms(&self.window)?)?))
    }
}

/// The length of a window in milliseconds, by its name; `None` of a name that tells none.
#[must_use]
pub fn length_ms(window: &str) -> Option<u64> {
    match window {
        "five_hour" => Some(5 * HOUR_MS),
        _ if window.starts_with("seven_day") => Some(7 * DAY_MS),
        _ => None,
    }
}

/// Whether it is one of the windows that clients have, and no further one.
#[must_use]
pub fn is_usual(window: &str) -> bool {
    NAMES.contains(&window)
}

/// A window in few letters: `5h` and `7d` for the two that everybody has, else its name.
#[must_use]
pub fn short_name(window: &str) -> String {
    match window {
        "five_hour" => "5h".to_owned(),
        "seven_day" => "7d".to_owned(),
        other => other.strip_prefix("seven_day_").map_or_else(|| other.to_owned(), |model| format!("7d {model}")),
    }
}

/// What a status line, or its `rate_limits` alone below that name, tells at `now` of each window, by its name as it was told: a
/// sample, or why there is none. The windows that clients have come first.
#[must_use]
pub fn told(told: &Value, now: Timestamp) -> Vec<(&str, Result<LimitSample, &'static str>)> {
    let windows = told.get("rate_limits").and_then(Value::as_object).into_iter().flatten();
    let mut windows: Vec<_> = windows.map(|(name, window)| (name.as_str(), sample(name, window, now))).collect();
    windows.sort_by_key(|(name, _)| !is_usual(name));
    windows
}

/// The samples of [`told`], as many as are taken at most.
#[must_use]
pub fn samples(status_line: &Value, now: Timestamp) -> Vec<LimitSample> {
    told(status_line, now).into_iter().filter_map(|(_, sample)| sample.ok()).take(WINDOWS_MAX).collect()
}

fn sample(name: &str, window: &Value, now: Timestamp) -> Result<LimitSample, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(is_plain) {
        return Err("the name of a window is 1 to 40 small letters, digits and `_`");
    }
    let percent = window.get("used_percentage").and_then(number);
    let percent = percent.filter(|percent| (0.0..=PERCENT_MAX).contains(percent));
    let percent = percent.ok_or("`used_percentage` is no percentage")?;
    let resets_at = match window.get("resets_at") {
        None | Some(Value::Null) => None,
        Some(reset) => Some(time(reset).ok_or("`resets_at` is no time")?),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most two million")]
    let used_ppm = (percent * 1e4).round() as u32;
    let sample = LimitSample { window: name.into(), used_ppm, resets_at, at: now };
    if sample.is_over(now) {
        return Err("`resets_at` has passed");
    }
    if sample.is_too_long(now) {
        return Err("`resets_at` lies further ahead than the window is long");
    }
    Ok(sample)
}

/// A number, also as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A time as a number or text.
fn time(value: &Value) -> Option<Timestamp> {
    if let Some(time) = value.as_str().and_then(Timestamp::parse) {
        return Some(time);
    }
    let number = number(value).filter(|number| *number > 0.0)?;
    let milliseconds = if number > SECONDS_MAX { number } else { number * 1000.0 };
    #[expect(clippy::cast_possible_truncation, reason = "checked to lie within a few thousand years")]
    (milliseconds < 1e14).then_some(Timestamp(milliseconds as i64))
}
