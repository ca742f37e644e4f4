//! Reads values of arguments that are not settings of the configuration.

use std::time::Duration;

use crate::config;
use crate::transcript::time::Timestamp;

/// The start of a day (midnight UTC), or an RFC 3339 time. The error says what was expected.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let day = || Timestamp::parse(&format!("{text}T00:00:00.000Z"));
    let expected = "expected a day like 2026-11-01 (midnight UTC) or an RFC 3339 time like 2026-11-01T08:30:00Z";
    Timestamp::parse(text).or_else(day).ok_or_else(|| expected.to_owned())
}

/// The id of a session or its beginning, or `latest`: anything but nothing, which is what an unset variable is.
pub(super) fn session(text: &str) -> Result<String, String> {
    let expected = "give the id of a session, its beginning, or latest";
    if text.trim().is_empty() { Err(expected.to_owned()) } else { Ok(text.to_owned()) }
}

/// The seconds of a step: 15 s to 1 d, such that an hour (or a day, from 1 h on) is a multiple of it. The error says
/// what was expected.
pub(super) fn step(text: &str) -> Result<i64, String> {
    let seconds = config::duration(text).filter(|step| step.subsec_millis() == 0).map(|step| step.as_secs());
    let fits = |step: &u64| match step {
        15..3_600 => 3_600 % step == 0,
        3_600..=86_400 => 86_400 % step == 0,
        _ => false,
    };
    let step = seconds.filter(fits).and_then(|step| i64::try_from(step).ok());
    step.ok_or_else(|| "expected 15s to 1d, a whole part of an hour or of a day, like 1m, 5m or 1h".to_owned())
}

/// How long to wait: 1 ms to 1 min. The error says what was expected.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let fits = |length: &Duration| (Duration::from_millis(1)..=Duration::from_secs(60)).contains(length);
    config::duration(text).filter(fits).ok_or_else(|| "expected 1ms to 1m, like 12ms".to_owned())
}
