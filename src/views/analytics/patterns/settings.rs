//! Which rules are on, and from where on they speak up.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::{Limit, RuleText};

/// What an hour of waiting counts for in US dollars when findings are put in order.
pub const HOUR_USD: f64 = 30.0;

/// The model that small tasks are priced at.
pub const CHEAPER_MODEL: &str = "claude-haiku-4-5";

/// The settings of all rules (`[patterns]` in the configuration).
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSettings {
    /// The rules that are switched off, by their names.
    pub off: BTreeSet<String>,
    /// What an hour of waiting counts for in US dollars when findings are put in order; 0 or more. It is in no sum of
    /// money.
    pub hour_usd: f64,
    /// Canonical id of the model that small tasks are priced at.
    pub cheaper_model: String,
    /// Limits that are not the default, by rule and name.
    pub limits: BTreeMap<(&'static str, &'static str), f64>,
}

impl Default for PatternSettings {
    fn default() -> Self {
        Self {
            off: BTreeSet::new(),
            hour_usd: HOUR_USD,
            cheaper_model: CHEAPER_MODEL.to_owned(),
            limits: BTreeMap::new(),
        }
    }
}

impl PatternSettings {
    /// Whether a rule is on.
    #[must_use]
    pub fn is_on(&self, rule: &RuleText) -> bool {
        !self.off.contains(rule.id)
    }

    /// The limit of a rule.
    #[must_use]
    pub fn number(&self, rule: &RuleText, limit: &Limit) -> f64 {
        self.limits.get(&(rule.id, limit.name)).copied().unwrap_or(limit.default)
    }

    /// The limit of a rule as a whole number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
    pub fn whole(&self, rule: &RuleText, limit: &Limit) -> u64 {
        self.number(rule, limit).round() as u64
    }

    /// The limit of a rule in US dollars as picodollars.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
    pub fn picousd(&self, rule: &RuleText, limit: &Limit) -> u64 {
        (self.number(rule, limit) * 1e12).round() as u64
    }

    /// The limit of a rule in seconds as milliseconds.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
    pub fn milliseconds(&self, rule: &RuleText, limit: &Limit) -> u64 {
        (self.number(rule, limit) * 1000.0).round() as u64
    }
}
