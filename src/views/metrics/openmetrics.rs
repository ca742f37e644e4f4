//! The lines of OpenMetrics 1.0 that `/metrics` and the history have in common.

/// Units that a family's name may end with.
const UNITS: &[&str] = &["seconds", "bytes", "tokens", "usd"];

/// The lines before the samples of a family, of a counter without its `_total`.
#[must_use]
pub fn head(name: &str, kind: &str, help: &str) -> String {
    let is_unit = |unit: &&&str| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'));
    let unit = UNITS.iter().find(is_unit).map_or_else(String::new, |unit| format!("# UNIT {name} {unit}\n"));
    format!("# TYPE {name} {kind}\n{unit}# HELP {name} {}\n", escaped(help))
}

/// Labels in braces; nothing if there are none.
#[must_use]
pub fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let all: Vec<_> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// A bound as a canonical float. Between 0.0001 and 1,000,000, where all bounds are, that is how Rust writes one with a
/// point.
#[must_use]
pub fn bound(bound: f64) -> String {
    format!("{bound:?}")
}

/// A text as it may stand in quotes; the format escapes help texts in the same way.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
