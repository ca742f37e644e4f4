//! Reads durations as Go writes them: `300ms`, `1.5s`, `1m30s`.

const UNITS: [(&str, u64); 8] = [
    // Longer names come first, so that `ms` is not read as `m`.
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits after the point that are read: an hour has less than 10^13 nanoseconds.
const FRACTION_DIGITS: usize = 13;
/// One whole unit, counted in the last of these digits: 10^13.
const FRACTION_WHOLE: u128 = 10_000_000_000_000;

/// The duration in nanoseconds; `None` unless `text` is `0` or one or more decimal numbers, each with its unit. A
/// negative duration is `None` too, because no span has one.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, unit_on) = rest.split_at_checked(number_end)?;
        let (name, factor) = UNITS.iter().find(|(name, _)| unit_on.starts_with(name))?;
        sum = sum.checked_add(scaled(number, *factor)?)?;
        rest = unit_on.strip_prefix(name)?;
    }
    Some(sum)
}

/// A decimal number times a factor, without floating point. What is less than one nanosecond is cut off.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut digit_worth = FRACTION_WHOLE;
    let mut below_one = 0u128;
    for digit in fraction.bytes().take(FRACTION_DIGITS) {
        digit_worth /= 10;
        below_one += u128::from(digit - b'0') * digit_worth;
    }
    let below_one = u64::try_from(below_one * u128::from(factor) / FRACTION_WHOLE).ok()?;
    whole.checked_mul(factor)?.checked_add(below_one)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_read_as_in_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("100ms", 100_000_000),
            ("1.2s", 1_200_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+1s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h2m3.000000004s", 3_723_000_000_004),
            ("2us", 2_000),
            ("2\u{b5}s", 2_000),
            ("2\u{3bc}s", 2_000),
            ("7ns", 7),
            ("0.3h", 1_080_000_000_000),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
        for text in ["", "1", "s", ".s", "-1s", "1 s", "1d", "1.2.3s", "1s2", "99999999999h", "1e3s", "+", "1ms1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
