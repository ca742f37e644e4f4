//! A rule as it is written, and what can be wrong with it.

use super::event::Event;

/// A rule as it is written in `[[metrics.custom]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleText {
    /// The name without `tailspan_custom_` and `_total`.
    pub name: String,
    /// What is counted, as a sentence.
    pub help: String,
    /// The kind of event.
    pub on: Event,
    /// A condition; without one every event of the kind counts.
    pub when: Option<String>,
    /// A number; 1 without one.
    pub value: Option<String>,
    /// What becomes of the numbers.
    pub kind: Kind,
    /// Labels: their names, and an expression for the value of each.
    pub labels: Vec<(String, String)>,
}

/// What becomes of the numbers that a rule says.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// They are added up.
    Counter,
    /// They are counted by size; the upper bounds of the buckets, ascending, without the infinite one.
    Histogram(Vec<f64>),
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    /// Position of the rule, from 0.
    pub rule: usize,
    /// The key in the rule, `when` or `labels.project` for example.
    pub key: String,
    /// Line and column in the text of the key's value, both from 1; `None` if the value as a whole is wrong.
    pub at: Option<(usize, usize)>,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// What is wrong with one expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Line and column, both from 1.
    pub at: (usize, usize),
    pub message: String,
}

/// Most rules.
const RULES_MAX: usize = 100;
/// Most labels of a rule.
const LABELS_MAX: usize = 8;
/// Most buckets of a histogram.
const BUCKETS_MAX: usize = 64;
/// Longest name of a rule or label, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest expression, in bytes.
pub(super) const EXPRESSION_BYTES_MAX: usize = 4096;
/// Labels that scrapers and histograms use themselves.
const RESERVED: [&str; 4] = ["job", "instance", "le", "quantile"];

/// The name of the metric of a rule, without the prefix of all metrics.
pub(super) fn metric_name(rule: &RuleText) -> String {
    match rule.kind {
        Kind::Counter => format!("custom_{}_total", rule.name),
        Kind::Histogram(_) => format!("custom_{}", rule.name),
    }
}

/// Checks everything but the expressions: names, labels, buckets, and that no two metrics have a sample of the same
/// name. `is_taken` says of the name of a metric, without the prefix of all metrics, whether there is one already.
pub(super) fn check(rules: &[RuleText], is_taken: impl Fn(&str) -> bool) -> Result<(), RuleError> {
    let refuse = |rule, key: &str, message: String| Err(RuleError { rule, key: key.to_owned(), at: None, message });
    if rules.len() > RULES_MAX {
        return refuse(RULES_MAX, "name", format!("there are {} rules, at most {RULES_MAX} are allowed", rules.len()));
    }
    for (position, rule) in rules.iter().enumerate() {
        if !is_name(&rule.name) {
            let message = format!(
                "{:?} is no name of a metric: letters, digits and _, not beginning with a digit, at most \
                 {NAME_BYTES_MAX} bytes",
                rule.name
            );
            return refuse(position, "name", message);
        }
        if rule.kind == Kind::Counter && rule.name.ends_with("_total") {
            return refuse(
                position,
                "name",
                format!("{:?} ends with _total, which is appended to every counter", rule.name),
            );
        }
        let own = metric_name(rule);
        let earlier =
            rules.iter().take(position).find(|other| samples(other).iter().any(|name| samples(rule).contains(name)));
        if let Some(earlier) = earlier {
            return refuse(
                position,
                "name",
                format!("tailspan_{own} has a sample of the same name as `{}`", earlier.name),
            );
        }
        if samples(rule).iter().any(|name| is_taken(name)) {
            return refuse(position, "name", format!("there is a metric tailspan_{own} already"));
        }
        if rule.help.trim().is_empty() {
            return refuse(position, "help", "the sentence that says what is counted is empty".to_owned());
        }
        labels(rule).or_else(|(key, message)| refuse(position, &key, message))?;
        buckets(&rule.kind).or_else(|message| refuse(position, "buckets", message))?;
    }
    Ok(())
}

fn labels(rule: &RuleText) -> Result<(), (String, String)> {
    if rule.labels.len() > LABELS_MAX {
        let message = format!("there are {} labels, at most {LABELS_MAX} are allowed", rule.labels.len());
        return Err(("labels".to_owned(), message));
    }
    for (name, _) in &rule.labels {
        let message = if RESERVED.contains(&name.as_str()) || name.starts_with("__") {
            "this name is used by Prometheus itself"
        } else if !is_name(name) {
            "a label is named with letters, digits and _, and does not begin with a digit"
        } else {
            continue;
        };
        return Err((format!("labels.{name}"), message.to_owned()));
    }
    Ok(())
}

fn buckets(kind: &Kind) -> Result<(), String> {
    let Kind::Histogram(bounds) = kind else { return Ok(()) };
    let ascends = bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|bound| bound.is_finite());
    let fits = (1..=BUCKETS_MAX).contains(&bounds.len()) && bounds.iter().all(|bound| bound.abs() <= 1e12);
    if ascends && fits {
        return Ok(());
    }
    Err(format!("a histogram has 1 to {BUCKETS_MAX} buckets: ascending upper bounds, each a number of at most 1e12"))
}

/// The names of the samples of a rule, and of its family.
fn samples(rule: &RuleText) -> Vec<String> {
    let base = format!("custom_{}", rule.name);
    let endings: &[&str] = match rule.kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Histogram(_) => &["", "_bucket", "_count", "_sum", "_created"],
    };
    endings.iter().map(|ending| format!("{base}{ending}")).collect()
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}
