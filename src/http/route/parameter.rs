//! A parameter of a route: one description, by which it is read, refused and documented.
//!
//! A handler can read a value only by giving a [`Parameter`] to the [request](crate::http::route::request::Request),
//! and the request knows the parameters of its route. So a handler reads nothing that the route table does not
//! describe.

use std::fmt::Debug;

use crate::transcript::time::Timestamp;

/// A parameter; `kind` says how its text is read.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<K> {
    pub(in crate::http) about: About,
    pub(in crate::http) kind: K,
}

/// The properties of a parameter besides its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub name: &'static str,
    /// Other names of the same parameter. The first of all names that has a value counts.
    pub also: &'static [&'static str],
    pub place: ParameterPlace,
    /// Whether it may be given more than once.
    pub several: bool,
    /// Whether a request without it is refused.
    pub required: bool,
    /// The text that is read if none is given; `None` if there is no default.
    pub default: Option<&'static str>,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterPlace {
    /// In the path, as `{name}` of the pattern.
    Path,
    Query,
}

/// How the text of a parameter is read.
pub trait ParameterKind: Debug + Sync {
    type Value<'a>;

    /// The value; `None` if the kind does not take this text.
    fn read<'a>(&self, text: &'a str) -> Option<Self::Value<'a>>;

    /// Completes "`name` takes …".
    fn takes(&self) -> String;

    fn schema(&self) -> Schema;
}

/// The type of a parameter, as a description of the API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    Text,
    Whole {
        min: Option<u64>,
        max: Option<u64>,
    },
    Number,
    Boolean,
    OneOf(Vec<&'static str>),
    /// The name of something that is stored. A name that does not match this regular expression is refused, unless
    /// something that is stored has it.
    Name(&'static str),
    /// From one to `max` of some words, each once, with commas between them.
    ListOf {
        words: Vec<&'static str>,
        max: usize,
    },
    /// An amount of money from 0 to `max` US dollars.
    Dollars {
        max: u64,
    },
    /// A day of the calendar.
    Date,
    /// A time in RFC 3339.
    Time,
    /// A time in RFC 3339, or a date.
    TimeOrDate,
    /// The name of a time zone in the IANA database.
    TimeZone,
    /// A number with its unit.
    Duration,
    /// A name, a colon and a value.
    NameAndValue,
    /// Names and values as a JSON object.
    JsonObject,
}

/// A parameter of any kind, as the table lists it.
pub trait Described: Debug + Sync {
    fn about(&self) -> &About;

    fn schema(&self) -> Schema;

    /// Completes "`name` takes …".
    fn takes(&self) -> String;

    /// Whether the parameter takes this text.
    fn reads(&self, text: &str) -> bool;
}

impl<K: ParameterKind> Described for Parameter<K> {
    fn about(&self) -> &About {
        &self.about
    }

    fn schema(&self) -> Schema {
        self.kind.schema()
    }

    fn takes(&self) -> String {
        self.kind.takes()
    }

    fn reads(&self, text: &str) -> bool {
        self.kind.read(text).is_some()
    }
}

impl About {
    /// Whether this is one of its names.
    pub(in crate::http) fn is_called(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Its own name, then its other names.
    pub(in crate::http) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }
}

impl<K: ParameterKind> Parameter<K> {
    /// A part of the path.
    pub const fn path(name: &'static str, kind: K, meaning: &'static str) -> Self {
        Self::at(ParameterPlace::Path, name, kind, meaning)
    }

    /// A parameter of the query. One with an empty value counts as not given: forms and dashboard variables send all
    /// their fields.
    pub const fn query(name: &'static str, kind: K, meaning: &'static str) -> Self {
        Self::at(ParameterPlace::Query, name, kind, meaning)
    }

    const fn at(place: ParameterPlace, name: &'static str, kind: K, meaning: &'static str) -> Self {
        let required = matches!(place, ParameterPlace::Path);
        let about = About { name, also: &[], place, several: false, required, default: None, meaning };
        Self { about, kind }
    }

    /// The same parameter, which has other names too.
    #[must_use]
    pub const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.about.also = names;
        self
    }

    /// The same parameter, which may be given more than once.
    #[must_use]
    pub const fn several(mut self) -> Self {
        self.about.several = true;
        self
    }

    /// The same parameter, without which a request is refused.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.about.required = true;
        self
    }

    /// The same parameter, which is read as `text` if it is not given.
    #[must_use]
    pub const fn or(mut self, text: &'static str) -> Self {
        self.about.default = Some(text);
        self
    }
}

/// Any text.
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl ParameterKind for Text {
    type Value<'a> = &'a str;

    fn read<'a>(&self, text: &'a str) -> Option<&'a str> {
        Some(text)
    }

    fn takes(&self) -> String {
        "any text".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Text
    }
}

/// The name of something that is stored. What is no name of the usual form may be one all the same, so that all texts are
/// taken, and the handler refuses those that it finds nothing for.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// A regular expression that names of the usual form match, in the dialect of ECMA-262.
    pub pattern: &'static str,
}

impl ParameterKind for Name {
    type Value<'a> = &'a str;

    fn read<'a>(&self, text: &'a str) -> Option<&'a str> {
        Some(text)
    }

    fn takes(&self) -> String {
        "a name".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Name(self.pattern)
    }
}

/// A whole number, in digits alone.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    min: u64,
    max: Option<u64>,
}

impl Whole {
    pub const fn from(min: u64) -> Self {
        Self { min, max: None }
    }

    pub const fn within(min: u64, max: u64) -> Self {
        Self { min, max: Some(max) }
    }
}

impl ParameterKind for Whole {
    type Value<'a> = u64;

    fn read(&self, text: &str) -> Option<u64> {
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        (self.min..=self.max.unwrap_or(u64::MAX)).contains(&number).then_some(number)
    }

    fn takes(&self) -> String {
        match self.max {
            None => format!("a whole number from {}", self.min),
            Some(max) => format!("a whole number from {} to {max}", self.min),
        }
    }

    fn schema(&self) -> Schema {
        Schema::Whole { min: Some(self.min), max: self.max }
    }
}

/// A number with or without decimals.
#[derive(Debug, Clone, Copy)]
pub struct Number;

impl ParameterKind for Number {
    type Value<'a> = f64;

    fn read(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn takes(&self) -> String {
        "a number".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Number
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy)]
pub struct Boolean;

impl ParameterKind for Boolean {
    type Value<'a> = bool;

    fn read(&self, text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn takes(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Boolean
    }
}

/// One of some words, each with what it stands for.
#[derive(Debug, Clone, Copy)]
pub struct OneOf<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + Debug + Sync> ParameterKind for OneOf<T> {
    type Value<'a> = T;

    fn read(&self, text: &str) -> Option<T> {
        self.0.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
    }

    fn takes(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("one of {}", words.join(", "))
    }

    fn schema(&self) -> Schema {
        Schema::OneOf(self.0.iter().map(|(word, _)| *word).collect())
    }
}

/// A time in milliseconds since 1970-01-01 UTC; a date alone is its first moment in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Time;

impl ParameterKind for Time {
    type Value<'a> = i64;

    fn read(&self, text: &str) -> Option<i64> {
        if is_date(text) {
            return Timestamp::parse(&format!("{text}T00:00:00.000Z")).map(|time| time.0);
        }
        read_time(text).map(|time| time.0)
    }

    fn takes(&self) -> String {
        format!("{TIME} or a date (2026-01-31)")
    }

    fn schema(&self) -> Schema {
        Schema::TimeOrDate
    }
}

/// The words for what every kind of time takes.
pub(in crate::http) const TIME: &str = "a time in RFC 3339 (2026-01-31T09:30:00Z)";

/// Reads a time in RFC 3339.
pub(in crate::http) fn read_time(text: &str) -> Option<Timestamp> {
    // Clients often do not encode the `+` of an offset, and it arrives as a space.
    Timestamp::parse(&text.replace(' ', "+"))
}

/// Whether a text, which is a time or a date, is a date.
fn is_date(text: &str) -> bool {
    !text.contains('T')
}
