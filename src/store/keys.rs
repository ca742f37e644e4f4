//! The layout of the database: one tree, a one-byte prefix per kind of row, big-endian numbers so that ranges work.
//!
//! ```text
//! m name              meta: `schema`, `prices`, `export_floor`
//! f file:u32          a file: path, role, cursor, and the thread's context behind the cursor
//! s hash(session):16  a session: its units, sums, the client's account
//! n unit:16           the number of a unit, given out in the order in which units are first seen
//! u number:u32        a unit (turn, loose rows, sub-agent) with its messages and tool calls
//! i number:u32        the unit's id and 64-bit hashes of its identities, packed; all of them are in memory while running
//! a row:16            a sub-agent by the uuid of its first row, which is the id of its own trace: its unit
//! t metric,labels     a persisted total, absolute
//! p unit:16           a turn whose spans have not left yet
//! o sequence:u64      the outbox: when they were put in and spans of one resource, oldest first; numbers may have gaps,
//!                     and a request never goes over one
//! e name              an OTLP endpoint: the number of the first row of the outbox that it has not taken yet
//! ```
//!
//! Large rows are numbered, because ids have no order: what is written together then lies together, and writing a first
//! scan touches a few pages of sled instead of all of them.
//!
//! A value is a format byte, the number of further parts, and postcard; above [`PART_BYTES_MAX`] it goes on at the
//! same key with a part number behind it, because sled never gives back the space of values above 128 KiB. Then a hash
//! of the whole stands before it: a reader may meet parts of two commits.
//! One commit is one batch on this tree: cursor, units, sessions, totals and outbox change together or not at all.

use crate::ledger::unit::UnitId;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{RowId, SessionId};
use xxhash_rust::xxh3::xxh3_128;

/// Version of this layout and of everything encoded in it.
pub(super) const SCHEMA: u32 = 4;

/// Largest value written under one key, in bytes.
pub(super) const PART_BYTES_MAX: usize = 90_000;

pub(super) const META: u8 = b'm';
pub(super) const FILE: u8 = b'f';
pub(super) const SESSION: u8 = b's';
pub(super) const NUMBER: u8 = b'n';
pub(super) const UNIT: u8 = b'u';
pub(super) const AGENT: u8 = b'a';
pub(super) const IDENTITIES: u8 = b'i';
pub(super) const TOTAL: u8 = b't';
pub(super) const PENDING: u8 = b'p';
pub(super) const OUTBOX: u8 = b'o';
pub(super) const CURSOR: u8 = b'e';

fn key(prefix: u8, rest: &[u8]) -> Vec<u8> {
    [&[prefix], rest].concat()
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    key(META, name.as_bytes())
}

pub(super) fn file(number: FileNumber) -> Vec<u8> {
    key(FILE, &number.0.to_be_bytes())
}

pub(super) fn session(id: &SessionId) -> Vec<u8> {
    key(SESSION, &xxh3_128(id.0.as_bytes()).to_be_bytes())
}

pub(super) fn number(id: UnitId) -> Vec<u8> {
    key(NUMBER, &id.0.to_be_bytes())
}

pub(super) fn unit(number: u32) -> Vec<u8> {
    key(UNIT, &number.to_be_bytes())
}

pub(super) fn agent(first_row: RowId) -> Vec<u8> {
    key(AGENT, &first_row.0.to_be_bytes())
}

pub(super) fn identities(number: u32) -> Vec<u8> {
    key(IDENTITIES, &number.to_be_bytes())
}

pub(super) fn pending(id: UnitId) -> Vec<u8> {
    key(PENDING, &id.0.to_be_bytes())
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

/// Key of a further part of a value.
pub(super) fn part(main: &[u8], number: u8) -> Vec<u8> {
    [main, &[number]].concat()
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
