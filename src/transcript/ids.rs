//! Ids of rows, sessions and sub-agents, by which the same thing is recognised when it is read twice.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// Id of a row (`uuid`) or of a prompt (`promptId`), in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowId(pub u128);

impl RowId {
    /// The 16 bytes of a UUID. Any other text is an id too, by its xxh3-128.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(parse_uuid(text.as_bytes()).unwrap_or_else(|| xxh3_128(text.as_bytes())))
    }

    /// The 16 bytes of a UUID in the 8-4-4-4-12 form; `None` if the text has another form.
    pub(super) fn of_uuid(text: &[u8]) -> Option<Self> {
        parse_uuid(text).map(Self)
    }
}

impl RowId {
    /// Length of [`RowId::to_text`] in bytes.
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

/// The value of each byte as a hexadecimal digit of any case; 255 for other bytes.
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
    /// Id of a session (`sessionId`). The client always writes a UUID.
    SessionId
}
text_id! {
    /// Id of a sub-agent: `a` and 16 hexadecimal digits in clients of version 2.1, 7 digits in 2.0. Inside this crate
    /// it may also hold the run of the sub-agent and its session; see [`AgentId::told`].
    AgentId
}

impl RowId {
    /// The id of one of several facts that a row tells of, counted from 0. The first has the id of the row.
    #[must_use]
    pub fn of_part(self, position: u32) -> Self {
        match position {
            0 => self,
            position => Self(xxh3_128_with_seed(&self.0.to_be_bytes(), u64::from(position))),
        }
    }
}

/// Divides the id of a sub-agent from the id of the first row of a further run, in the id of that run. It occurs in no
/// id that the client writes.
pub const RUN: char = '\u{1f}';

/// Divides the id of a sub-agent from the session that its rows name. It occurs in no id that the client writes.
const IN_SESSION: char = '\u{1e}';

impl AgentId {
    /// The id as the client writes it, without run and session: the same for all runs of the sub-agent.
    #[must_use]
    pub fn told(&self) -> &str {
        self.0.split([RUN, IN_SESSION]).next().unwrap_or(&self.0)
    }

    /// The id together with the session that the sub-agent's rows name. The call that started it may be in another
    /// session: the one that was forked, or the one that goes on in the background.
    #[must_use]
    pub fn in_session(&self, session: &SessionId) -> Self {
        Self(format!("{}{IN_SESSION}{}", self.0, session.0).into())
    }

    /// The id without the session, but with the run.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.0.split(IN_SESSION).next().unwrap_or(&self.0)
    }

    /// The id without the session, and the session; `None` if the id has none.
    #[must_use]
    pub fn split(&self) -> (Self, Option<SessionId>) {
        match self.0.split_once(IN_SESSION) {
            Some((id, session)) => (Self(id.into()), Some(SessionId(session.into()))),
            None => (self.clone(), None),
        }
    }

    /// [`AgentId::told`] as a shared text; no copy is made if the id has neither run nor session.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        let told = self.told();
        if told.len() == self.0.len() { Arc::clone(&self.0) } else { told.into() }
    }
}
