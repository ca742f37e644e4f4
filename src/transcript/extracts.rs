//! What the rules of custom metrics extracted of the text of a row, while the text was at hand.
//!
//! Text is not kept, so a rule that asks for the input of a call or the text of a prompt is computed as far as that goes
//! when the row is read (`custom`), and only the result goes on with the row: a few truth values, numbers and words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The extracts of one row or call, one for each rule that can still count it; `None` if there is no such rule.
pub type Extracts = Option<Arc<[Extract]>>;

/// What one rule needs of a text. A rule that cannot count the row any more has no extract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extract {
    /// Fingerprint of the rule: a rule that is changed is another rule.
    pub rule: u64,
    /// The values of those parts of the rule that ask for the text, in the order of the rule.
    pub values: Box<[Extracted]>,
}

/// The value of a part of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Extracted {
    /// The text does not have what the rule asks for.
    Nothing,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A word, at most 64 characters long.
    Text(Arc<str>),
}

/// The extract of a rule.
#[must_use]
pub fn of_rule(extracts: &Extracts, rule: u64) -> Option<&Extract> {
    extracts.as_deref()?.iter().find(|extract| extract.rule == rule)
}
