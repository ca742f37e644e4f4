//! Identities: what makes a row, a message, a tool call or a session the same thing twice.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// A row's `uuid`, a `promptId` or a request id: 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowId(pub u128);

impl RowId {
    /// The 16 bytes of a UUID; of any other text its 128-bit hash, so that a strange id is still an identity.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(parse_uuid(text.as_bytes()).unwrap_or_else(|| xxh3_128(text.as_bytes())))
    }

    /// The 16 bytes of a UUID in its usual form; `None` if it is none.
    pub(super) fn of_uuid(text: &[u8]) -> Option<Self> {
        parse_uuid(text).map(Self)
    }
}

impl RowId {
    /// Bytes of [`RowId::to_text`].
    pub const TEXT_BYTES: usize = 36;

    /// The usual 8-4-4-4-12 form, in ASCII.
    #[must_use]
    pub fn to_text(self) -> [u8; Self::TEXT_BYTES] {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let mut text = [b'-'; Self::TEXT_BYTES];
        let mut rest = self.0;
        for (at, place) in text.iter_mut().enumerate().rev() {
            if !DASHES.contains(&at) {
                let [.., low] = rest.to_be_bytes();
                *place = b"0123456789abcdef".get(usize::from(low & 15)).copied().unwrap_or(b'0');
                rest >>= 4;
            }
        }
        text
    }
}

impl fmt::Display for RowId {
    /// The usual 8-4-4-4-12 form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

/// What a hexadecimal digit of any case is worth; 255 of what is none.
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a wrong index would not compile")]
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut byte = 0;
    while byte < digits.len() {
        digits[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            _ => u8::MAX,
        };
        byte += 1;
    }
    digits
};

/// Reads 8-4-4-4-12 hexadecimal digits of any case.
fn parse_uuid(bytes: &[u8]) -> Option<u128> {
    let bytes: &[u8; 36] = bytes.try_into().ok()?;
    let digits = |from: usize, to: usize| {
        let digits = bytes.get(from..to).unwrap_or_default();
        let mut wrong = 0;
        let value = digits.iter().fold(0u64, |value, digit| {
            let digit = DIGITS.get(usize::from(*digit)).copied().unwrap_or(u8::MAX);
            wrong |= digit;
            value << 4 | u64::from(digit & 15)
        });
        (wrong < 16).then_some(value)
    };
    if [bytes[8], bytes[13], bytes[18], bytes[23]] != [b'-'; 4] {
        return None;
    }
    let high = digits(0, 8)? << 32 | digits(9, 13)? << 16 | digits(14, 18)?;
    let low = digits(19, 23)? << 48 | digits(24, 36)?;
    Some(u128::from(high) << 64 | u128::from(low))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Arc<str>);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A session's id, a UUID in everything the client writes. Rows say it in `sessionId` (never `session_id`).
    SessionId
}
text_id! {
    /// A sub-agent's id: `a` and 16 hexadecimal digits (2.1), 7 digits (2.0).
    AgentId
}

impl RowId {
    /// The id of one of several things that a row tells; the first has the row's own.
    #[must_use]
    pub fn of_part(self, position: u32) -> Self {
        match position {
            0 => self,
            position => Self(xxh3_128_with_seed(&self.0.to_be_bytes(), u64::from(position))),
        }
    }
}

/// What divides a sub-agent's id, in that of a further run of it, from the first row of the run. No id holds it.
pub const RUN: char = '\u{1f}';

/// What divides a sub-agent's id from the session that its rows name, where a call tells of it. No id holds it.
const IN_SESSION: char = '\u{1e}';

impl AgentId {
    /// The id as the client tells it: that of the agent, for each of its runs.
    #[must_use]
    pub fn told(&self) -> &str {
        self.0.split([RUN, IN_SESSION]).next().unwrap_or(&self.0)
    }

    /// The id together with the session that the sub-agent's rows name. A call may belong to another one: to that which a
    /// fork was made of, or to that which goes on with it in the background.
    #[must_use]
    pub fn in_session(&self, session: &SessionId) -> Self {
        Self(format!("{}{IN_SESSION}{}", self.0, session.0).into())
    }

    /// The id without a session.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.0.split(IN_SESSION).next().unwrap_or(&self.0)
    }

    /// The id, and the session if it tells one.
    #[must_use]
    pub fn split(&self) -> (Self, Option<SessionId>) {
        match self.0.split_once(IN_SESSION) {
            Some((id, session)) => (Self(id.into()), Some(SessionId(session.into()))),
            None => (self.clone(), None),
        }
    }

    /// [`AgentId::told`], shared where it is the whole id.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        let told = self.told();
        if told.len() == self.0.len() { Arc::clone(&self.0) } else { told.into() }
    }
}
