//! Figures as people read them: money at two decimals, tokens at two or three digits, bytes in kB and MB, durations at two
//! units.

use crate::ledger::money::Money;

/// Picodollars in a cent.
const CENT: u128 = 10_000_000_000;

/// Dollars at two decimals, rounded half up, with commas: `$1,234.50`. An amount below a cent that is not zero is
/// `<$0.01`, because `$0.00` would say that it was free.
#[must_use]
pub fn money(amount: Money) -> String {
    let sign = if amount < Money::ZERO { "-" } else { "" };
    format!("{sign}{}", magnitude(amount))
}

/// The same with its sign: `+$1.20`, `-$1.20`.
#[must_use]
pub fn change(amount: Money) -> String {
    let sign = match amount.cmp(&Money::ZERO) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}", magnitude(amount))
}

fn magnitude(amount: Money) -> String {
    let picousd = amount.picousd().unsigned_abs();
    if picousd > 0 && picousd < CENT {
        return "<$0.01".to_owned();
    }
    let cents = picousd.saturating_add(CENT / 2) / CENT;
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}

/// A count with commas between thousands: `12,345`.
#[must_use]
pub fn grouped(count: impl Into<u128>) -> String {
    let digits = count.into().to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with what is counted: `1 turn`, `12 turns`.
#[must_use]
pub fn counted(count: u64, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {one}{ending}", grouped(count))
}

/// Tokens in thousands, millions and so on: `999`, `1.2k`, `12M`.
#[must_use]
pub fn short(count: u64) -> String {
    const UNITS: [(u128, &str); 4] = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    let count = u128::from(count);
    // What rounds to a whole unit is told in it: 999,950 is 1.0M, not 1000k.
    let unit = UNITS.iter().find(|(unit, _)| count.saturating_mul(1_000) >= unit.saturating_mul(1_000) - unit / 2);
    let Some((unit, name)) = unit.filter(|_| count >= 1_000) else { return count.to_string() };
    let tenths = (count * 10 + unit / 2) / unit;
    if tenths < 100 { format!("{}.{}{name}", tenths / 10, tenths % 10) } else { format!("{}{name}", (tenths + 5) / 10) }
}

/// The size of something in bytes: `999 B`, `3.6 kB`, `12.0 MB`, rounded up.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut unit, mut name) = (1_000, "kB");
    for larger in ["MB", "GB", "TB"] {
        if bytes >= unit * 1_000 {
            (unit, name) = (unit * 1_000, larger);
        }
    }
    let tenths = (bytes.saturating_mul(10)).div_ceil(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// Seconds in at most two units: `350ms`, `3.2s`, `38s`, `3m 20s`, `2h 5m`, `3d 4h`. What is no duration (negative, not
/// a number) is a dash.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if seconds.is_nan() || seconds < 0.0 {
        return "-".to_owned();
    }
    let milliseconds = milliseconds(seconds);
    let (whole, tenths) = ((milliseconds + 500) / 1000, (milliseconds + 50) / 100);
    match whole {
        _ if milliseconds == 0 => "0s".to_owned(),
        _ if milliseconds < 1000 => format!("{milliseconds}ms"),
        _ if tenths < 100 => format!("{}.{}s", tenths / 10, tenths % 10),
        0..60 => format!("{whole}s"),
        60..3_600 => format!("{}m {}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}h {}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d {}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// A ratio as a percentage: `65%`; `<1%` for less than one, but not zero, and `>99%` for what is nearly all: only all of
/// it is `100%`.
#[must_use]
pub fn percent(ratio: f64) -> String {
    match ratio {
        _ if ratio > 0.0 && ratio < 0.01 => "<1%".to_owned(),
        _ if ratio > 0.99 && ratio < 1.0 => ">99%".to_owned(),
        _ => format!("{:.0}%", ratio * 100.0),
    }
}

/// A part of a whole as a percentage; a dash if there is no whole.
#[must_use]
pub fn share(part: Money, whole: Money) -> String {
    if whole <= Money::ZERO { "-".to_owned() } else { percent(part.to_f64() / whole.to_f64()) }
}

/// An amount of money as something that can be drawn; what is negative counts as nothing.
#[must_use]
pub fn amount(money: Money) -> u128 {
    u128::try_from(money.picousd()).unwrap_or(0)
}

/// Seconds in whole milliseconds, rounded down from nanoseconds; 0 for what is no duration.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
pub fn milliseconds(seconds: f64) -> u128 {
    (seconds * 1e9).round() as u128 / 1_000_000
}
