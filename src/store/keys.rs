//! The layout of the database. It is one tree; a key begins with one byte for the kind of row, and numbers in keys are
//! big-endian, so that their order is that of the keys.
//!
//! ```text
//! m name              meta: `schema`, `versions`, `prices`, `export_floor`, `looked_at`, `commit`, `content`, the
//!                     highest level of which the files may hold text (see `texts.rs`), `cells`, the next unit whose
//!                     cells are to be made, while some are missing (see `cells.rs`), `marked`, once there are rows
//!                     `h` for everything that has left, and `history/` with the name of an endpoint: since when it
//!                     misses no turn; `events`, when the log of events was begun
//! f file:u32          a file: path, role, cursor, and the thread's context behind the cursor
//! s hash(session):16  a session: its sums, how it begins and ends, the cost that the client reported
//! r hash(session):16 kind:u8 first:i64 unit:u32
//!                     a unit of a session, turns (kind 0) apart from others (1), each in order of their first rows
//! w hash(session, agent):16
//!                     a sub-agent that a call or a side file named before any row of it was read
//! k hash(session):16 hash(fork):16
//!                     a session that was forked from another
//! n unit:16           the number of a unit or section; they are numbered in the order in which they are first seen
//! u number:u32        a unit (turn, loose rows, sub-agent), with its messages and tool calls if they are not too many
//! v unit:u32 position:u32
//!                     a section of a long unit: some of its messages and tool calls
//! c unit:u32 [position:u32]
//!                     the cells of a unit, or of one of its sections: what they come to in each quarter hour
//! x unit:u32 [position:u32]
//!                     what the rules of custom metrics extracted of texts of a unit, or of one of its sections; see
//!                     `extracts.rs`
//! i number:u32        the id of a unit or section and 64-bit hashes of its identities, packed; all of them are in
//!                     memory while the sidecar runs
//! a row:16            a sub-agent by the uuid of its first row, which is the id of its own trace: its unit
//! t metric,labels     a persisted total, absolute
//! p number:u32        a turn whose spans have not left yet: its unit
//! o sequence:u64      a row of the outbox: when it was put in, and spans of one resource; numbers may have gaps, and
//!                     no request goes over a gap
//! d sequence:u64      the one endpoint that a row of the outbox is for; a row without this is for all
//! e name              an OTLP endpoint: the number of the first row of the outbox that it has not taken yet
//! y hash(session):16  a session that ended for its age: the numbers of its units, of which the rows `i` and `n` stay, and what
//!                     it spent; see `retire.rs`. Its row `s` stays too, without what only a person reads
//! j run:16            a run: a process of the client whose stream was passed on
//! q sequence:u64      events that a commit told, by the number of the first; see `events.rs`
//! l window 0 at:i64   a look at a limit of the account, the present one behind the rows; see `limits.rs`
//! h unit:u32 name     a mark: the spans of a unit that have left are in the outbox for this endpoint, or were taken by
//!                     it; the numbers of the first and the last row. See `marks.rs`
//! ```
//!
//! Large rows have numbers as keys, because ids have no order: rows that are written together then lie together, and a
//! first scan writes to a few pages of sled and not to all of them.
//!
//! A value is a format byte, the number of further parts, and the value in postcard. Beyond [`PART_BYTES_MAX`] it goes
//! on in further rows, whose keys are the same key with a part number behind it. Then a hash of the whole value stands
//! before it, because a reader may meet parts of two commits.
//!
//! sled writes a page of its tree, which has up to [`PAGE_ROWS`] rows, as one piece. A piece of more than
//! [`PIECE_BYTES_MAX`] would become a file of its own, which is never removed; [`PART_BYTES_MAX`] keeps every page
//! smaller. One commit is one batch on this tree: cursor, units, sessions, totals and outbox change together or not at
//! all.

use crate::ledger::session::Member;
use crate::ledger::unit::UnitId;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// Version of this layout. Programs before layout 5 check only this number, not the versions of rows.
pub(super) const SCHEMA: u32 = 9;

/// Most rows of a page of sled's tree: a page of more than 16 rows is split when it is next visited, and neighbours of
/// up to 3 rows may be merged into it before. Source: `Node::should_split` of sled 0.34.7.
const PAGE_ROWS: usize = 24;

/// Most bytes that sled writes as one piece: a quarter of a segment, less its header. Source: `Log::reserve_inner`.
const PIECE_BYTES_MAX: usize = 128 << 10;

/// Largest value written under one key, in bytes.
pub(super) const PART_BYTES_MAX: usize = 5_000;

/// Most bytes of a row besides its value, with what sled adds.
const KEY_BYTES_MAX: usize = 256;

const _: () = assert!(PAGE_ROWS * (PART_BYTES_MAX + KEY_BYTES_MAX) < PIECE_BYTES_MAX, "no page becomes a file");

/// Not a kind of row: stands for the way in which values are cut into parts, which has a version too.
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
pub(super) const CELLS: u8 = b'c';
pub(super) const EXTRACTS: u8 = b'x';
pub(super) const AGENT: u8 = b'a';
pub(super) const IDENTITIES: u8 = b'i';
pub(super) const TOTAL: u8 = b't';
pub(super) const PENDING: u8 = b'p';
pub(super) const OUTBOX: u8 = b'o';
pub(super) const CURSOR: u8 = b'e';
pub(super) const ADDRESSED: u8 = b'd';
pub(super) const MARK: u8 = b'h';
pub(super) const RETIRED: u8 = b'y';
pub(super) const RUN: u8 = b'j';
pub(super) const EVENT: u8 = b'q';
pub(super) const LIMIT: u8 = b'l';

/// The kinds of a session's units in the keys of [`MEMBER`] rows.
const TURNS: u8 = 0;
const OTHERS: u8 = 1;

fn key(prefix: u8, rest: &[u8]) -> Vec<u8> {
    [&[prefix], rest].concat()
}

/// The meta row that holds the number of the next unit whose cells are to be made. Without it all are there.
pub(super) const NEXT_CELLS: &str = "cells";

/// The meta row that holds the number of the last commit.
pub(super) const COMMIT: &str = "commit";

/// The meta row that holds the epoch of the log of events, and when it was begun.
pub(super) const EVENTS: &str = "events";

pub(super) fn meta(name: &str) -> Vec<u8> {
    key(META, name.as_bytes())
}

pub(super) fn file(number: FileNumber) -> Vec<u8> {
    key(FILE, &number.0.to_be_bytes())
}

/// The hash of a session's id in 16 bytes.
fn hashed(id: &SessionId) -> [u8; 16] {
    xxh3_128(id.0.as_bytes()).to_be_bytes()
}

pub(super) fn session(id: &SessionId) -> Vec<u8> {
    key(SESSION, &hashed(id))
}

/// The hash of a session's id as a number.
pub(super) fn session_number(id: &SessionId) -> u128 {
    u128::from_be_bytes(hashed(id))
}

/// The key of the session whose id has this hash.
pub(super) fn session_at(hash: u128) -> Vec<u8> {
    key(SESSION, &hash.to_be_bytes())
}

pub(super) fn run(id: RunId) -> Vec<u8> {
    key(RUN, &id.0.0.to_be_bytes())
}

pub(super) fn retired(id: &SessionId) -> Vec<u8> {
    key(RETIRED, &hashed(id))
}

/// The key of a look at a window of a limit. No name of a window has a zero byte.
pub(super) fn limit(window: &str, at: Timestamp) -> Vec<u8> {
    key(LIMIT, &[window.as_bytes(), &[0], &ordered(at)].concat())
}

/// The beginning of the keys of a session's units; if `turns` is true, of its turns alone.
pub(super) fn members(session: &SessionId, turns: bool) -> Vec<u8> {
    let kind: &[u8] = if turns { &[TURNS] } else { &[] };
    key(MEMBER, &[&hashed(session), kind].concat())
}

pub(super) fn member(session: &SessionId, member: &Member, number: u32) -> Vec<u8> {
    let kind = if member.turn { TURNS } else { OTHERS };
    key(MEMBER, &[&hashed(session), [kind].as_slice(), &ordered(member.first), &number.to_be_bytes()].concat())
}

/// A time whose bytes are in its order: the first bit is flipped, so that times before 1970 come before later ones.
fn ordered(time: Timestamp) -> [u8; 8] {
    (time.0 ^ i64::MIN).to_be_bytes()
}

/// The number of the unit at the end of a member's key; `None` for any other key.
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

/// The beginning of the keys of a unit's sections.
pub(super) fn sections(unit: u32) -> Vec<u8> {
    key(SECTION, &unit.to_be_bytes())
}

pub(super) fn section(unit: u32, position: u32) -> Vec<u8> {
    key(SECTION, &[unit.to_be_bytes(), position.to_be_bytes()].concat())
}

/// The key of a unit's cells, which is also the beginning of the keys of its sections' cells.
pub(super) fn cells(unit: u32) -> Vec<u8> {
    key(CELLS, &unit.to_be_bytes())
}

pub(super) fn section_cells(unit: u32, position: u32) -> Vec<u8> {
    key(CELLS, &[unit.to_be_bytes(), position.to_be_bytes()].concat())
}

/// The key of the extracts of a unit, which is also the beginning of the keys of those of its sections.
pub(super) fn extracts(unit: u32) -> Vec<u8> {
    key(EXTRACTS, &unit.to_be_bytes())
}

pub(super) fn section_extracts(unit: u32, position: u32) -> Vec<u8> {
    key(EXTRACTS, &[unit.to_be_bytes(), position.to_be_bytes()].concat())
}

/// The position of the section in the key of cells, `None` for those of the unit; nothing for a further part of a value.
pub(super) fn of_cells(key: &[u8]) -> Option<Option<u32>> {
    match key.get(1..)? {
        [_, _, _, _] => Some(None),
        [_, _, _, _, position @ ..] => Some(Some(u32::from_be_bytes(position.try_into().ok()?))),
        _ => None,
    }
}

pub(super) fn agent(first_row: RowId) -> Vec<u8> {
    key(AGENT, &first_row.0.to_be_bytes())
}

pub(super) fn identities(number: u32) -> Vec<u8> {
    key(IDENTITIES, &number.to_be_bytes())
}

/// Reads the id of a unit that is stored as a value.
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

/// True for the key of a further part of a file, session, retired session, unit, section or waiting sub-agent.
pub(super) fn is_further_part(key: &[u8]) -> bool {
    let own = match key.first().copied() {
        Some(FILE | UNIT) => 4,
        Some(SECTION) => 8,
        Some(SESSION | WAITING | RETIRED) => 16,
        _ => return false,
    };
    key.len() > 1 + own
}

pub(super) fn event(sequence: u64) -> Vec<u8> {
    key(EVENT, &sequence.to_be_bytes())
}

pub(super) fn addressed(sequence: u64) -> Vec<u8> {
    key(ADDRESSED, &sequence.to_be_bytes())
}

/// The beginning of the keys of a unit's marks.
pub(super) fn marks(unit: u32) -> Vec<u8> {
    key(MARK, &unit.to_be_bytes())
}

pub(super) fn mark(unit: u32, endpoint: &str) -> Vec<u8> {
    key(MARK, &[&unit.to_be_bytes(), endpoint.as_bytes()].concat())
}

/// The number of the unit and the endpoint in the key of a mark.
pub(super) fn of_mark(key: &[u8]) -> Option<(u32, &str)> {
    let (unit, endpoint) = key.get(1..)?.split_first_chunk()?;
    Some((u32::from_be_bytes(*unit), std::str::from_utf8(endpoint).ok()?))
}

/// Key of the meta row that tells since when an endpoint misses no turn.
pub(super) fn history(endpoint: &str) -> Vec<u8> {
    meta(&format!("history/{endpoint}"))
}

/// Key of a further part of a value.
pub(super) fn part(main: &[u8], number: u16) -> Vec<u8> {
    [main, &number.to_be_bytes()].concat()
}

/// Key of a further part of a value, as it was up to layout 4.
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
