//! What a session does too fast.

/// What a session does too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It spends.
    Cost,
    /// It calls tools.
    Calls,
    /// Its calls fail.
    Failures,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Cost, Self::Calls, Self::Failures];

    /// The word for it in metrics and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Calls => "calls",
            Self::Failures => "failures",
        }
    }
}
