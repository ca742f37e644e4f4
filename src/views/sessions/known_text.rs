//! What a session knows of the text of a file: all of it, some of its lines, or nothing.
//!
//! Lines are what stands between newlines, as the client counts them: a text that ends with a newline has an empty last line.
//! What is known is only what was read or written; what cannot be followed any more is forgotten, never guessed.

use std::collections::BTreeMap;

/// What a call told of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// All of its text.
    Whole(String),
    /// Some of its lines.
    Lines {
        /// The number of the first of them, from 1.
        start: usize,
        lines: Vec<String>,
        /// How many lines the file has; `None` if it is not told.
        total: Option<usize>,
    },
    /// That it has not changed since it was read last.
    Unchanged,
    /// That texts in it were replaced, one after the other.
    Edited {
        /// All of its text before.
        original: Option<String>,
        edits: Vec<Edit>,
    },
    /// That it was changed in a way that is not told.
    Changed,
}

/// A text that was replaced by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub old: String,
    pub new: String,
    /// True if it was replaced everywhere, and not only where it was found first.
    pub everywhere: bool,
}

impl Evidence {
    /// True if it tells all of the text, whatever was known before.
    #[must_use]
    pub fn tells_all(&self) -> bool {
        match self {
            Self::Whole(_) | Self::Changed | Self::Edited { original: Some(_), .. } => true,
            Self::Lines { start, lines, total } => *start == 1 && *total == Some(lines.len()),
            Self::Unchanged | Self::Edited { .. } => false,
        }
    }
}

/// What is known of the text of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownText {
    /// The known lines by their numbers, from 1.
    lines: BTreeMap<usize, String>,
    /// How many lines there are; `None` if that is not known.
    total: Option<usize>,
}

impl KnownText {
    /// All of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let lines: BTreeMap<usize, String> = (1..).zip(text.split('\n').map(str::to_owned)).collect();
        Self { total: Some(lines.len()), lines }
    }

    /// The whole text; `None` if not all of it is known.
    #[must_use]
    pub fn whole(&self) -> Option<String> {
        let is_whole = self.total == Some(self.lines.len());
        is_whole.then(|| self.lines.values().map(String::as_str).collect::<Vec<_>>().join("\n"))
    }

    /// How many lines the file has; `None` if that is not known.
    #[must_use]
    pub const fn total(&self) -> Option<usize> {
        self.total
    }

    /// True if nothing is known.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.lines.is_empty()
    }

    /// The known parts in order: the number of the first line of each, from 1, and its text.
    #[must_use]
    pub fn parts(&self) -> Vec<(usize, String)> {
        let mut parts: Vec<(usize, String)> = Vec::new();
        let mut next = None;
        for (number, line) in &self.lines {
            match parts.last_mut().filter(|_| next == Some(*number)) {
                Some((_, text)) => {
                    text.push('\n');
                    text.push_str(line);
                }
                None => parts.push((*number, line.clone())),
            }
            next = Some(number + 1);
        }
        parts
    }

    /// What is known after a call told more. `may_have_changed` says whether something may have changed the file since what
    /// is known was told.
    pub fn learn(&mut self, evidence: &Evidence, may_have_changed: bool) {
        match evidence {
            Evidence::Whole(text) => *self = Self::of(text),
            Evidence::Lines { start, lines, total } => self.read(*start, lines, *total, may_have_changed),
            Evidence::Unchanged => {}
            Evidence::Changed => *self = Self::default(),
            Evidence::Edited { original, edits } => {
                if let Some(original) = original {
                    *self = Self::of(original);
                }
                edits.iter().for_each(|edit| self.edit(edit));
            }
        }
    }

    fn read(&mut self, start: usize, lines: &[String], total: Option<usize>, may_have_changed: bool) {
        let is_other = |(number, line): (usize, &String)| self.lines.get(&number).is_some_and(|known| known != line);
        let differs =
            (start..).zip(lines).any(is_other) || total.is_some_and(|total| self.total.is_some_and(|own| own != total));
        if may_have_changed || differs {
            *self = Self::default();
        }
        self.lines.extend((start..).zip(lines.iter().cloned()));
        self.total = total.or(self.total);
    }

    /// Follows an edit.
    fn edit(&mut self, edit: &Edit) {
        if edit.old.is_empty() {
            // A file is made so.
            *self = Self::of(&edit.new);
        } else if let Some(whole) = self.whole() {
            *self = replaced(&whole, edit).map_or_else(Self::default, |text| Self::of(&text));
        } else {
            self.edit_part(edit);
        }
    }

    /// Follows an edit of a text that is known in part. Where it was can only be told if it is found in one of the parts,
    /// once; and then nothing before it has changed.
    fn edit_part(&mut self, edit: &Edit) {
        let parts = self.parts();
        let found: Vec<_> =
            parts.iter().filter_map(|(start, text)| Some((*start, text, text.find(&edit.old)?))).collect();
        let count = |text: &str| text.matches('\n').count();
        let (gone, come) = (count(&edit.old), count(&edit.new));
        let [(start, text, at)] = found.as_slice() else { return self.forget_unless_level(edit, gone == come) };
        let is_once = text.get(at + edit.old.len()..).is_some_and(|rest| !rest.contains(&edit.old));
        if edit.everywhere || !is_once {
            return self.forget_unless_level(edit, false);
        }
        let Some(new) = replaced(text, edit) else { return };
        let end = start + count(text);
        let behind = self.lines.split_off(&(end + 1));
        self.lines.retain(|number, _| number < start);
        self.lines.extend((*start..).zip(new.split('\n').map(str::to_owned)));
        let moved = |number: usize| (number + come).saturating_sub(gone);
        self.lines.extend(behind.into_iter().map(|(number, line)| (moved(number), line)));
        self.total = self.total.map(moved);
    }

    /// After an edit that was somewhere else: if it left the number of lines as it was, the known lines are where they were.
    /// Those that may be a part of what was replaced are forgotten.
    fn forget_unless_level(&mut self, edit: &Edit, is_level: bool) {
        if !is_level || edit.everywhere {
            *self = Self::default();
            return;
        }
        // The text may begin or end within the lines at the edges of the known parts.
        let old: Vec<&str> = edit.old.split('\n').collect();
        self.lines.retain(|_, line| !old.iter().any(|old| old.contains(line.as_str()) || line.contains(old)));
    }
}

/// A text after an edit; `None` if what was replaced is not in it.
fn replaced(text: &str, edit: &Edit) -> Option<String> {
    if !text.contains(&edit.old) {
        return None;
    }
    Some(if edit.everywhere { text.replace(&edit.old, &edit.new) } else { text.replacen(&edit.old, &edit.new, 1) })
}
