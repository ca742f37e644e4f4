//! A rule that looks at single sessions.

use std::collections::BTreeSet;

use super::finding::{Finding, Found, Sum};
use super::rule::{Limit, RuleText};
use super::seen::Seen;
use super::settings::PatternSettings;
use crate::ledger::money::Money;
use crate::views::analytics::names::{Name, Names};

/// A rule that looks at single sessions, when they are loaded.
pub struct SessionRule {
    /// What it says of itself.
    pub text: RuleText,
    /// Finds what it looks for.
    pub(super) find: fn(&Seen<'_>, &PatternSettings, &mut Names) -> Vec<Finding>,
    /// Takes out what all of history shows to be no habit, if it must be looked at.
    pub(super) keep: Option<Keep>,
    /// Whether so much is worth telling.
    pub(super) is_told: fn(&Sum, &PatternSettings) -> bool,
    /// What was found, in a sentence or two.
    pub(super) sentence: fn(&Sum) -> String,
    /// What was found, in figures.
    pub(super) figures: fn(&Sum) -> Vec<(&'static str, Figure)>,
    /// What one finding shows; the text is the name of the finding.
    pub(super) detail: fn(&Finding, &str) -> String,
}

/// Takes out findings that all of history shows to be no habit.
pub(super) type Keep = for<'c> fn(&Around<'_>, Vec<Found<'c>>) -> Vec<Found<'c>>;

/// What is known of all sessions when findings are told.
pub(super) struct Around<'a> {
    /// The tools that were called in the range that is asked for, in any session.
    pub(super) called: &'a dyn Fn() -> BTreeSet<String>,
    /// Names as answers show them.
    pub(super) shown: &'a dyn Fn(Name) -> Option<String>,
    /// The settings of all rules.
    pub(super) settings: &'a PatternSettings,
}

/// A figure of a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// A count.
    Count(u64),
    /// Seconds, in milliseconds.
    Seconds(u64),
    /// A share, from 0 to 1.
    Share(f64),
    /// US dollars.
    Usd(Money),
    /// Counts by name.
    Counts(Vec<(String, u64)>),
    /// US dollars by name.
    Amounts(Vec<(String, Money)>),
}

impl Sum {
    /// How many findings have each name.
    pub(super) fn counts(&self) -> Figure {
        Figure::Counts(self.names.iter().map(|(name, own)| (name.clone(), own.count)).collect())
    }
}

/// Whether all findings together would have saved at least so many US dollars.
pub(super) fn saves(sum: &Sum, settings: &PatternSettings, rule: &RuleText, least: &Limit) -> bool {
    sum.count > 0 && sum.saving >= Money::from_picousd(settings.picousd(rule, least).into())
}

/// Whether there is a finding at all.
pub(super) fn any(sum: &Sum, _: &PatternSettings) -> bool {
    sum.count > 0
}
