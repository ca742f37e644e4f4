//! What a PromQL expression names, without understanding it: enough to hold names and labels against the catalogue.

use std::collections::BTreeSet;

/// A selector of a metric that starts with `tailspan_` or `process_`.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) name: String,
    pub(crate) matchers: Vec<Matcher>,
    /// What stands in its brackets.
    pub(crate) range: Option<String>,
    /// The function whose argument it is.
    pub(crate) function: String,
}

#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    operator: String,
    pub(crate) value: String,
}

impl Matcher {
    /// Operator and value.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.operator, self.value)
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

/// Positions outside of texts in quotes.
fn bare(expression: &str) -> Vec<bool> {
    let mut inside = false;
    let bytes = expression.bytes();
    bytes
        .map(|byte| {
            inside ^= byte == b'"';
            !inside && byte != b'"'
        })
        .collect()
}

/// Every selector, in order.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let bare = bare(expression);
    let mut found = Vec::new();
    let mut at = 0;
    while at < expression.len() {
        let word: String = expression[at..].chars().take_while(|letter| is_name(*letter)).collect();
        let metric = word.starts_with("tailspan_") || word.starts_with("process_");
        if bare[at] && metric {
            found.push(selector(expression, at, &word));
        }
        at += word.len().max(1);
    }
    found
}

fn selector(expression: &str, at: usize, name: &str) -> Selector {
    let before = expression[..at].trim_end();
    let function = before.strip_suffix('(').map_or("", |before| {
        let start = before.rfind(|letter| !is_name(letter)).map_or(0, |place| place + 1);
        &before[start..]
    });
    let mut rest = &expression[at + name.len()..];
    let mut matchers = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        // No value holds a brace.
        let (inside, after) = inner.split_once('}').unwrap();
        matchers.extend(inside.split(", ").filter(|one| !one.is_empty()).map(matcher));
        rest = after;
    }
    let range = rest.strip_prefix('[').map(|inner| inner.split_once(']').unwrap().0.to_owned());
    Selector { name: name.to_owned(), matchers, range, function: function.to_owned() }
}

fn matcher(text: &str) -> Matcher {
    let end = text.find(|letter| !is_name(letter)).unwrap();
    let (label, rest) = text.split_at(end);
    let (operator, value) = rest.split_once('"').unwrap();
    Matcher { label: label.to_owned(), operator: operator.to_owned(), value: value.trim_end_matches('"').to_owned() }
}

/// The labels of every `by (...)` and `on (...)`.
pub(crate) fn by_labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in [" by (", " on ("] {
        for part in expression.split(word).skip(1) {
            let inside = part.split(')').next().unwrap();
            found.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}

/// Labels that `label_replace` makes.
pub(crate) fn made_labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in expression.split("label_replace(").skip(1) {
        // The first text in quotes behind the argument, which has quotes only in braces.
        let mut depth = 0_i32;
        let argument = part.find(|letter: char| {
            depth += i32::from(letter == '{' || letter == '(') - i32::from(letter == '}' || letter == ')');
            letter == ',' && depth == 0
        });
        let text = &part[argument.unwrap()..];
        found.insert(text.split('"').nth(1).unwrap().to_owned());
    }
    found
}
