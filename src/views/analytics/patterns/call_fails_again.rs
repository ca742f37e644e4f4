//! The same call that failed several times in a row.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::{Called, Seen, Thread};
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::transcript::record::Outcome;
use crate::transcript::time::seconds;
use crate::views::analytics::figures::{counted, duration, money};
use crate::views::analytics::names::{Name, Names};

const TIMES: Limit = Limit {
    name: "times",
    default: 3.0,
    range: (2.0, 10_000.0),
    help: "Least times that the same call failed in a row.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "call_fails_again",
        title: "The same call fails again and again",
        severity: Severity::Warn,
        basis: Basis::Estimated,
        recommendation: "Interrupt and say what is wrong. If it comes back, write into CLAUDE.md how the tool or command is \
                         to be used.",
        method: "Calls of one tool with the same input that failed one after the other in one thread: what the responses that \
                 made all but the first of them cost, and how long those responses and calls took. A response that also made \
                 other calls counts for nothing.",
        saves: true,
        limits: &[TIMES],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let least = settings.whole(&RULE.text, &TIMES);
    let mut found = Vec::new();
    for thread in &seen.threads {
        for run in runs(thread).into_iter().filter(|run| run.len() as u64 >= least) {
            let Some(first) = run.first() else { continue };
            let model = seen.known(first).map_or(Name::NONE, |call| call.model);
            let mut finding = Finding { amount: run.len() as u64, ..first.finding(names, model) };
            for again in run.iter().skip(1) {
                let request = seen.request(again.call.response);
                let request = request.filter(|request| seen.calls_made(request.response.id) == 1);
                let took = request.map_or(0, |request| request.response.end.since_ms(request.response.start));
                let paid = request.and_then(|request| request.response.picousd).unwrap_or(0);
                finding.picousd = finding.picousd.saturating_add(paid);
                finding.ms = finding.ms.saturating_add(took).saturating_add(again.call.took_ms.unwrap_or(0));
            }
            found.push(finding);
        }
    }
    found
}

/// Runs of failed calls with the same tool and input, nothing else being called between.
fn runs<'t, 'a>(thread: &'t Thread<'a>) -> Vec<Vec<&'t Called<'a>>> {
    let mut runs: Vec<Vec<&Called<'_>>> = Vec::new();
    for called in &thread.calls {
        let is_failed = called.call.outcome == Some(Outcome::Failed) && called.call.input != 0;
        let same = runs.last_mut().filter(|run| {
            let is_same =
                |last: &&&Called<'_>| last.call.input == called.call.input && last.call.tool == called.call.tool;
            run.last().is_some_and(|last| is_same(&last))
        });
        match same {
            Some(run) if is_failed => run.push(called),
            _ if is_failed => runs.push(vec![called]),
            // Any other call ends the run.
            _ => runs.push(Vec::new()),
        }
    }
    runs
}

fn sentence(sum: &Sum) -> String {
    format!(
        "The same call failed again and again {} in {}, most often of {}. All times but the first cost {} and took {}.",
        counted(sum.count, "time"),
        counted(sum.sessions, "session"),
        sum.most_common().unwrap_or("a tool"),
        money(sum.saving),
        duration(seconds(sum.ms))
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("rows", Figure::Count(sum.count)),
        ("failed_calls", Figure::Count(sum.amount)),
        ("sessions", Figure::Count(sum.sessions)),
        ("most_in_a_row", Figure::Count(sum.largest)),
        ("by_tool", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name} failed {} in a row", counted(finding.amount, "time"))
}
