//! The answer to a question about patterns.

use std::collections::{BTreeSet, HashSet};

use super::finding::{Found, Step, Sum};
use super::history_rule::{Asked, Judged};
use super::history_rules::HISTORY_RULES;
use super::rule::{EVIDENCE_MAX, RuleText};
use super::session_rule::{Around, Figure, SessionRule};
use super::session_rules::SESSION_RULES;
use crate::ledger::money::Money;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::filter::NumberedFilter;
use crate::views::analytics::names::Name;

/// What a rule found.
#[derive(Debug)]
pub struct Pattern {
    /// The rule.
    pub rule: &'static RuleText,
    /// What was found, in a sentence or two.
    pub sentence: String,
    /// The same in figures.
    pub figures: Vec<(&'static str, Figure)>,
    /// What could be saved.
    pub saving: Money,
    /// What could be saved, in milliseconds.
    pub saving_ms: u64,
    /// When it was seen first and last.
    pub seen: Option<(Timestamp, Timestamp)>,
    /// What shows it, the most telling first; at most [`EVIDENCE_MAX`].
    pub evidence: Vec<Evidence>,
}

/// Something that shows a pattern.
#[derive(Debug)]
pub struct Evidence {
    /// The session, if it is about one.
    pub session: Option<SessionId>,
    /// The unit and the response or call, if it is about one.
    pub step: Option<(UnitId, Step)>,
    /// The turn, from 1, if it is about one.
    pub turn: Option<u32>,
    /// When, if it is about a time: of a turn its prompt, else when the request or call began.
    pub at: Option<Timestamp>,
    /// What it shows.
    pub detail: String,
}

/// What every rule that is on found, what could save most first: in money, with each hour of waiting for what the settings
/// say that it counts for.
#[must_use]
pub fn patterns(asked: &Asked<'_>) -> Vec<Pattern> {
    let mut by_rule: Vec<Vec<Found<'_>>> = SESSION_RULES.iter().map(|_| Vec::new()).collect();
    let filter = NumberedFilter::of(asked.filter, &asked.cube.names);
    for (id, session) in asked.cube.sessions().filter(|(id, _)| filter.takes_session(&id.0)) {
        for finding in &session.findings {
            let unit = session.cells.units.get(finding.unit as usize).zip(session.cells.ids.get(finding.unit as usize));
            let Some((unit, unit_id)) = unit else { continue };
            if asked.filter.window.has(finding.at)
                && filter.takes_unit(unit)
                && filter.model.takes(finding.model)
                && filter.takes_tools(&session.cells, finding.unit)
                && let Some(own) = by_rule.get_mut(usize::from(finding.rule))
            {
                own.push(Found {
                    session: id,
                    unit: *unit_id,
                    turn: unit.turn.map(|turn| turn.saturating_add(1)),
                    finding: *finding,
                });
            }
        }
    }
    let of_sessions = SESSION_RULES.iter().zip(by_rule).filter_map(|(rule, found)| of_session_rule(asked, rule, found));
    let of_history = HISTORY_RULES
        .iter()
        .filter(|rule| asked.settings.is_on(&rule.text))
        .filter_map(|rule| Some(Pattern::of(&rule.text, (rule.judge)(asked)?)));
    let mut patterns: Vec<Pattern> = of_sessions.chain(of_history).collect();
    let weight = |pattern: &Pattern| weight(asked, pattern.saving, pattern.saving_ms);
    patterns.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.rule.id.cmp(b.rule.id)));
    patterns
}

/// What a saving counts for when findings are put in order, in US dollars.
fn weight(asked: &Asked<'_>, saving: Money, ms: u64) -> f64 {
    saving.to_f64() + seconds(ms) / 3600.0 * asked.settings.hour_usd
}

fn of_session_rule<'c>(asked: &Asked<'c>, rule: &'static SessionRule, mut found: Vec<Found<'c>>) -> Option<Pattern> {
    let shown = |name: Name| asked.cube.names.shown(name).map(|name| name.to_string());
    if let Some(keep) = rule.keep {
        let called = || called(asked);
        found = keep(&Around { called: &called, shown: &shown, settings: asked.settings }, found);
    }
    let sum = Sum::of(&found, &shown);
    if !(rule.is_told)(&sum, asked.settings) {
        return None;
    }
    let first = found.iter().map(|found| found.finding.at).min();
    let last = found.iter().map(|found| found.finding.at).max();
    let weigh = |found: &Found<'_>| weight(asked, Money::from_picousd(found.finding.picousd.into()), found.finding.ms);
    let mut weighed: Vec<(f64, &Found<'_>)> = found.iter().map(|found| (weigh(found), found)).collect();
    let order = |(one, a): &(f64, &Found<'_>), (other, b): &(f64, &Found<'_>)| {
        other.total_cmp(one).then_with(|| (a.finding.at, &a.session.0).cmp(&(b.finding.at, &b.session.0)))
    };
    // Only the most telling are put in order.
    if weighed.len() > EVIDENCE_MAX {
        weighed.select_nth_unstable_by(EVIDENCE_MAX, order);
        weighed.truncate(EVIDENCE_MAX);
    }
    weighed.sort_by(order);
    // What saves nothing shows little beside what does.
    let largest = weighed.first().map_or(0.0, |(weight, _)| *weight);
    let telling = weighed.into_iter().filter(|(weight, _)| *weight > 0.0 || largest <= 0.0);
    let evidence = telling.map(|(_, found)| Evidence {
        session: Some(found.session.clone()),
        step: found.finding.step.map(|step| (found.unit, step)),
        turn: found.turn,
        at: Some(found.finding.at),
        detail: (rule.detail)(&found.finding, &shown(found.finding.name).unwrap_or_default()),
    });
    Some(Pattern {
        rule: &rule.text,
        sentence: (rule.sentence)(&sum),
        figures: (rule.figures)(&sum),
        saving: sum.saving,
        saving_ms: sum.ms,
        seen: first.zip(last),
        evidence: evidence.collect(),
    })
}

/// The tools that were called in the range that is asked for, in any session.
fn called(asked: &Asked<'_>) -> BTreeSet<String> {
    let calls = asked.cube.sessions().flat_map(|(_, session)| &session.work.calls);
    let tools: HashSet<Name> = calls.filter(|call| asked.filter.window.has(call.at)).map(|call| call.tool).collect();
    tools.into_iter().filter_map(|tool| asked.cube.names.shown(tool)).map(|name| name.to_string()).collect()
}

impl Pattern {
    fn of(rule: &'static RuleText, judged: Judged) -> Self {
        let Judged { sentence, figures, saving, seen, evidence } = judged;
        let evidence = evidence.into_iter().take(EVIDENCE_MAX).map(|shown| Evidence {
            session: shown.session,
            step: None,
            turn: None,
            at: shown.at,
            detail: shown.detail,
        });
        Self { rule, sentence, figures, saving, saving_ms: 0, seen, evidence: evidence.collect() }
    }
}
