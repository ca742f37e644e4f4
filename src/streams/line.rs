//! What a line of a stream is, as far as it must be known to keep it once.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::mark::{self, Mark};

/// Most bytes of a line.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Seeds that keep the hash of a `uuid` apart from that of a whole line.
const SEEDS: [u64; 2] = [1, 2];

/// A line, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line of our own.
    Mark(Mark),
    /// A line of the client.
    Event {
        /// A hash of its `uuid`, or of all of it if it has none.
        identity: u64,
        /// The session that it names.
        session: Option<Cow<'a, str>>,
    },
    /// White space.
    Blank,
    /// No object of JSON, or a mark that is not as marks are.
    Unreadable,
}

/// Reads a line.
#[must_use]
pub fn read(line: &[u8]) -> Line<'_> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Line::Blank;
    }
    let head = std::str::from_utf8(line).ok().and_then(|text| serde_json::from_str::<Head<'_>>(text).ok());
    let Some(head) = head else { return Line::Unreadable };
    if head.kind.as_deref() == Some(mark::TYPE) {
        return mark::read(line).map_or(Line::Unreadable, Line::Mark);
    }
    let identity = match head.uuid.as_deref().filter(|uuid| !uuid.is_empty()) {
        Some(uuid) => xxh3_64_with_seed(uuid.as_bytes(), SEEDS[0]),
        None => whole(line),
    };
    Line::Event { identity, session: head.session.filter(|session| !session.is_empty()) }
}

/// The hash of a whole line, without the white space around it.
#[must_use]
pub fn whole(line: &[u8]) -> u64 {
    xxh3_64_with_seed(line.trim_ascii(), SEEDS[1])
}

/// The words of an event that are looked at. A value of another type is as none.
#[derive(Default)]
struct Head<'a> {
    kind: Option<Cow<'a, str>>,
    uuid: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for Head<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        let mut head = Head::default();
        while let Some(Word(key)) = map.next_key()? {
            match key.as_deref() {
                Some("type") => head.kind = map.next_value::<Word<'de>>()?.0,
                Some("uuid") => head.uuid = map.next_value::<Word<'de>>()?.0,
                Some("session_id" | "sessionId") => head.session = map.next_value::<Word<'de>>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(head)
    }
}

/// A text; any other value is passed over.
struct Word<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
        Ok(Word(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
        Ok(Word(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Word<'de>, E> {
        Ok(Word(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Word<'de>, E> {
        Ok(Word(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Word<'de>, E> {
        Ok(Word(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Word<'de>, E> {
        Ok(Word(None))
    }

    fn visit_unit<E>(self) -> Result<Word<'de>, E> {
        Ok(Word(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Word<'de>, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Word(None))
    }
}
