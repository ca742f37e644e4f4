//! Decides where turns begin: at a prompt or at a `!` line that the model answers, and at copies of both.

use super::fold::{Fold, PlacedRow};
use super::known::ShellLine;
use super::unit::{Claim, ClaimBy, Identity, Prompt, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Assistant, Origin, User};
use crate::transcript::time::Timestamp;

/// A prompt, from its row or from a remembered `!` line.
struct Asked {
    key: UnitKey,
    time: Timestamp,
    prompt: Prompt,
    /// True if the row is a copy of another prompt row.
    is_copy: bool,
}

impl Fold<'_> {
    /// Takes in a prompt of the main thread. It begins a turn, unless the client wrote one prompt as several rows, or
    /// wrote an older prompt again.
    pub(super) fn prompt(&mut self, seen: &PlacedRow<'_>, user: &User, origin: Origin) {
        self.asked(seen);
        let said: Vec<u64> = user.blocks.iter().map(|text| Identity::Said(seen.time, *text).hash()).collect();
        let key = self.original(seen, &said).unwrap_or(UnitKey::Turn(seen.row.id));
        let thread = self.known.thread_mut(self.file);
        thread.shell_line = None;
        // A fork writes the same `promptId` into all prompts that it copies, so only the turn number tells these apart.
        let told_apart = match (user.turn_index, thread.turn_index) {
            (Some(new), Some(known)) => new != known,
            _ => user.prompt_id == thread.copied_prompt,
        };
        let same = user.prompt_id.is_some()
            && user.prompt_id == thread.prompt
            && !told_apart
            && matches!(thread.current, Some(UnitKey::Turn(_)));
        if same && thread.current.as_ref() != Some(&key) {
            let current = thread.current.as_ref().map(UnitKey::id);
            return self.touch(seen, current);
        }
        let queued_ms = thread.queue.asked(seen.time);
        thread.turn_index = user.turn_index;
        // A prompt without `promptId` in a background session was copied into it when it began.
        let is_copy = user.background && user.prompt_id.is_none();
        let prompt = Prompt {
            origin,
            time: seen.time,
            place: seen.place,
            chars: user.text_chars,
            command: user.command.clone(),
            queued_ms,
            said,
            source: user.source.clone(),
            extracts: user.extracts.clone(),
        };
        let asked = Asked { is_copy: key != UnitKey::Turn(seen.row.id), key, time: seen.time, prompt };
        let by = if is_copy { ClaimBy::Copy } else { ClaimBy::Row };
        self.begin_turn(seen, asked, user.prompt_id, by);
        self.known.thread_mut(self.file).is_copied = is_copy;
    }

    /// The turn whose prompt a row repeats under another `uuid`: a turn of the same session with the same text at the
    /// same time. Clients in editors wrote history again into the same file, with one row for each block. Source:
    /// `claude-code-format.md` section 15.8.
    fn original(&self, seen: &PlacedRow<'_>, said: &[u64]) -> Option<UnitKey> {
        let own = UnitKey::Turn(seen.row.id);
        if self.known.index.has_unit(own.id()) {
            return None;
        }
        let homes = said.iter().filter_map(|said| self.known.index.home(*said));
        // Of a retired turn nobody knows any more which sessions have rows of it; this one had some then.
        let has_ended = self.known.index.has_ended(&seen.session);
        if let Some(retired) = homes.clone().find(|home| has_ended && self.known.index.is_retired(*home)) {
            return Some(UnitKey::Turn(RowId(retired.0)));
        }
        let units = homes.filter_map(|home| self.known.unit(home));
        let mut originals = units.filter(|unit| {
            // Any unit of which this session has rows, whether it owns the unit or has copies.
            let prompt = unit.prompt.as_ref().filter(|_| unit.is_held_by(&seen.session));
            prompt.is_some_and(|prompt| prompt.said.iter().any(|known| said.contains(known)))
        });
        originals.next().map(|unit| unit.key.clone())
    }

    fn begin_turn(&mut self, seen: &PlacedRow<'_>, asked: Asked, prompt_id: Option<RowId>, by: ClaimBy) {
        let Asked { key, time, prompt, is_copy } = asked;
        let thread = self.known.thread_mut(self.file);
        let previous = thread.current.clone();
        if previous.as_ref() != Some(&key) {
            thread.leave_current();
            thread.others.retain(|other| other.unit != key);
        }
        thread.current = Some(key.clone());
        thread.prompt = prompt_id;
        let was_copied = std::mem::take(&mut thread.is_copied);
        let process_ended = std::mem::take(&mut thread.process_ended);
        self.note_unmarked(key.id());
        // A fork goes on where the process of another session ended, which does not make it a resumed session. The
        // owner of the turn before is not asked, because it may become known later.
        let resumes = process_ended && !was_copied && previous.is_some();
        if let Some(previous) = previous.filter(|previous| *previous != key)
            && let Some(unit) = self.known.unit_mut(previous.id())
        {
            unit.superseded = Some(unit.superseded.map_or(time, |known| known.min(time)));
        }
        let claim = Claim { by, time, file: self.file, session: seen.session.clone() };
        let unit = self.ensure_claimed(seen, &key, claim);
        self.take_prompt(unit, prompt, is_copy, resumes);
        for note in std::mem::take(&mut self.known.thread_mut(self.file).early) {
            self.noted(unit, note);
        }
    }

    fn take_prompt(&mut self, unit: UnitId, prompt: Prompt, is_copy: bool, resumes: bool) {
        let file = self.file;
        for said in &prompt.said {
            // The first row with this text at this time is the original.
            if self.known.index.home(*said).is_none() {
                self.known.index.insert(*said, unit);
            }
        }
        // The earlier one of two copies counts, whichever session owns the turn.
        let known = self.known.unit(unit).and_then(|unit| unit.prompt.as_ref());
        let tells = known.is_none_or(|known| {
            let by_path = || self.known.paths.order(file, known.place.file);
            !is_copy && (known.place.file == file || prompt.time.cmp(&known.time).then_with(by_path).is_lt())
        });
        let Some(unit) = self.known.unit_mut(unit) else { return };
        unit.resumes |= resumes;
        let (queued_ms, extracts) =
            unit.prompt.as_ref().map_or((None, None), |known| (known.queued_ms, known.extracts.clone()));
        match &mut unit.prompt {
            Some(known) if !tells => {
                known.queued_ms = queued_ms.or(prompt.queued_ms);
                known.extracts = extracts.or(prompt.extracts);
            }
            slot => {
                let (queued_ms, extracts) = (prompt.queued_ms.or(queued_ms), prompt.extracts.clone().or(extracts));
                *slot = Some(Prompt { queued_ms, extracts, ..prompt });
            }
        }
    }

    /// Remembers a `!` line, which becomes a turn if the model answers it.
    pub(super) fn shell_line(&mut self, seen: &PlacedRow<'_>, user: &User) {
        let thread = self.known.thread_mut(self.file);
        if user.prompt_id == thread.prompt {
            return;
        }
        thread.shell_line = Some(ShellLine {
            id: seen.row.id,
            prompt: user.prompt_id,
            time: seen.time,
            place: seen.place,
            chars: user.text_chars,
        });
    }

    /// Takes in a response of the main thread. It makes a turn of the `!` line before it. In a session that goes on
    /// with a copied turn it is the first row that is not a copy, and begins a unit.
    pub(super) fn answers(&mut self, seen: &PlacedRow<'_>, assistant: &Assistant) {
        if seen.row.agent.is_some() || seen.row.sidechain || assistant.synthetic {
            return;
        }
        let thread = self.known.thread_mut(self.file);
        if let Some(line) = thread.shell_line.take() {
            thread.turn_index = None;
            let prompt = Prompt {
                origin: Origin::Human,
                time: line.time,
                place: line.place,
                chars: line.chars,
                command: None,
                queued_ms: None,
                said: Vec::new(),
                source: None,
                extracts: None,
            };
            let asked = Asked { key: UnitKey::Turn(line.id), time: line.time, prompt, is_copy: false };
            return self.begin_turn(seen, asked, line.prompt, ClaimBy::Row);
        }
        let names_another = |source: &Option<SessionId>| source.as_ref().is_some_and(|source| *source != seen.session);
        if names_another(&assistant.copied_from) || names_another(&seen.row.forked_from) {
            return;
        }
        // A fork may write each row twice and mark only the first one as a copy.
        if thread.is_copied && thread.rows.contains(&seen.row.id) {
            return;
        }
        thread.unmarked.clear();
        if std::mem::take(&mut thread.is_copied) {
            thread.leave_current();
            thread.current = Some(UnitKey::Loose(seen.row.id));
        }
    }
}
