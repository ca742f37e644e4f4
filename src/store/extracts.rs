//! What the rules of custom metrics extracted of texts. It is written beside the unit or section that holds the call or
//! prompt, in the same batch, and put back when the engine loads that unit or section. Without such rules there are no
//! such rows.

use sled::Tree;

use super::batch::Writes;
use super::commit::{SectionChange, UnitChange};
use super::error::StoreError;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::unit::{Identity, Parts, Section, Unit, UnitId};
use crate::transcript::extracts::Extracts;

/// The extracts in a unit or section: those of a call by the hash of its id, those of the prompt by [`PROMPT`].
type Extracted = Vec<(u64, Extracts)>;

/// Stands for the prompt. No call has this hash, but for a chance of one in 2^64.
const PROMPT: u64 = 0;

/// Adds the extracts of a unit to a batch, if they have changed. Returns true if there are any.
pub(super) fn put_unit(
    batch: &mut Writes,
    tree: &Tree,
    change: &UnitChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let of = |unit: &Unit| {
        let prompt = unit.prompt.as_ref().filter(|prompt| prompt.extracts.is_some());
        let mut extracted = of_parts(&unit.parts);
        extracted.extend(prompt.map(|prompt| (PROMPT, prompt.extracts.clone())));
        extracted
    };
    put(batch, tree, keys::extracts(change.number), change.before.map(of), of(change.unit), scratch)
}

/// Adds the extracts of a section to a batch, if they have changed. Returns true if there are any.
pub(super) fn put_section(
    batch: &mut Writes,
    tree: &Tree,
    change: &SectionChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let key = keys::section_extracts(change.unit, change.section.position);
    let before = change.before.map(|section| of_parts(&section.parts));
    put(batch, tree, key, before, of_parts(&change.section.parts), scratch)
}

fn put(
    batch: &mut Writes,
    tree: &Tree,
    key: Vec<u8>,
    before: Option<Extracted>,
    now: Extracted,
    scratch: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let before = before.unwrap_or_default();
    if now.is_empty() {
        if !before.is_empty() {
            codec::remove(batch, tree, key)?;
        }
        return Ok(false);
    }
    if before != now {
        codec::put_with(batch, tree, key, &now, scratch)?;
    }
    Ok(true)
}

fn of_parts(parts: &Parts) -> Extracted {
    let calls = parts.tools.iter().filter_map(|tool| Some((&tool.id, tool.call.as_ref()?)));
    let extracted = calls.filter(|(_, call)| call.extracts.is_some());
    extracted.map(|(id, call)| (Identity::Call(id).hash(), call.extracts.clone())).collect()
}

/// True if the database holds extracts.
pub(super) fn are_there(tree: &Tree) -> Result<bool, StoreError> {
    Ok(tree.scan_prefix([keys::EXTRACTS]).next().transpose()?.is_some())
}

impl Rows<'_> {
    /// Puts the stored extracts on a unit that was read.
    pub(crate) fn add_extracts(self, unit: &mut Unit) -> Result<(), StoreError> {
        let Some(number) = self.number(unit.key.id())? else { return Ok(()) };
        let extracted = self.extracted(&keys::extracts(number))?;
        if let Some(prompt) = &mut unit.prompt {
            prompt.extracts = extracted.iter().find(|(of, _)| *of == PROMPT).and_then(|(_, extracts)| extracts.clone());
        }
        add_to(&mut unit.parts, &extracted);
        Ok(())
    }

    /// Puts the stored extracts on a section that was read; `of` is its unit.
    pub(crate) fn add_section_extracts(self, of: UnitId, section: &mut Section) -> Result<(), StoreError> {
        let Some(number) = self.number(of)? else { return Ok(()) };
        let extracted = self.extracted(&keys::section_extracts(number, section.position))?;
        add_to(&mut section.parts, &extracted);
        Ok(())
    }
}

fn add_to(parts: &mut Parts, extracted: &Extracted) {
    for (of, extracts) in extracted {
        // Only calls with extracts are looked for, which are few.
        let call = parts.tools.iter_mut().find(|tool| Identity::Call(&tool.id).hash() == *of);
        if let Some(call) = call.and_then(|tool| tool.call.as_mut()) {
            call.extracts.clone_from(extracts);
        }
    }
}
