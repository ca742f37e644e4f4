//! Makes JSON fit for an attribute: the result is JSON too, however much has to be left out.

use serde_json::{Map, Value as Json};

use super::cut::{clean, cut, head, unseen};
use super::level::VALUE_BYTES_MAX;
use crate::transcript::scrub::{names_secret, scrub, scrub_named};

/// Most elements that are kept. The first number is tried first; a smaller one is tried if the result is too long even
/// with empty strings.
const ELEMENTS_MAX: [usize; 6] = [512, 128, 32, 8, 2, 1];

/// Longest name of a member, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Endings of members that hold the value for a name in another member, as in `{"name": ..., "value": ...}`.
const VALUES: [&str; 2] = ["value", "content"];

/// Deepest nesting of arrays and objects that is kept; deeper ones become null.
const DEPTH_MAX: usize = 32;

/// `value` as text of at most [`VALUE_BYTES_MAX`] bytes, without secrets.
pub(super) fn fitted(value: &Json) -> String {
    for elements_max in ELEMENTS_MAX {
        let mut pruning = Pruning { elements_left: elements_max };
        let pruned = pruning.prune(value, None, 0);
        let text = |string_bytes_max: usize| {
            let text = shortened(&pruned, string_bytes_max).to_string();
            (text.len() <= VALUE_BYTES_MAX).then_some(text)
        };
        if let Some(text) = longest(text) {
            return text;
        }
    }
    "[]".to_owned()
}

/// The result of `text` for the longest strings with which it fits; `None` if it does not fit with empty strings.
/// `text` takes the longest allowed string in bytes.
fn longest(text: impl Fn(usize) -> Option<String>) -> Option<String> {
    // A longer string alone would not fit.
    let (mut low, mut high) = (0, VALUE_BYTES_MAX);
    if let Some(whole) = text(high) {
        return Some(whole);
    }
    let mut best = text(low)?;
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        match text(middle) {
            Some(fits) => (low, best) = (middle, fits),
            None => high = middle,
        }
    }
    Some(best)
}

struct Pruning {
    elements_left: usize,
}

/// A JSON value without secrets, in which each string has the number of bytes that are missing from it.
enum Pruned {
    /// A cleaned text, and how many bytes after it were not searched.
    Text(String, usize),
    Other(Json),
    Array(Vec<Pruned>),
    Object(Vec<(String, Pruned)>),
}

impl Pruning {
    /// Removes secrets from `value`. `name` is the name of the member that holds it; a name such as `password` says
    /// that the value is secret.
    fn prune(&mut self, value: &Json, name: Option<&str>, depth: usize) -> Pruned {
        self.elements_left = self.elements_left.saturating_sub(1);
        match value {
            Json::String(text) => Pruned::Text(without_secrets(head(text), name), unseen(text)),
            Json::Number(number) if name.is_some() => {
                let number_text = number.to_string();
                let scrubbed = without_secrets(&number_text, name);
                if scrubbed == number_text { Pruned::Other(value.clone()) } else { Pruned::Text(scrubbed, 0) }
            }
            Json::Array(_) | Json::Object(_) if depth >= DEPTH_MAX => Pruned::Other(Json::Null),
            Json::Array(elements) => {
                let mut kept = Vec::new();
                // An element may name the next one, as in `["--password", "..."]`.
                let mut before = None;
                for element in elements {
                    if self.elements_left == 0 {
                        break;
                    }
                    kept.push(self.prune(element, before.or(name), depth + 1));
                    before = element.as_str().filter(|text| names_secret(text));
                }
                Pruned::Array(kept)
            }
            Json::Object(members) => {
                let mut kept = Vec::new();
                // A member may name the value of another one, as in `{"name": "DB_PASSWORD", "value": "..."}`.
                let beside = members.values().filter_map(Json::as_str).find(|text| names_secret(text));
                for (own, member) in members {
                    if self.elements_left == 0 {
                        break;
                    }
                    let shown = cut(&scrub(head(own)), unseen(own), NAME_BYTES_MAX);
                    let outer = name.filter(|name| names_secret(name));
                    let is_value = VALUES.iter().any(|value| own.to_ascii_lowercase().ends_with(value));
                    let telling = if names_secret(own) { None } else { outer.or(beside.filter(|_| is_value)) };
                    kept.push((shown, self.prune(member, Some(telling.unwrap_or(own)), depth + 1)));
                }
                Pruned::Object(kept)
            }
            other => Pruned::Other(other.clone()),
        }
    }
}

fn without_secrets(text: &str, name: Option<&str>) -> String {
    clean(&name.map_or_else(|| scrub(text), |name| scrub_named(name, text)))
}

/// The value with every string cut to `string_bytes_max`.
fn shortened(value: &Pruned, string_bytes_max: usize) -> Json {
    match value {
        Pruned::Text(text, unseen) => Json::String(cut(text, *unseen, string_bytes_max)),
        Pruned::Other(value) => value.clone(),
        Pruned::Array(elements) => elements.iter().map(|element| shortened(element, string_bytes_max)).collect(),
        Pruned::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), shortened(member, string_bytes_max)));
            Json::Object(members.collect::<Map<_, _>>())
        }
    }
}
