//! Names as numbers, so that cells are small and compared fast.

use std::collections::HashMap;
use std::sync::Arc;

use crate::transcript::shown::{shown, shown_name};

/// The number of a name; [`Name::NONE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);
}

/// Every name, as answers show it.
#[derive(Debug, Default)]
pub struct Names {
    /// By the names as the session files have them.
    raw: HashMap<Box<str>, Name>,
    /// The same of names that are never cut.
    whole: HashMap<Box<str>, Name>,
    shown: Vec<Arc<str>>,
    by_shown: HashMap<Arc<str>, Name>,
}

impl Names {
    /// The number of a name, which is shown without secrets and invisible characters.
    pub(super) fn number(&mut self, raw: Option<&str>) -> Name {
        let Some(raw) = raw else { return Name::NONE };
        if let Some(known) = self.raw.get(raw) {
            return *known;
        }
        let number = self.number_shown(shown_name(raw));
        self.raw.insert(raw.into(), number);
        number
    }

    /// The same of a name that is told whole however long it is, as that of a workflow: whoever gave it tells two of them apart
    /// by their ends.
    pub(super) fn number_whole(&mut self, raw: Option<&str>) -> Name {
        let Some(raw) = raw else { return Name::NONE };
        if let Some(known) = self.whole.get(raw) {
            return *known;
        }
        let number = self.number_shown(shown(raw));
        self.whole.insert(raw.into(), number);
        number
    }

    fn number_shown(&mut self, shown: String) -> Name {
        let shown: Arc<str> = shown.into();
        let next = Name(u32::try_from(self.shown.len() + 1).unwrap_or(u32::MAX));
        let number = *self.by_shown.entry(Arc::clone(&shown)).or_insert(next);
        if number == next {
            self.shown.push(shown);
        }
        number
    }

    /// The number of a name as answers show it; `None` if nothing has it.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<Name> {
        self.by_shown.get(shown).copied()
    }

    /// The name with a number; `None` for [`Name::NONE`].
    #[must_use]
    pub fn shown(&self, name: Name) -> Option<&Arc<str>> {
        self.shown.get((name.0 as usize).checked_sub(1)?)
    }
}
