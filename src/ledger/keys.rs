//! Identities: by what a unit, and each thing counted in it, is recognised when it is read again.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

use crate::transcript::ids::{AgentId, RUN, RowId, SessionId};
use crate::transcript::time::Timestamp;

/// How many levels of sub-agents are followed at most. No real chain is that long, but damaged files can describe
/// circles.
pub const LEVELS_MAX: usize = 64;

/// What a unit stands for: a turn, a loose unit or a sub-agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnitKey {
    /// A turn, by the `uuid` of its prompt row. Copies in forks keep the uuid, so they are the same turn.
    Turn(RowId),
    /// A loose unit: rows before the first prompt of a file, by the `uuid` of the first one. Also a compaction between
    /// turns.
    Loose(RowId),
    /// A sub-agent of a session.
    Agent(SessionId, AgentId),
}

/// The beginning of the id that is made for an inline sub-agent; the `uuid` of its first row follows.
pub const INLINE: &str = "inline-";

/// The key of a unit, or of one of its sections, in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u128);

impl UnitId {
    /// Seed of the hashes that are ids of sections.
    const SECTION: u64 = 4;

    /// Seed of [`UnitId::hash`], so that these hashes differ from those of identities.
    const ITSELF: u64 = 5;

    /// The id of one of the unit's sections.
    #[must_use]
    pub fn section(self, position: u32) -> Self {
        let seed = Self::SECTION << 32 | u64::from(position);
        Self(xxh3_128_with_seed(&self.0.to_be_bytes(), seed))
    }

    /// A hash of 64 bits, by which the index in memory finds the unit or section.
    #[must_use]
    pub fn hash(self) -> u64 {
        xxh3_64_with_seed(&self.0.to_be_bytes(), Self::ITSELF)
    }
}

impl UnitKey {
    /// Seeds of hashes, so that different kinds of keys have different ids.
    const LOOSE: u64 = 1;
    const AGENT: u64 = 2;

    /// The key of a sub-agent of a session, or of the session that its id names. An inline sub-agent (clients before
    /// 2.0) is identified by its first row alone: its key has no session, since a fork copies that row.
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

    /// [`UnitKey::id`] of [`UnitKey::inline`], without allocating its text.
    #[must_use]
    pub fn inline_id(row: RowId) -> UnitId {
        let mut agent = [0; INLINE.len() + RowId::TEXT_BYTES];
        let (name, id) = agent.split_at_mut(INLINE.len());
        name.copy_from_slice(INLINE.as_bytes());
        id.copy_from_slice(&row.to_text());
        Self::agent_id(b"", &agent)
    }

    /// The key of a further run of a sub-agent, which begins with the prompt `row`; `None` if this is no sub-agent.
    #[must_use]
    pub fn run(&self, row: RowId) -> Option<Self> {
        let Self::Agent(session, agent) = self else { return None };
        Some(Self::Agent(session.clone(), AgentId(format!("{}{RUN}{row}", agent.told()).into())))
    }

    /// The key of the first run of a sub-agent, from the key of any run; `None` if this is no sub-agent.
    #[must_use]
    pub fn first_run(&self) -> Option<Self> {
        let Self::Agent(session, agent) = self else { return None };
        Some(Self::Agent(session.clone(), AgentId(agent.shared())))
    }

    /// True for the first run of a sub-agent.
    #[must_use]
    pub fn is_first_run(&self) -> bool {
        matches!(self, Self::Agent(_, agent) if agent.told().len() == agent.0.len())
    }

    fn agent_id(session: &[u8], agent: &[u8]) -> UnitId {
        UnitId(xxh3_128_with_seed(agent, xxh3_64_with_seed(session, Self::AGENT)))
    }

    /// The key in 16 bytes: for a turn the `uuid` of its prompt, otherwise a hash.
    #[must_use]
    pub fn id(&self) -> UnitId {
        match self {
            Self::Turn(row) => UnitId(row.0),
            Self::Loose(row) => UnitId(xxh3_128_with_seed(&row.0.to_be_bytes(), Self::LOOSE)),
            Self::Agent(session, agent) => Self::agent_id(session.0.as_bytes(), agent.0.as_bytes()),
        }
    }
}

/// An identity, by the kind of thing that it identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// `message.id`
    Message(&'a str),
    /// `tool_use.id`
    Call(&'a str),
    /// `tool_use.id` of a call that started a sub-agent, known before the call itself.
    Link(&'a str),
    /// `uuid` of a row that is counted by itself.
    Row(RowId),
    /// A sub-agent's own id.
    Agent(&'a str),
    /// A block of a prompt: the time of the prompt, and the hash of the block's text.
    Said(Timestamp, u64),
    /// A row of a response whose id a gateway chose: that id, and the `uuid` of the row.
    NamedRow(&'a str, RowId),
    /// The same row by the chosen id, the time of the row, and the hash of its usage.
    NamedUsage(&'a str, Timestamp, u64),
}

impl Identity<'_> {
    /// A hash of 64 bits for the index in memory. The unit that it leads to holds the whole id, which is compared, so a
    /// collision does not count anything wrong.
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
