//! Sub-agents that were started one after the other although they could have run at the same time.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Called, Seen, Thread};
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::transcript::time::seconds;
use crate::views::analytics::figures::{counted, duration};
use crate::views::analytics::names::{Name, Names};

const SECONDS: Limit = Limit {
    name: "seconds",
    default: 30.0,
    range: (0.0, 10_000_000.0),
    help: "Least seconds that running them at the same time would have saved.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "serial_agents",
        title: "Sub-agents one after the other",
        severity: Severity::Info,
        basis: Basis::Estimated,
        recommendation: "Ask for sub-agents that do not need each other's answers in one go: \"in parallel\".",
        method: "For sub-agents of one turn whose calls follow each other with nothing else between: the time of all of them \
                 minus that of the longest. Whether one needed the answer of another is not told.",
        saves: true,
        limits: &[SECONDS],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let least = settings.milliseconds(&RULE.text, &SECONDS);
    let mut found = Vec::new();
    for run in seen.threads.iter().flat_map(serial) {
        let took = || run.iter().filter_map(|called| called.call.took_ms);
        let ms = took().fold(0, u64::saturating_add).saturating_sub(took().max().unwrap_or(0));
        if let Some(first) = run.first()
            && ms > 0
            && ms >= least
        {
            let model = seen.known(first).map_or(Name::NONE, |call| call.model);
            found.push(Finding { ms, amount: run.len() as u64, ..first.finding(names, model) });
        }
    }
    found
}

/// Runs of at least two responses of one unit that follow each other and made one call each: of a sub-agent that it waited
/// for.
fn serial<'t, 'a>(thread: &'t Thread<'a>) -> Vec<Vec<&'t Called<'a>>> {
    let mut runs: Vec<Vec<&Called<'_>>> = Vec::new();
    let mut run: Vec<&Called<'_>> = Vec::new();
    let mut calls = thread.calls.iter().peekable();
    for request in &thread.requests {
        let mut own: Vec<&Called<'_>> = Vec::new();
        // Calls of responses without usable times belong to none of these.
        while let Some(called) = calls.next_if(|called| called.call.at <= request.response.end) {
            if called.call.response == request.response.id {
                own.push(called);
            }
        }
        match own.as_slice() {
            [only] if only.call.waits_for_agents && only.call.took_ms.is_some() => {
                if run.last().is_some_and(|last| last.unit != only.unit) {
                    runs.push(std::mem::take(&mut run));
                }
                run.push(only);
            }
            _ => runs.push(std::mem::take(&mut run)),
        }
    }
    runs.push(run);
    runs.retain(|run| run.len() > 1);
    runs
}

fn sentence(sum: &Sum) -> String {
    format!(
        "{} ran one after the other in {} of {}. At the same time they would have taken {} less, if none needed the answer \
         of another.",
        counted(sum.amount, "sub-agent"),
        counted(sum.count, "row"),
        counted(sum.sessions, "session"),
        duration(seconds(sum.ms))
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("rows", Figure::Count(sum.count)),
        ("sub_agents", Figure::Count(sum.amount)),
        ("sessions", Figure::Count(sum.sessions)),
    ]
}

fn detail(finding: &Finding, _: &str) -> String {
    format!("{} in a row, {} longer than needed", counted(finding.amount, "sub-agent"), duration(seconds(finding.ms)))
}
