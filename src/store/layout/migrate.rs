//! Copies a database of an older layout into a new database.
//!
//! The old database is not changed. The caller makes the new one durable and replaces the old one by it, so that a kill
//! at any moment leaves one of the two.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Tree;

use super::frozen::Thaw;
use super::versions::sign;
use super::{v4, v5, v6, v7, v8};
use crate::ledger::gist::Gist;
use crate::ledger::parts::PARTS_MAX;
use crate::ledger::session::{Session, WaitingAgent};
use crate::ledger::unit::{Parts, RowFact, Section, Sections, Unit, UnitId};
use crate::store::batch::Writes;
use crate::store::commit::{SectionChange, UnitChange};
use crate::store::error::StoreError;
use crate::store::file::FileRow;
use crate::store::{cells, codec, keys, texts, units};
use crate::transcript::ids::{AgentId, SessionId};

/// Most bytes in one batch of the copy, a little exceeded by the last row.
const BATCH_BYTES: usize = 512 << 10;

/// Most rows in one batch of the copy.
const BATCH_ROWS: usize = 256;

/// How many levels of sub-agents are followed at most. No real chain is that long.
const LEVELS_MAX: usize = 64;

/// Fills the empty database `to` with the content of `from`, which has an older layout. Fails if a row of `from` cannot
/// be read, or with [`StoreError::Copy`] if `to` cannot be written.
pub(in crate::store) fn migrate(from: &Tree, to: &Tree) -> Result<(), StoreError> {
    match codec::get::<u32>(from, &keys::meta("schema"))? {
        // The rows can be read as they are; only their versions are older.
        Some(keys::SCHEMA) => row_by_row(from, to, Copy::untouched),
        Some(8) => row_by_row(from, to, Copy::row_of_8),
        Some(7) => row_by_row(from, to, Copy::row_of_7),
        Some(6) => row_by_row(from, to, Copy::row_of_6),
        Some(5) => row_by_row(from, to, Copy::row_of_5),
        _ => from_4(from, to),
    }
}

/// Converts a row of an older layout, given by its key and value, and adds it to the copy.
type Tell<'a> = fn(&mut Copy<'a>, &[u8], &[u8]) -> Result<(), StoreError>;

/// Copies layout 5 or later: each row is converted by itself.
fn row_by_row<'a>(from: &'a Tree, to: &'a Tree, tell: Tell<'a>) -> Result<(), StoreError> {
    let mut copy = Copy { from, to, batch: Writes::default(), bytes: 0, rows: 0, next: 0 };
    for row in from {
        let (key, value) = row?;
        tell(&mut copy, &key, &value)?;
    }
    copy.write()?;
    sign(&mut copy.batch, to)?;
    cells::make_all(&mut copy.batch, to)?;
    copy.write()
}

fn from_4(from: &Tree, to: &Tree) -> Result<(), StoreError> {
    let mut copy = Copy { from, to, batch: Writes::default(), bytes: 0, rows: 0, next: next_number(from)? };
    for row in from {
        let (key, value) = row?;
        match key.first().copied() {
            Some(keys::FILE) => {
                if keys::number4(&key).is_some() {
                    let row: v4::FileRow = codec::decode(from, &key, &value)?;
                    let row: FileRow = row.thaw();
                    copy.put(key.to_vec(), &row)?;
                }
            }
            Some(keys::SESSION) => {
                if keys::number16(&key).is_some() {
                    copy.session(codec::decode(from, &key, &value)?)?;
                }
            }
            Some(keys::UNIT) => {
                if let Some(number) = keys::number4(&key) {
                    let unit: v4::Unit = codec::decode(from, &key, &value)?;
                    copy.unit(number, unit.thaw())?;
                }
            }
            // These rows are made again from units, or are about the old files.
            _ if *key == keys::meta("looked_at") => {}
            Some(keys::NUMBER | keys::IDENTITIES | keys::AGENT) => {}
            Some(keys::PENDING) => {
                if let Some(id) = keys::number16(&key).map(UnitId) {
                    copy.pending(id)?;
                }
            }
            Some(keys::OUTBOX) => {
                if keys::number8(&key).is_some() {
                    copy.as_it_is(&key, &value)?;
                }
            }
            _ => copy.as_it_is(&key, &value)?,
        }
    }
    copy.write()?;
    sum_below(&mut copy)?;
    sign(&mut copy.batch, to)?;
    cells::make_all(&mut copy.batch, to)?;
    let has_spans = from.scan_prefix([keys::OUTBOX]).next().transpose()?.is_some();
    texts::begin_with(&mut copy.batch, to, has_spans)?;
    copy.write()
}

/// The first number after those of all units.
fn next_number(from: &Tree) -> Result<u32, StoreError> {
    let mut last = None;
    for row in from.scan_prefix([keys::UNIT]) {
        last = last.max(keys::number4(&row?.0));
    }
    Ok(last.map_or(0, |last| last + 1))
}

/// A copy that is being made.
struct Copy<'a> {
    from: &'a Tree,
    to: &'a Tree,
    batch: Writes,
    bytes: usize,
    rows: usize,
    /// The number of the next section.
    next: u32,
}

impl Copy<'_> {
    fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), StoreError> {
        let bytes = codec::put(&mut self.batch, self.to, key, value).map_err(StoreError::in_copy)?;
        self.wrote(bytes)
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.bytes += bytes;
        self.rows += 1;
        if self.bytes > BATCH_BYTES || self.rows >= BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        (self.bytes, self.rows) = (0, 0);
        let batch = std::mem::take(&mut self.batch);
        batch.apply_to_copy(self.to).map_err(StoreError::in_copy)
    }

    fn row_of_8(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match key.first().copied() {
            Some(keys::FILE) => self.anew::<v8::FileRow, FileRow>(key, value),
            Some(keys::UNIT) => self.anew::<v8::Unit, Unit>(key, value),
            Some(keys::SECTION) => self.anew::<v8::Section, Section>(key, value),
            Some(keys::SESSION) => self.anew::<v8::Session, Session>(key, value),
            _ => self.untouched(key, value),
        }
    }

    fn row_of_7(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match key.first().copied() {
            Some(keys::FILE) => self.anew::<v8::FileRow, FileRow>(key, value),
            Some(keys::UNIT) => self.anew::<v7::Unit, Unit>(key, value),
            Some(keys::SECTION) => self.anew::<v7::Section, Section>(key, value),
            Some(keys::SESSION) => self.anew::<v7::Session, Session>(key, value),
            _ => self.untouched(key, value),
        }
    }

    fn row_of_6(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match key.first().copied() {
            Some(keys::FILE) => self.anew::<v6::FileRow, FileRow>(key, value),
            Some(keys::SESSION) => self.anew::<v7::Session, Session>(key, value),
            Some(keys::UNIT) => self.anew::<v6::Unit, Unit>(key, value),
            Some(keys::SECTION) => self.anew::<v6::Section, Section>(key, value),
            _ => self.untouched(key, value),
        }
    }

    fn row_of_5(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match key.first().copied() {
            Some(keys::FILE) => self.anew::<v4::FileRow, FileRow>(key, value),
            Some(keys::SESSION) => self.anew::<v5::Session, Session>(key, value),
            Some(keys::WAITING) => self.anew::<v5::Waiting, (SessionId, AgentId, WaitingAgent)>(key, value),
            Some(keys::UNIT) => self.anew::<v5::Unit, Unit>(key, value),
            Some(keys::SECTION) => self.anew::<v5::Section, Section>(key, value),
            _ => self.untouched(key, value),
        }
    }

    /// Copies a value whose struct is another one today, with all of its parts at once.
    fn anew<A: DeserializeOwned + Thaw<B>, B: Serialize>(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        if keys::is_further_part(key) {
            return Ok(());
        }
        let old: A = codec::decode(self.from, key, value)?;
        self.put(key.to_vec(), &old.thaw())
    }

    /// Copies a value, or a further part of one, without change.
    fn untouched(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch.insert(key.to_vec(), value);
        self.wrote(value.len())
    }

    /// Copies a turn that waits for its end. Its key was the id of its unit and becomes the number.
    fn pending(&mut self, id: UnitId) -> Result<(), StoreError> {
        // A turn whose unit is not there any more is left out.
        if let Some(number) = codec::get::<u32>(self.from, &keys::number(id))? {
            self.batch.insert(keys::pending(number), &id.0.to_be_bytes());
        }
        self.wrote(0)
    }

    /// Copies a value whose struct has not changed, in the current format of values.
    fn as_it_is(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let bytes = codec::put_again(&mut self.batch, self.from, key, value)?;
        self.wrote(bytes)
    }

    fn session(&mut self, mut old: v4::Session) -> Result<(), StoreError> {
        let (waiting, forks) = (std::mem::take(&mut old.waiting_agents), old.forks.clone());
        let session: Session = old.thaw();
        for (agent, waiting) in waiting {
            let row: (&SessionId, &AgentId, _) = (&session.id, &agent, Thaw::<WaitingAgent>::thaw(waiting));
            self.put(keys::waiting(&session.id, &agent), &row)?;
        }
        for fork in forks {
            self.put(keys::fork(&session.id, &fork), &(&session.id, &fork))?;
        }
        self.put(keys::session(&session.id), &session)
    }

    /// Copies a unit, with the rows that follow from it, and cuts it into sections if it is long.
    fn unit(&mut self, number: u32, mut unit: Unit) -> Result<(), StoreError> {
        let id = unit.key.id();
        if unit.parts.len() > PARTS_MAX {
            let sections = in_sections(std::mem::take(&mut unit.parts));
            let mut sums = Sections::default();
            for (position, parts) in (0u32..).zip(sections) {
                sums.count += 1;
                let section = Section { of: id, position, parts };
                sums.change(position, None, &section.parts);
                let own = self.next;
                self.next += 1;
                let change = SectionChange {
                    id: id.section(position),
                    number: Some(own),
                    unit: number,
                    before: None,
                    section: &section,
                };
                let bytes = units::put_section(&mut self.batch, self.to, &change, &mut Vec::new())?;
                self.put(keys::number(id.section(position)), &own)?;
                self.wrote(bytes)?;
            }
            unit.sections = Some(Box::new(sums));
        }
        let change = UnitChange { number, before: None, unit: &unit };
        let bytes = units::put_unit(&mut self.batch, self.to, &change, &mut Vec::new())?;
        self.wrote(bytes)
    }
}

/// Divides parts into sections, in their order. Each list is divided evenly, so that a call is near its response.
fn in_sections(parts: Parts) -> Vec<Parts> {
    let count = parts.len().div_ceil(PARTS_MAX);
    let Parts { messages, tools, rows } = parts;
    let mut sections: Vec<Parts> = std::iter::repeat_with(Parts::default).take(count).collect();
    deal(messages, &mut sections, |section| &mut section.messages);
    deal(tools, &mut sections, |section| &mut section.tools);
    let mut kinds: Vec<Vec<RowFact>> = Vec::new();
    for row in rows {
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| first.is_like(&row))) {
            Some(kind) => kind.push(row),
            None => kinds.push(vec![row]),
        }
    }
    kinds.into_iter().for_each(|kind| deal(kind, &mut sections, |section| &mut section.rows));
    sections
}

/// Gives each section an equal share of a list, in order.
fn deal<T>(list: Vec<T>, sections: &mut [Parts], of: impl Fn(&mut Parts) -> &mut Vec<T>) {
    let (total, count) = (list.len(), sections.len());
    for (number, part) in list.into_iter().enumerate() {
        if let Some(section) = sections.get_mut(number * count / total.max(1)) {
            of(section).push(part);
        }
    }
}

/// Stores in each unit the gist of the sub-agents below it.
fn sum_below(copy: &mut Copy<'_>) -> Result<(), StoreError> {
    let (mut own, mut below): (HashMap<UnitId, Gist>, BTreeMap<UnitId, Vec<UnitId>>) = Default::default();
    each(copy.to, keys::UNIT, |unit: Unit| {
        if let Some(parent) = unit.leaves_with() {
            own.insert(unit.key.id(), unit.gist_with_below());
            below.entry(parent).or_default().push(unit.key.id());
        }
    })?;
    let sum = Sum { own: &own, below: &below };
    for parent in below.keys() {
        let Some(number) = codec::get::<u32>(copy.to, &keys::number(*parent))? else { continue };
        let Some(mut unit) = codec::get::<Unit>(copy.to, &keys::unit(number))? else { continue };
        unit.below = Some(Box::new(sum.of(*parent, &mut HashSet::new(), 0)));
        copy.put(keys::unit(number), &unit)?;
    }
    Ok(())
}

struct Sum<'a> {
    own: &'a HashMap<UnitId, Gist>,
    below: &'a BTreeMap<UnitId, Vec<UnitId>>,
}

impl Sum<'_> {
    /// The gist of all sub-agents below a unit. A circle, which damaged files can describe, is not followed twice.
    fn of(&self, unit: UnitId, met: &mut HashSet<UnitId>, depth: usize) -> Gist {
        let mut sum = Gist::default();
        if depth < LEVELS_MAX && met.insert(unit) {
            for agent in self.below.get(&unit).into_iter().flatten() {
                if let Some(own) = self.own.get(agent) {
                    sum.add(own);
                    sum.add(&self.of(*agent, met, depth + 1));
                }
            }
        }
        sum
    }
}

/// Gives every value of a kind to `take`.
fn each<T: DeserializeOwned>(tree: &Tree, prefix: u8, mut take: impl FnMut(T)) -> Result<(), StoreError> {
    for row in tree.scan_prefix([prefix]) {
        let (key, value) = row?;
        if keys::number4(&key).is_some() {
            take(codec::decode(tree, &key, &value)?);
        }
    }
    Ok(())
}
