//! Where a cursor is, and where its steps lead.

/// Where a cursor is in a session, which may grow meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Before the first event.
    Before,
    /// At an event.
    At(usize),
    /// Behind the last one, of so many. Events that come later lie behind it.
    Behind(usize),
}

impl Spot {
    /// The spot at a position of a session with `total` events: before and behind these it is an end.
    pub(super) const fn of(position: usize, total: usize) -> Self {
        if position < total { Self::At(position) } else { Self::Behind(total) }
    }

    /// One event further.
    pub(super) const fn step(self, total: usize) -> Self {
        match self {
            Self::Before => Self::of(0, total),
            Self::At(position) => Self::of(position + 1, total),
            // The first event that has come since.
            Self::Behind(known) => Self::of(known, total),
        }
    }

    /// One event back.
    pub(super) const fn back(self, total: usize) -> Self {
        let position = match self {
            Self::Before => 0,
            Self::At(position) => position,
            Self::Behind(known) => known,
        };
        match position.checked_sub(1) {
            Some(before) => Self::of(before, total),
            None => Self::Before,
        }
    }

    /// The position of the first event behind it.
    pub(super) const fn next(self) -> usize {
        match self {
            Self::Before => 0,
            Self::At(position) => position + 1,
            Self::Behind(known) => known,
        }
    }

    /// The number of events before it.
    pub(super) const fn before(self) -> usize {
        match self {
            Self::Before => 0,
            Self::At(position) => position,
            Self::Behind(known) => known,
        }
    }

    /// Its position among `total` events: -1 before the first, `total` behind the last.
    pub(super) fn position(self, total: usize) -> i64 {
        let number = |position| i64::try_from(position).unwrap_or(i64::MAX);
        match self {
            Self::Before => -1,
            Self::At(position) => number(position),
            Self::Behind(_) => number(total),
        }
    }
}
