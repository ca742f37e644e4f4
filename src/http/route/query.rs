//! The query of a request: decoded strictly, read by type, refused with what would be right.
//!
//! A parameter with an empty value counts as not given: forms and dashboard variables send all their fields.

use std::ops::RangeInclusive;

use crate::http::route::problem::Problem;
use crate::http::route::routes::Parameters;
use crate::text::percent_decoded;
use crate::transcript::time::Timestamp;

/// Decoded parameters, all of them known to the route; each at most once, unless the route is [`Parameters::Among`].
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    known: &'static [&'static str],
}

impl Query {
    pub(in crate::http) fn parse(raw: Option<&str>, parameters: Parameters) -> Result<Self, Problem> {
        let (known, strict) = match parameters {
            Parameters::Ignored => return Ok(Self::default()),
            Parameters::Only(known) => (known, true),
            Parameters::Among(known) => (known, false),
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.unwrap_or("").split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode_form(name)?, decode_form(value)?);
            if strict && pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Problem::bad_request(format!("the parameter `{name}` is given twice")));
            }
            pairs.push((name, value));
        }
        if !strict {
            pairs.retain(|(name, _)| known.contains(&name.as_str()));
        }
        let unknown: Vec<&str> =
            pairs.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() { Ok(Self { pairs, known }) } else { Err(unknown_parameters(&unknown, known)) }
    }

    /// The text of `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.known.contains(&name), "a handler reads only the parameters that its route declares");
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// Every text of `name`, where a route takes it more than once.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        debug_assert!(self.known.contains(&name), "a handler reads only the parameters that its route declares");
        self.pairs.iter().filter(move |(given, value)| given == name && !value.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The whole number `name`, within `range`.
    ///
    /// # Errors
    /// A bad parameter if it is not a number or outside `range`.
    pub fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let digits_only = value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse::<u64>() {
            Ok(number) if digits_only && range.contains(&number) => Ok(Some(number)),
            _ => {
                let takes = match (*range.start(), *range.end()) {
                    (start, u64::MAX) => format!("a whole number from {start}"),
                    (start, end) => format!("a whole number from {start} to {end}"),
                };
                Err(Problem::bad_parameter(name, &takes, value))
            }
        }
    }

    /// What the word `name` stands for in `choices`.
    ///
    /// # Errors
    /// A bad parameter if the word is none of `choices`.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
                Err(Problem::bad_parameter(name, &format!("one of {}", words.join(", ")), value))
            }
        }
    }

    /// The time `name` in milliseconds since 1970-01-01 UTC; a date alone is its first moment in UTC.
    ///
    /// # Errors
    /// A bad parameter if it is neither RFC 3339 nor `YYYY-MM-DD`.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        parse_time(value).map(Some).ok_or_else(|| {
            let takes = "a time in RFC 3339 (2026-01-31T09:30:00Z) or a date (2026-01-31)";
            Problem::bad_parameter(name, takes, value)
        })
    }
}

fn parse_time(value: &str) -> Option<i64> {
    let time = if value.contains('T') {
        // The `+` of an offset arrives as a space unless the client encoded it.
        Timestamp::parse(&value.replace(' ', "+"))
    } else {
        Timestamp::parse(&format!("{value}T00:00:00.000Z"))
    };
    time.map(|time| time.0)
}

fn unknown_parameters(unknown: &[&str], known: &[&str]) -> Problem {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let takes = if known.is_empty() { "no parameters".to_owned() } else { listed(known) };
    Problem::bad_request(format!("unknown: {}; this route takes {takes}", listed(unknown)))
}

fn decode_form(text: &str) -> Result<String, Problem> {
    decode_percent(&text.replace('+', " "))
}

/// Text with each `%XX` replaced by the byte that it stands for.
pub(in crate::http) fn decode_percent(text: &str) -> Result<String, Problem> {
    percent_decoded(text).ok_or_else(|| Problem::bad_request(format!("`{text}` is not percent-encoded UTF-8")))
}
