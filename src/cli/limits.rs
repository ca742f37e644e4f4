//! The limits of the account in words, from windows as the API tells them.

use serde_json::{Value, json};

use super::ask::answer::{number, text};
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::percent;
use crate::views::analytics::limits::sample::{LimitSample, short_name};
use crate::views::analytics::period::Zone;

/// Beyond so many milliseconds ahead a time is told with its day of the week.
const SOON_MS: u64 = 20 * 3_600_000;

/// Beyond so many milliseconds ahead a time is told with its date: a day of the week may be that of today.
const WEEK_MS: u64 = 6 * 24 * 3_600_000;

/// From what part of a window on it is full. More may be used: then nothing is left to forecast all the same.
const FULL: f64 = 1.0;

/// A look as the API would tell it without a forecast.
pub(in crate::cli) fn window(look: &LimitSample) -> Value {
    json!({"window": &*look.window, "used_ratio": look.used(), "resets_at": look.resets_at.map(Timestamp::to_rfc3339)})
}

/// The name of a window in few letters.
pub(in crate::cli) fn name(window: &Value) -> Option<String> {
    text(window, "/window").map(short_name)
}

/// The window that will be full first; if none is expected to be, the one of which most is used.
pub(in crate::cli) fn nearest(windows: &[Value]) -> Option<&Value> {
    let known = windows.iter().filter(|window| number(window, "/used_ratio").is_some());
    known.min_by(|a, b| {
        let full = |window: &&Value| time(window, "/forecast/full_at").map_or(i64::MAX, |full| full.0);
        let used = |window: &&Value| number(window, "/used_ratio").unwrap_or_default();
        full(a).cmp(&full(b)).then(used(b).total_cmp(&used(a)))
    })
}

/// `5h 62% full at 16:40`, or without a forecast `5h 62% until 18:00`; `5h 100% full until 18:00` if it is full, and `None`
/// if nobody knows what is used.
pub(in crate::cli) fn brief(window: &Value, now: Timestamp, zone: Zone) -> Option<String> {
    let (name, used) = (name(window)?, number(window, "/used_ratio")?);
    let clock = |place| time(window, place).and_then(|time| clock(time, now, zone));
    let ahead = match (clock("/forecast/full_at"), clock("/resets_at")) {
        (_, Some(reset)) if used >= FULL => format!(" full until {reset}"),
        (_, None) if used >= FULL => " full".to_owned(),
        (Some(full), _) => format!(" full at {full}"),
        (None, Some(reset)) => format!(" until {reset}"),
        (None, None) => String::new(),
    };
    Some(format!("{name} {}{ahead}", percent(used)))
}

/// The same in a sentence, with the interval.
pub(in crate::cli) fn sentence(window: &Value, now: Timestamp, zone: Zone) -> Option<String> {
    let clock = |place| time(window, place).and_then(|time| clock(time, now, zone));
    let Some(used) = number(window, "/used_ratio") else {
        return Some("has begun anew; nobody has told yet what is used".to_owned());
    };
    let mut sentence = format!("{} used", percent(used));
    let reset = clock("/resets_at");
    if used >= FULL {
        let until = reset.map(|reset| format!(" until it begins anew at {reset}"));
        return Some(format!("{sentence}, full{}", until.unwrap_or_default()));
    }
    if let Some(reset) = reset {
        sentence.push_str(&format!(", begins anew at {reset}"));
    }
    let Some(forecast) = window.pointer("/forecast").filter(|forecast| forecast.is_object()) else {
        let reason = text(window, "/forecast_reason").map(|reason| format!("; no forecast: {reason}"));
        return Some(sentence + &reason.unwrap_or_default());
    };
    let confidence = number(forecast, "/confidence").map(percent).unwrap_or_default();
    let ends = [clock("/forecast/earliest"), clock("/forecast/latest")];
    match (clock("/forecast/full_at"), ends) {
        (Some(full), [Some(earliest), Some(latest)]) => {
            sentence.push_str(&format!("; full at {full}, between {earliest} and {latest} ({confidence})"));
        }
        (Some(full), [Some(earliest), None]) => {
            sentence.push_str(&format!("; full at {full}, not before {earliest} ({confidence})"));
        }
        (Some(full), _) => sentence.push_str(&format!("; full at {full}")),
        (None, [Some(earliest), _]) => {
            sentence.push_str(&format!("; likely not full before that, at the earliest at {earliest} ({confidence})"));
        }
        (None, _) => sentence.push_str("; not full before that"),
    }
    Some(sentence)
}

fn time(value: &Value, place: &str) -> Option<Timestamp> {
    text(value, place).and_then(Timestamp::parse)
}

/// `16:40`, or `Thu 16:40` if that is not soon, or `2026-12-24 16:40` if it is not in the days of a week.
fn clock(time: Timestamp, now: Timestamp, zone: Zone) -> Option<String> {
    let shown = zone.shown(time)?;
    let mut words = shown.split(' ');
    let (weekday, date, hour) = (words.next()?, words.next()?, words.next()?);
    let ahead_ms = time.since_ms(now);
    let day = if ahead_ms > WEEK_MS { date } else { weekday };
    Some(if ahead_ms > SOON_MS { format!("{day} {hour}") } else { hour.to_owned() })
}
