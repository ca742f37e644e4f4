//! Names and labels of PromQL expressions, held against the catalogue and the recording rules.
//!
//! No parser: whether an expression is PromQL is for Prometheus to say. This finds the words and what they stand for.

use std::collections::{BTreeMap, BTreeSet};

use tailspan::views::metrics::catalog::{ALL, Label, MetricKind, Values};

/// What a word may stand for.
#[derive(Debug, Clone)]
struct Word {
    kind: MetricKind,
    labels: BTreeSet<String>,
}

/// All names that exist.
#[derive(Debug)]
pub(crate) struct Vocabulary(BTreeMap<String, Word>);

/// Labels that a scrape adds.
const TARGET: [&str; 2] = ["job", "instance"];
/// Series that Prometheus makes itself, and the labels that they have besides those of the target.
const OWN: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity"]),
];
/// What the process collector adds to every exporter.
const PROCESS: &[(&str, MetricKind)] = &[
    ("process_cpu_seconds_total", MetricKind::Counter),
    ("process_max_fds", MetricKind::Gauge),
    ("process_open_fds", MetricKind::Gauge),
    ("process_resident_memory_bytes", MetricKind::Gauge),
    ("process_start_time_seconds", MetricKind::Gauge),
    ("process_threads", MetricKind::Gauge),
    ("process_virtual_memory_bytes", MetricKind::Gauge),
];
const WITH_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// What follows the name of an aggregation.
const AGGREGATED: [&str; 2] = ["by", "without"];
const OTHER_WORDS: [&str; 9] = ["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "Inf"];
/// What only a counter may be given to, and what a counter must not be given to.
const FOR_COUNTERS: [&str; 4] = ["rate", "irate", "increase", "resets"];
const FOR_GAUGES: [&str; 8] = [
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "quantile_over_time",
];

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// Numbers, durations and operators.
    Mark(String),
}

impl Vocabulary {
    /// The catalogue, what Prometheus and the process collector add, and these recording rules.
    pub(crate) fn with<'a>(recorded: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = BTreeMap::new();
        let mut add = |name: String, kind, labels: &[&str]| {
            let labels = labels.iter().chain(&TARGET).map(|label| (*label).to_owned()).collect();
            words.insert(name, Word { kind, labels });
        };
        for metric in ALL {
            let (name, labels) = (metric.full_name(), metric.labels.iter().map(|label| label.name).collect::<Vec<_>>());
            if metric.kind == MetricKind::Histogram {
                add(format!("{name}_bucket"), MetricKind::Counter, &[labels.as_slice(), &["le"]].concat());
                add(format!("{name}_count"), MetricKind::Counter, &labels);
                add(format!("{name}_sum"), MetricKind::Counter, &labels);
            } else {
                add(name, metric.kind, &labels);
            }
        }
        OWN.iter().for_each(|(name, labels)| add((*name).to_owned(), MetricKind::Gauge, labels));
        PROCESS.iter().for_each(|(name, kind)| add((*name).to_owned(), *kind, &[]));
        for name in recorded {
            let labels = level(name).unwrap_or_else(|| panic!("{name} is not level:metric:operations"));
            add(name.to_owned(), MetricKind::Gauge, &labels.iter().map(String::as_str).collect::<Vec<_>>());
        }
        Self(words)
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is wrong with an expression.
    pub(crate) fn problems(&self, expression: &str) -> Vec<String> {
        let tokens = tokens(expression);
        let word = |at: usize| match tokens.get(at) {
            Some(Token::Word(word)) => Some(word.as_str()),
            _ => None,
        };
        let mark = |at: usize, mark: &str| tokens.get(at) == Some(&Token::Mark(mark.to_owned()));
        let mut problems = Vec::new();
        // `label_replace` and `count_values` make labels whose names are texts.
        let mut labels: BTreeSet<&str> = TARGET.into_iter().collect();
        labels
            .extend(tokens.iter().filter_map(|token| if let Token::Text(text) = token { Some(&**text) } else { None }));
        let (mut grouped, mut calls, mut at) = (Vec::new(), Vec::new(), 0);
        while at < tokens.len() {
            match &tokens[at] {
                Token::Word(list) if WITH_LABELS.contains(&list.as_str()) => {
                    let mut next = at + 1;
                    while mark(next, "(") || mark(next, ",") {
                        grouped.extend(word(next + 1));
                        next += if word(next + 1).is_some() { 2 } else { 1 };
                        // At the closing parenthesis, or before what has none.
                        at = next;
                    }
                }
                Token::Word(_) if word(at + 1).is_some_and(|list| AGGREGATED.contains(&list)) => {}
                Token::Word(call) if mark(at + 1, "(") => {
                    calls.push(call.as_str());
                    at += 1;
                }
                Token::Mark(open) if open == "(" => calls.push("("),
                Token::Mark(close) if close == ")" => drop(calls.pop()),
                Token::Word(name) if !OTHER_WORDS.contains(&name.as_str()) => {
                    let Some(found) = self.0.get(name) else {
                        problems.push(format!("there is no {name}"));
                        at += 1;
                        continue;
                    };
                    labels.extend(found.labels.iter().map(String::as_str));
                    problems.extend(misuse(name, found.kind, calls.iter().rev().find(|call| **call != "(")));
                    if mark(at + 1, "{") {
                        at = matchers(&tokens, at + 2, |label, value| problems.extend(found.wrong(name, label, value)));
                    }
                }
                Token::Mark(open) if open == "{" => at = matchers(&tokens, at + 1, |_, _| {}),
                _ => {}
            }
            at += 1;
        }
        problems
            .extend(grouped.iter().filter(|label| !labels.contains(*label)).map(|label| format!("no label {label}")));
        problems
    }
}

impl Word {
    fn wrong(&self, name: &str, label: &str, value: &str) -> Option<String> {
        if !self.labels.contains(label) {
            return Some(format!("{name} has no label {label}"));
        }
        let metric = ALL.iter().find(|metric| metric.full_name() == name)?;
        let known = metric.labels.iter().find(|own| own.name == label)?;
        (!may_be(known, value)).then(|| format!("{name}: {label} is never {value:?}"))
    }
}

/// Whether a label may have a value; patterns and variables may be anything.
fn may_be(label: &Label, value: &str) -> bool {
    let plain = value.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match label.values {
        Values::Closed(values) => !plain || values.contains(&value),
        Values::Open { .. } | Values::Said => true,
    }
}

fn misuse(name: &str, kind: MetricKind, call: Option<&&str>) -> Option<String> {
    let call = call?;
    match kind {
        MetricKind::Gauge if FOR_COUNTERS.contains(call) => Some(format!("{call} of the gauge {name}")),
        MetricKind::Counter if FOR_GAUGES.contains(call) => Some(format!("{call} of the counter {name}")),
        _ => None,
    }
}

/// Hands out the matchers from `at` on, and gives the place of the closing brace.
fn matchers(tokens: &[Token], mut at: usize, mut each: impl FnMut(&str, &str)) -> usize {
    while at < tokens.len() && tokens[at] != Token::Mark("}".to_owned()) {
        if let Token::Word(label) = &tokens[at] {
            let text =
                tokens[at..].iter().find_map(|token| if let Token::Text(text) = token { Some(text) } else { None });
            each(label, text.map_or("", String::as_str));
        }
        at += 1;
    }
    at
}

/// The labels besides job and instance that a recorded series has by its name; `None` if the name has another form.
pub(crate) fn level(name: &str) -> Option<Vec<String>> {
    let mut parts = name.split(':');
    let (level, metric, operations) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || metric.is_empty() || operations.is_empty() {
        return None;
    }
    let known: BTreeSet<_> = ALL.iter().flat_map(|metric| metric.labels).map(|label| label.name).collect();
    let (mut rest, mut labels) =
        (level.strip_prefix("instance").or_else(|| level.strip_prefix("tailspan"))?, Vec::new());
    while !rest.is_empty() {
        let label = known.iter().filter(|label| rest.strip_prefix('_').is_some_and(|rest| rest.starts_with(**label)));
        let longest = label.max_by_key(|label| label.len())?;
        rest = rest.strip_prefix('_')?.strip_prefix(longest)?;
        labels.push((*longest).to_owned());
    }
    Some(labels)
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut letters = expression.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(letter) = letters.next() {
        let mut run = |first: char, belongs: fn(char) -> bool| {
            let mut word = String::from(first);
            while let Some(next) = letters.next_if(|letter| belongs(*letter)) {
                word.push(next);
            }
            word
        };
        match letter {
            '"' | '\'' | '`' => {
                let mut text = String::new();
                while let Some(next) = letters.next().filter(|next| *next != letter) {
                    text.push(next);
                    if next == '\\' {
                        text.extend(letters.next());
                    }
                }
                tokens.push(Token::Text(text));
            }
            '#' => drop(run(letter, |letter| letter != '\n')),
            '0'..='9' => {
                tokens.push(Token::Mark(run(letter, |letter| letter.is_ascii_alphanumeric() || letter == '.')))
            }
            _ if letter.is_alphabetic() || letter == '_' => {
                let word = run(letter, |letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
                tokens.push(Token::Word(word));
            }
            // Durations are no words.
            '[' => tokens.push(Token::Mark(run(letter, |letter| letter != ']'))),
            _ if letter.is_whitespace() => {}
            _ => tokens.push(Token::Mark(letter.to_string())),
        }
    }
    tokens
}
