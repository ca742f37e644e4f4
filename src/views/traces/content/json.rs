//! JSON made fit for an attribute: it stays JSON, however much has to go.

use serde_json::{Map, Value as Json};

use super::cut::{clean, cut, head, unseen};
use super::level::VALUE_BYTES_MAX;
use crate::transcript::scrub::{names_secret, scrub, scrub_named};

/// Elements that are looked at, most first: fewer are tried if the names alone are too much.
const ELEMENTS_MAX: [usize; 6] = [512, 128, 32, 8, 2, 1];

/// Longest name of a member, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// How members that hold the value of a name beside them end.
const VALUES: [&str; 2] = ["value", "content"];

/// Members and elements inside one another; what is deeper is left out.
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

/// The text with the longest strings that fits.
fn longest(text: impl Fn(usize) -> Option<String>) -> Option<String> {
    // A longer string would not fit by itself.
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

/// A value without secrets, with strings that know their length.
enum Pruned {
    /// Cleaned, and how many bytes of it were not looked at.
    Text(String, usize),
    Other(Json),
    Array(Vec<Pruned>),
    Object(Vec<(String, Pruned)>),
}

impl Pruning {
    /// `name` is what the value is called.
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
                // `["--password", "..."]`: a word may be the name of the next.
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
                // `{"name": "DB_PASSWORD", "value": "..."}`: the name of a value may stand beside it.
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

/// The value with no string longer than that.
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
