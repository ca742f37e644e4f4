//! What every rule says of itself.

/// Most places that are told of each pattern.
pub const EVIDENCE_MAX: usize = 5;

/// What a rule is, in words.
#[derive(Debug)]
pub struct RuleText {
    /// Its name, in answers and in the configuration.
    pub id: &'static str,
    /// What it sees, in a few words.
    pub title: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where its saving comes from.
    pub basis: Basis,
    /// What to do.
    pub recommendation: &'static str,
    /// How the saving is worked out; of a rule without one, what is told.
    pub method: &'static str,
    /// Whether it says what could be saved.
    pub saves: bool,
    /// From where on it speaks up.
    pub limits: &'static [Limit],
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something goes wrong, or soon will.
    Warn,
    /// It costs money.
    Cost,
}

impl Severity {
    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Cost => "cost",
        }
    }
}

/// Where a saving comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Tokens, prices and times that the session files tell.
    Measured,
    /// An assumption as well, which the method names.
    Estimated,
}

impl Basis {
    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
        }
    }
}

/// A number of the configuration from which on a rule speaks up.
#[derive(Debug)]
pub struct Limit {
    /// Its key in `[patterns.RULE]`.
    pub name: &'static str,
    /// What holds if the configuration does not say.
    pub default: f64,
    /// The least and most that it may be.
    pub range: (f64, f64),
    /// What it is, with its unit.
    pub help: &'static str,
}
