//! The layout of the database: one tree, a one-byte prefix per kind of row, big-endian numbers so that ranges work.
//!
//! ```text
//! m name              meta: `schema`, `versions`, `prices`, `export_floor`, `looked_at`, `commit`, `content`, the highest
//!                     level of which the files may hold text (see `texts.rs`), `marked`, once rows `h` are complete,
//!                     and `history/` with the name of an endpoint: it misses no turn that ended since
//! f file:u32          a file: path, role, cursor, and the thread's context behind the cursor
//! s hash(session):16  a session: its sums, how it begins and ends, the client's account
//! r hash(session):16 kind:u8 first:i64 unit:u32
//!                     a unit of a session, turns (kind 0) apart from others (1), each in order of their first rows
//! w hash(session, agent):16
//!                     a sub-agent that a call or a side file named before any row of it was read
//! k hash(session):16 hash(fork):16
//!                     a session that was forked from another
//! n unit:16           the number of a unit, given out in the order in which units and sections are first seen
//! u number:u32        a unit (turn, loose rows, sub-agent), with its messages and tool calls if they are not too many
//! v unit:u32 position:u32
//!                     a section of a long unit: some of its messages and tool calls
//! i number:u32        the id of a unit or section and 64-bit hashes of its identities, packed; all of them are in memory
//!                     while running
//! a row:16            a sub-agent by the uuid of its first row, which is the id of its own trace: its unit
//! t metric,labels     a persisted total, absolute
//! p number:u32        a turn whose spans have not left yet: its unit
//! o sequence:u64      the outbox: when they were put in and spans of one resource, oldest first; numbers may have gaps,
//!                     and a request never goes over one
//! d sequence:u64      the one endpoint that a row of the outbox is for; a row without this is for all
//! e name              an OTLP endpoint: the number of the first row of the outbox that it has not taken yet
//! h unit:u32 name     what of a unit has left is in the outbox for this endpoint, or was taken by it: the numbers of the
//!                     first and the last row. See `marks.rs`
//! ```
//!
//! Large rows are numbered, because ids have no order: what is written together then lies together, and writing a first
//! scan touches a few pages of sled instead of all of them.
//!
//! A value is a format byte, the number of further parts, and postcard; above [`PART_BYTES_MAX`] it goes on at the
//! same key with a part number behind it. Then a hash of the whole stands before it: a reader may meet parts of two
//! commits.
//!
//! sled writes a page of its tree, up to [`PAGE_ROWS`] rows, as one piece. One that is larger than [`PIECE_BYTES_MAX`]
//! becomes a file of its own, which is made on the way and is never given back: [`PART_BYTES_MAX`] keeps every page below.
//! One commit is one batch on this tree: cursor, units, sessions, totals and outbox change together or not at all.

use crate::ledger::session::Member;
use crate::ledger::unit::UnitId;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// Version of this layout. Programs before layout 5 know no other number.
pub(super) const SCHEMA: u32 = 7;

/// Rows of a page of sled's tree at most: above 16 it is split when it is next visited (`Node::should_split` of 0.34.7),
/// and neighbours of up to 3 rows are merged into it before.
const PAGE_ROWS: usize = 24;

/// Bytes that sled writes as one piece at most: a quarter of a segment, less its header (`Log::reserve_inner`).
const PIECE_BYTES_MAX: usize = 128 << 10;

/// Largest value written under one key, in bytes.
pub(super) const PART_BYTES_MAX: usize = 5_000;

/// Bytes of a row beside its value, with what sled adds, at most.
const KEY_BYTES_MAX: usize = 256;

const _: () = assert!(PAGE_ROWS * (PART_BYTES_MAX + KEY_BYTES_MAX) < PIECE_BYTES_MAX, "no page becomes a file");

/// No kind of row, but how values are cut into parts: that has a version too.
pub(super) const PART: u8 = 0;
pub(super) const META: u8 = b'm';
pub(super) const FILE: u8 = b'f';
pub(super) const SESSION: u8 = b's';
pub(super) const MEMBER: u8 = b'r';
pub(super) const WAITING: u8 = b'w';
pub(super) const FORK: u8 = b'k';
pub(super) const NUMBER: u8 = b'n';
pub(super) const UNIT: u8 = b'u';
pub(super) const SECTION: u8 = b'v';
pub(super) const AGENT: u8 = b'a';
pub(super) const IDENTITIES: u8 = b'i';
pub(super) const TOTAL: u8 = b't';
pub(super) const PENDING: u8 = b'p';
pub(super) const OUTBOX: u8 = b'o';
pub(super) const CURSOR: u8 = b'e';
pub(super) const ADDRESSED: u8 = b'd';
pub(super) const MARK: u8 = b'h';

/// Kinds of a session's units.
const TURNS: u8 = 0;
const OTHERS: u8 = 1;

fn key(prefix: u8, rest: &[u8]) -> Vec<u8> {
    [&[prefix], rest].concat()
}

/// The meta row that holds the number of the last commit.
pub(super) const COMMIT: &str = "commit";

pub(super) fn meta(name: &str) -> Vec<u8> {
    key(META, name.as_bytes())
}

pub(super) fn file(number: FileNumber) -> Vec<u8> {
    key(FILE, &number.0.to_be_bytes())
}

/// A session in 16 bytes.
fn hashed(id: &SessionId) -> [u8; 16] {
    xxh3_128(id.0.as_bytes()).to_be_bytes()
}

pub(super) fn session(id: &SessionId) -> Vec<u8> {
    key(SESSION, &hashed(id))
}

/// What the keys of a session's units begin with: of all, or of its turns alone.
pub(super) fn members(session: &SessionId, turns: bool) -> Vec<u8> {
    let kind: &[u8] = if turns { &[TURNS] } else { &[] };
    key(MEMBER, &[&hashed(session), kind].concat())
}

pub(super) fn member(session: &SessionId, member: &Member, number: u32) -> Vec<u8> {
    let kind = if member.turn { TURNS } else { OTHERS };
    // With the first bit turned, times before 1970 come before those after it.
    let first = (member.first.0 ^ i64::MIN).to_be_bytes();
    key(MEMBER, &[&hashed(session), [kind].as_slice(), &first, &number.to_be_bytes()].concat())
}

/// The number of the unit at the end of a member's key.
pub(super) fn number_of_member(key: &[u8]) -> Option<u32> {
    const BYTES: usize = 1 + 16 + 1 + 8 + 4;
    let (_, number) = key.split_last_chunk().filter(|_| key.len() == BYTES)?;
    Some(u32::from_be_bytes(*number))
}

pub(super) fn waiting(session: &SessionId, agent: &AgentId) -> Vec<u8> {
    let both = xxh3_128_with_seed(agent.0.as_bytes(), xxh3_64(session.0.as_bytes()));
    key(WAITING, &both.to_be_bytes())
}

pub(super) fn forks(source: &SessionId) -> Vec<u8> {
    key(FORK, &hashed(source))
}

pub(super) fn fork(source: &SessionId, fork: &SessionId) -> Vec<u8> {
    key(FORK, &[hashed(source), hashed(fork)].concat())
}

pub(super) fn number(id: UnitId) -> Vec<u8> {
    key(NUMBER, &id.0.to_be_bytes())
}

pub(super) fn unit(number: u32) -> Vec<u8> {
    key(UNIT, &number.to_be_bytes())
}

/// What the keys of a unit's sections begin with.
pub(super) fn sections(unit: u32) -> Vec<u8> {
    key(SECTION, &unit.to_be_bytes())
}

pub(super) fn section(unit: u32, position: u32) -> Vec<u8> {
    key(SECTION, &[unit.to_be_bytes(), position.to_be_bytes()].concat())
}

pub(super) fn agent(first_row: RowId) -> Vec<u8> {
    key(AGENT, &first_row.0.to_be_bytes())
}

pub(super) fn identities(number: u32) -> Vec<u8> {
    key(IDENTITIES, &number.to_be_bytes())
}

/// A unit's id as a value.
pub(super) fn id_of(value: &[u8]) -> Option<UnitId> {
    Some(UnitId(u128::from_be_bytes(*value.first_chunk()?)))
}

pub(super) fn pending(number: u32) -> Vec<u8> {
    key(PENDING, &number.to_be_bytes())
}

pub(super) fn total(series: &[u8]) -> Vec<u8> {
    key(TOTAL, series)
}

pub(super) fn outbox(sequence: u64) -> Vec<u8> {
    key(OUTBOX, &sequence.to_be_bytes())
}

pub(super) fn cursor(endpoint: &str) -> Vec<u8> {
    key(CURSOR, endpoint.as_bytes())
}

/// True for the key of a further part of a file, session, unit, section or waiting sub-agent.
pub(super) fn is_further_part(key: &[u8]) -> bool {
    let own = match key.first().copied() {
        Some(FILE | UNIT) => 4,
        Some(SECTION) => 8,
        Some(SESSION | WAITING) => 16,
        _ => return false,
    };
    key.len() > 1 + own
}

pub(super) fn addressed(sequence: u64) -> Vec<u8> {
    key(ADDRESSED, &sequence.to_be_bytes())
}

/// What the keys of a unit's marks begin with.
pub(super) fn marks(unit: u32) -> Vec<u8> {
    key(MARK, &unit.to_be_bytes())
}

pub(super) fn mark(unit: u32, endpoint: &str) -> Vec<u8> {
    key(MARK, &[&unit.to_be_bytes(), endpoint.as_bytes()].concat())
}

/// The unit and the endpoint that the key of a mark names.
pub(super) fn of_mark(key: &[u8]) -> Option<(u32, &str)> {
    let (unit, endpoint) = key.get(1..)?.split_first_chunk()?;
    Some((u32::from_be_bytes(*unit), std::str::from_utf8(endpoint).ok()?))
}

/// The meta row that tells since when an endpoint misses nothing.
pub(super) fn history(endpoint: &str) -> Vec<u8> {
    meta(&format!("history/{endpoint}"))
}

/// Key of a further part of a value.
pub(super) fn part(main: &[u8], number: u16) -> Vec<u8> {
    [main, &number.to_be_bytes()].concat()
}

/// The same up to layout 4.
pub(super) fn narrow_part(main: &[u8], number: u16) -> Vec<u8> {
    [main, &[u8::try_from(number).unwrap_or(u8::MAX)]].concat()
}

/// The number behind the prefix of a key with 16 bytes; `None` for the key of a further part.
pub(super) fn number16(key: &[u8]) -> Option<u128> {
    key.get(1..)?.try_into().ok().map(u128::from_be_bytes)
}

/// The number behind the prefix of a key with 8 bytes.
pub(super) fn number8(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The number behind the prefix of a key with 4 bytes.
pub(super) fn number4(key: &[u8]) -> Option<u32> {
    key.get(1..)?.try_into().ok().map(u32::from_be_bytes)
}
