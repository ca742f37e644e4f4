//! What makes a unit, and each thing counted in it, the same thing twice.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

use crate::transcript::ids::{AgentId, RUN, RowId, SessionId};
use crate::transcript::time::Timestamp;

/// More levels than any chain of sub-agents has: damaged files can tell of circles.
pub const LEVELS_MAX: usize = 64;

/// What a unit is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnitKey {
    /// A turn, by the `uuid` of its prompt row. Copies in forks keep the uuid, so they are the same turn.
    Turn(RowId),
    /// Rows before the first prompt of a file, by the `uuid` of the first.
    Loose(RowId),
    /// A sub-agent of a session.
    Agent(SessionId, AgentId),
}

/// How the made-up id of an inline sub-agent begins; the `uuid` of its first row follows.
pub const INLINE: &str = "inline-";

/// A unit's key in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u128);

impl UnitId {
    /// Seed of the hashes that are ids of sections.
    const SECTION: u64 = 4;

    /// Seed of the hashes of ids, which must not meet those of identities.
    const ITSELF: u64 = 5;

    /// The id of one of the unit's sections.
    #[must_use]
    pub fn section(self, position: u32) -> Self {
        let seed = Self::SECTION << 32 | u64::from(position);
        Self(xxh3_128_with_seed(&self.0.to_be_bytes(), seed))
    }

    /// 64 bits for the index in memory: where the unit or section itself is.
    #[must_use]
    pub fn hash(self) -> u64 {
        xxh3_64_with_seed(&self.0.to_be_bytes(), Self::ITSELF)
    }
}

impl UnitKey {
    /// Seeds of hashes: the kinds of keys must not meet.
    const LOOSE: u64 = 1;
    const AGENT: u64 = 2;

    /// The key of a sub-agent of a session, or of the one that its id names. An inline one (clients before 2.0) has no id of its own and is known by its first row,
    /// which a fork copies: it is the same in every session.
    #[must_use]
    pub fn agent(session: &SessionId, agent: &AgentId) -> Self {
        let (agent, named) = agent.split();
        let is_inline = agent.0.starts_with(INLINE);
        let session = if is_inline { SessionId("".into()) } else { named.unwrap_or_else(|| session.clone()) };
        Self::Agent(session, agent)
    }

    /// The key of the inline sub-agent whose first row is `row`.
    #[must_use]
    pub fn inline(row: RowId) -> Self {
        Self::Agent(SessionId("".into()), AgentId(format!("{INLINE}{row}").into()))
    }

    /// [`UnitKey::id`] of [`UnitKey::inline`], without making a text of it.
    #[must_use]
    pub fn inline_id(row: RowId) -> UnitId {
        let mut agent = [0; INLINE.len() + RowId::TEXT_BYTES];
        let (name, id) = agent.split_at_mut(INLINE.len());
        name.copy_from_slice(INLINE.as_bytes());
        id.copy_from_slice(&row.to_text());
        Self::agent_id(b"", &agent)
    }

    /// The key of a further run of a sub-agent, which begins with the prompt `row`.
    #[must_use]
    pub fn run(&self, row: RowId) -> Option<Self> {
        let Self::Agent(session, agent) = self else { return None };
        Some(Self::Agent(session.clone(), AgentId(format!("{}{RUN}{row}", agent.told()).into())))
    }

    /// The key of a sub-agent itself, by that of any of its runs.
    #[must_use]
    pub fn first_run(&self) -> Option<Self> {
        let Self::Agent(session, agent) = self else { return None };
        Some(Self::Agent(session.clone(), AgentId(agent.shared())))
    }

    /// True for a sub-agent, but for its further runs.
    #[must_use]
    pub fn is_first_run(&self) -> bool {
        matches!(self, Self::Agent(_, agent) if agent.told().len() == agent.0.len())
    }

    fn agent_id(session: &[u8], agent: &[u8]) -> UnitId {
        UnitId(xxh3_128_with_seed(agent, xxh3_64_with_seed(session, Self::AGENT)))
    }

    /// The key in 16 bytes; of a turn, the uuid of its prompt.
    #[must_use]
    pub fn id(&self) -> UnitId {
        match self {
            Self::Turn(row) => UnitId(row.0),
            Self::Loose(row) => UnitId(xxh3_128_with_seed(&row.0.to_be_bytes(), Self::LOOSE)),
            Self::Agent(session, agent) => Self::agent_id(session.0.as_bytes(), agent.0.as_bytes()),
        }
    }
}

/// What an identity is the identity of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// `message.id`
    Message(&'a str),
    /// `tool_use.id`
    Call(&'a str),
    /// `tool_use.id` of a call that started a sub-agent, known before the call itself.
    Link(&'a str),
    /// `uuid` of a row that counts once.
    Row(RowId),
    /// A sub-agent's own id.
    Agent(&'a str),
    /// A block of a prompt: its time, and the hash of its text.
    Said(Timestamp, u64),
    /// A row of a response whose id a gateway chose, by its `uuid`, with that id.
    NamedRow(&'a str, RowId),
    /// The same by its time and usage.
    NamedUsage(&'a str, Timestamp, u64),
}

impl Identity<'_> {
    /// 64 bits for the index in memory. The unit it leads to holds the whole id, so a collision costs a look, not money.
    #[must_use]
    pub fn hash(self) -> u64 {
        let (kind, text) = match self {
            Self::Row(row) => return xxh3_64(&row.0.to_be_bytes()),
            Self::Message(id) => (1, id),
            Self::Call(id) => (2, id),
            Self::Link(id) => (3, id),
            Self::Agent(id) => (6, id),
            Self::Said(time, text) => return xxh3_64_with_seed(&time.0.to_be_bytes(), text ^ 7),
            Self::NamedRow(id, row) => return xxh3_64_with_seed(&row.0.to_be_bytes(), xxh3_64(id.as_bytes()) ^ 8),
            Self::NamedUsage(id, time, usage) => {
                let place = [time.0.to_be_bytes(), usage.to_be_bytes()].concat();
                return xxh3_64_with_seed(&place, xxh3_64(id.as_bytes()) ^ 9);
            }
        };
        xxh3_64_with_seed(text.as_bytes(), kind)
    }
}
