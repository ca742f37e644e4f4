//! A JSON reader that goes over a line once, takes the few fields that matter and skips the rest without copying it.
//!
//! - **Whole or not at all.** The grammar of RFC 8259 is checked in skipped parts too, so that a torn or damaged line
//!   is noticed. Two errors are accepted, as by the client: bytes that are not UTF-8, and halves of surrogate pairs.
//!   Both become U+FFFD when the text is decoded.
//! - **Lenient values.** A value of an unexpected type is skipped, and the rest of the line is read.
//! - **Lazy text.** Most bytes are text that nobody reads, so a string is decoded only when its text is asked for
//!   ([`Raw`]).

use std::borrow::Cow;

use super::json_string::{Raw, StringEnd, end_of_short_string, end_of_string};

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

pub(super) type ReadJson<T> = Result<T, NotJson>;

/// A type that is read from an object, key by key. Of a key that comes twice the last value counts, as in the client.
pub(super) trait Fields<'a>: Default {
    /// Reads the value of `key`: takes exactly one value from `json`.
    fn field(&mut self, key: &[u8], json: &mut Json<'a>) -> ReadJson<()>;

    /// Takes a string that stands in place of the object.
    fn text(&mut self, _text: Raw<'a>) {}

    /// Takes one element of an array that stands in place of the object.
    fn element(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        json.skip()
    }
}

/// A type that can be read from a JSON value. It is filled in place, because moving a large row costs more than reading
/// it.
pub(super) trait FromJson<'a>: Default {
    /// Reads the next value into `self`, which must be the [`Default`].
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()>;
}

impl<'a, T: Fields<'a>> FromJson<'a> for T {
    /// Reads an object, a string or an array; any other value is skipped and leaves the default.
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        match json.peek() {
            b'{' => json.members(|key, json| self.field(key, json)),
            b'[' => json.elements(|json| self.element(json)),
            b'"' => {
                self.text(json.string()?);
                Ok(())
            }
            _ => json.skip(),
        }
    }
}

/// Reads an array; any other value is skipped and leaves the list empty.
impl<'a, T: Fields<'a>> FromJson<'a> for Vec<T> {
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        if json.peek() != b'[' {
            return json.skip();
        }
        json.elements(|json| {
            self.push(json.value()?);
            Ok(())
        })
    }
}

/// Reads a string as it is written; any other value is skipped and leaves `None`.
impl<'a> FromJson<'a> for Option<Raw<'a>> {
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        if json.peek() != b'"' {
            return json.skip();
        }
        *self = Some(json.string()?);
        Ok(())
    }
}

/// Reads and decodes a string; any other value is skipped and leaves `None`.
impl<'a> FromJson<'a> for Option<Cow<'a, str>> {
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        *self = json.value::<Option<Raw<'_>>>()?.map(Raw::text);
        Ok(())
    }
}

/// JSON that is being read, and how far.
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads all of `bytes` as one value into `target`, which must be the [`Default`].
    pub(super) fn whole<T: FromJson<'a>>(bytes: &'a [u8], target: &mut T) -> ReadJson<()> {
        let mut json = Self::new(bytes);
        target.read(&mut json)?;
        json.end()
    }

    /// Reads the value that `bytes` begin with into `target`, which must be the [`Default`]. Returns the offset where
    /// the value ends or, as the error, the offset up to which the text was valid.
    pub(super) fn first<T: FromJson<'a>>(bytes: &'a [u8], target: &mut T) -> Result<usize, usize> {
        let mut json = Self::new(bytes);
        let read = target.read(&mut json);
        read.map(|()| json.at).map_err(|NotJson| json.at)
    }

    /// True if all of `bytes` is one value.
    pub(super) fn is_valid(bytes: &'a [u8]) -> bool {
        let mut json = Self::new(bytes);
        json.skip().is_ok() && json.end().is_ok()
    }

    fn end(&mut self) -> ReadJson<()> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { Err(NotJson) }
    }

    /// Reads the next value.
    pub(super) fn value<T: FromJson<'a>>(&mut self) -> ReadJson<T> {
        let mut value = T::default();
        value.read(self)?;
        Ok(value)
    }

    /// Reads the next value into `target`, whose old value is dropped.
    pub(super) fn replace<T: FromJson<'a>>(&mut self, target: &mut T) -> ReadJson<()> {
        *target = T::default();
        target.read(self)
    }

    /// [`Json::replace`], which also returns the value as it is written.
    pub(super) fn replace_seen<T: FromJson<'a>>(&mut self, target: &mut T) -> ReadJson<&'a [u8]> {
        self.peek();
        let start = self.at;
        self.replace(target)?;
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    /// Skips white space and returns the byte behind it without taking it; 0 at the end.
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    fn expect(&mut self, byte: u8) -> ReadJson<()> {
        if self.peek() != byte {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn members(&mut self, mut take: impl FnMut(&[u8], &mut Self) -> ReadJson<()>) -> ReadJson<()> {
        self.container(b'{', b'}', |json| {
            let key = json.key()?;
            if key.escaped() { take(key.text().as_bytes(), json) } else { take(key.bytes, json) }
        })
    }

    fn elements(&mut self, take: impl FnMut(&mut Self) -> ReadJson<()>) -> ReadJson<()> {
        self.container(b'[', b']', take)
    }

    /// Reads items between two brackets, divided by commas.
    fn container(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> ReadJson<()>) -> ReadJson<()> {
        self.expect(open)?;
        if self.peek() == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            let next = self.peek();
            self.at += 1;
            match next {
                b',' => {}
                next if next == close => return Ok(()),
                _ => return Err(NotJson),
            }
        }
    }

    /// Skips a value of any type. It does not recurse, because values may be nested to any depth.
    pub(super) fn skip(&mut self) -> ReadJson<()> {
        let mut open = Nesting::default();
        loop {
            match self.peek() {
                b'{' if self.opens(b'}') => {
                    self.key()?;
                    open.push(true);
                    continue;
                }
                b'[' if self.opens(b']') => {
                    open.push(false);
                    continue;
                }
                b'{' | b'[' => self.at += 1,
                b'"' => drop(self.string()?),
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => drop(self.number()?),
            }
            loop {
                let Some(is_object) = open.last() else { return Ok(()) };
                let next = self.peek();
                self.at += 1;
                match (next, is_object) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => open.pop(),
                    _ => return Err(NotJson),
                }
            }
        }
    }

    /// Takes an opening bracket. False if the closing one follows at once.
    fn opens(&mut self, close: u8) -> bool {
        self.at += 1;
        self.peek() != close
    }

    /// Reads a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> ReadJson<Raw<'a>> {
        if self.peek() != b'"' {
            return Err(NotJson);
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    fn literal(&mut self, word: &[u8]) -> ReadJson<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads the string whose opening quote is next.
    #[inline(always)]
    fn string(&mut self) -> ReadJson<Raw<'a>> {
        let start = self.at + 1;
        let text = self.bytes.get(start..).unwrap_or_default();
        let end = match end_of_short_string(text) {
            Some(length) => StringEnd { length, excess: 0 },
            None => end_of_string(text),
        };
        let bytes = text.get(..end.length).ok_or(NotJson)?;
        self.at = start + end.length + 1;
        Ok(Raw { bytes, excess: end.excess })
    }

    /// Reads a string of exactly `length` bytes that `parse` accepts, which saves the search for its end. `None` if
    /// there is no such string; then nothing is taken.
    pub(super) fn exactly<T>(&mut self, length: usize, parse: impl Fn(&[u8]) -> Option<T>) -> Option<(Raw<'a>, T)> {
        let start = self.at + 1;
        let bytes = self.bytes.get(start..start + length)?;
        if self.bytes.get(self.at) != Some(&b'"') || self.bytes.get(start + length) != Some(&b'"') {
            return None;
        }
        let value = parse(bytes)?;
        self.at = start + length + 1;
        Some((Raw { bytes, excess: 0 }, value))
    }

    /// Reads a number. Returns its text, and true if it has neither fraction nor exponent.
    fn number(&mut self) -> ReadJson<(&'a str, bool)> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.bytes.get(self.at).copied();
        let whole = self.digits();
        if whole == 0 || (whole > 1 && first == Some(b'0')) {
            return Err(NotJson);
        }
        let mut is_whole = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            is_whole = false;
            if self.digits() == 0 {
                return Err(NotJson);
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            is_whole = false;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(NotJson);
            }
        }
        let text = self.bytes.get(start..self.at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        Ok((text.unwrap_or_default(), is_whole))
    }

    /// Reads a whole number of at most 18 digits, which fits into 64 bits. `None` for any other; then nothing is taken.
    fn short_count(&mut self) -> Option<u64> {
        const DIGITS_MAX: usize = 18;
        let mut count = 0;
        let digits = self.bytes.get(self.at..)?.iter().take(DIGITS_MAX + 1);
        for (at, byte) in digits.enumerate() {
            match byte {
                b'0'..=b'9' => count = count * 10 + u64::from(byte - b'0'),
                b'.' | b'e' | b'E' => return None,
                _ => {
                    self.at += at;
                    return Some(count);
                }
            }
        }
        None
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }
}

/// The open objects and arrays, the innermost last; true stands for an object.
#[derive(Default)]
struct Nesting {
    /// The innermost ones, up to 64: one bit each, the last in the lowest.
    bits: u64,
    depth: usize,
    /// The ones around these, 64 in each number.
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

/// A count that is a number or, as some gateways write it, a number in a string.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Counted {
    Count(u64),
    /// A value that is not a count.
    Unreadable,
    /// No value, or `null`.
    #[default]
    None,
}

impl<'a> FromJson<'a> for Counted {
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        let count = match json.peek() {
            b'n' => return json.skip(),
            b'"' => json.string()?.text().trim().parse().ok().and_then(|number: f64| Scalar::Number(number).count()),
            _ => json.value::<Scalar>()?.count(),
        };
        *self = count.map_or(Self::Unreadable, Self::Count);
        Ok(())
    }
}

/// A number or a truth value; `None` for a value of another type.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Scalar {
    Count(u64),
    Number(f64),
    Truth(bool),
    #[default]
    None,
}

impl<'a> FromJson<'a> for Scalar {
    fn read(&mut self, json: &mut Json<'a>) -> ReadJson<()> {
        match json.peek() {
            b't' => {
                json.literal(b"true")?;
                *self = Self::Truth(true);
            }
            b'f' => {
                json.literal(b"false")?;
                *self = Self::Truth(false);
            }
            b'1'..=b'9' if let Some(count) = json.short_count() => *self = Self::Count(count),
            b'-' | b'0'..=b'9' => {
                let (text, is_whole) = json.number()?;
                let count = if is_whole { text.parse().ok().map(Self::Count) } else { None };
                *self = count.or_else(|| text.parse().ok().map(Self::Number)).unwrap_or_default();
            }
            _ => json.skip()?,
        }
        Ok(())
    }
}

impl Scalar {
    /// The value as a count. A floating point number is one if it is whole and from 0 to below 9e15.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(count),
            Self::Number(number) if (0.0..9.0e15).contains(&number) && number.fract() == 0.0 => Some(number as u64),
            _ => None,
        }
    }

    /// [`Scalar::count`], at most `u32::MAX`.
    pub(super) fn small(self) -> Option<u32> {
        self.count().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    #[expect(clippy::cast_precision_loss, reason = "money of a session is far below 2^53")]
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Number(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }

    pub(super) fn is_true(self) -> bool {
        self == Self::Truth(true)
    }
}
