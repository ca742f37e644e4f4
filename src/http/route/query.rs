//! The query of a request, decoded strictly.

use crate::http::route::parameter::{About, Described, ParameterPlace};
use crate::http::route::problem::Problem;
use crate::text::percent_decoded;

/// How query parameters that a route does not describe are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// The query is not read at all. This is for pages and probes, to which anything may be appended.
    Unread,
    /// They are refused, so that a misspelt filter does not lead to an unfiltered answer. A name may be given only
    /// once, unless its parameter has [`several`](About::several).
    Refused,
    /// They are ignored, and every name may be given again. This is for another project's API, whose clients send more.
    PassedOver,
}

/// Decoded parameters, all of them described by the route.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(in crate::http) fn parse(
        raw: Option<&str>,
        others: Others,
        parameters: &[&dyn Described],
    ) -> Result<Self, Problem> {
        if others == Others::Unread {
            return Ok(Self::default());
        }
        let known: Vec<&About> =
            parameters.iter().map(|known| known.about()).filter(|about| about.place == ParameterPlace::Query).collect();
        let find = |name: &str| known.iter().find(|about| about.is_called(name));
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.unwrap_or("").split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode_form(name)?, decode_form(value)?);
            let is_again = || pairs.iter().any(|(earlier, _)| *earlier == name);
            if others == Others::Refused && !find(&name).is_some_and(|about| about.several) && is_again() {
                return Err(Problem::bad_request(format!("the parameter `{name}` is given twice")));
            }
            pairs.push((name, value));
        }
        if others == Others::PassedOver {
            pairs.retain(|(name, _)| find(name).is_some());
        }
        let unknown: Vec<&str> =
            pairs.iter().map(|(name, _)| name.as_str()).filter(|name| find(name).is_none()).collect();
        if unknown.is_empty() { Ok(Self { pairs }) } else { Err(unknown_parameters(&unknown, &known)) }
    }

    /// The first value of `name`; `None` if there is none or it is empty.
    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// Every value of a parameter that is not empty, with the name under which it is given.
    pub(in crate::http) fn texts(&self, about: &About) -> impl Iterator<Item = (&str, &str)> {
        let given = self.pairs.iter().filter(|(name, value)| about.is_called(name) && !value.is_empty());
        given.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A known name is named if it is at least so like the unknown one, from 0 to 1.
const LIKENESS_MIN: f64 = 0.4;

/// The known name that looks most like another; `None` if none looks like it.
pub(in crate::http) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.filter(|known| likeness(known) >= LIKENESS_MIN)
}

fn unknown_parameters(unknown: &[&str], known: &[&About]) -> Problem {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let names: Vec<&'static str> = known.iter().flat_map(|about| about.names()).collect();
    let takes = if names.is_empty() { "no parameters".to_owned() } else { listed(&names) };
    let alike = |name: &str| Some(format!("; the nearest to `{name}` is `{}`", nearest(name, &names)?));
    let nearest: String = unknown.iter().filter_map(|name| alike(name)).collect();
    Problem::bad_request(format!("unknown: {}{nearest}; this route takes {takes}", listed(unknown)))
}

fn decode_form(text: &str) -> Result<String, Problem> {
    decode_percent(&text.replace('+', " "))
}

/// Text with each `%XX` replaced by the byte that it stands for; fails if the text is not percent-encoded UTF-8.
pub(in crate::http) fn decode_percent(text: &str) -> Result<String, Problem> {
    percent_decoded(text).ok_or_else(|| Problem::bad_request(format!("`{text}` is not percent-encoded UTF-8")))
}
