//! Turns that stood still until a person answered.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule};
use super::settings::PatternSettings;
use crate::transcript::time::seconds;
use crate::views::analytics::figures::{counted, duration};
use crate::views::analytics::names::Names;

/// Tools that do nothing but ask a person.
const ASKING: [&str; 2] = ["AskUserQuestion", "ExitPlanMode"];

const SECONDS: Limit = Limit {
    name: "seconds",
    default: 60.0,
    range: (0.0, 10_000_000.0),
    help: "Least seconds that one question had to wait.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "waiting_for_person",
        title: "Waiting for a person",
        severity: Severity::Info,
        basis: Basis::Measured,
        recommendation: "Let the client notify you when it asks. Say in the first prompt what it may decide by itself.",
        method: "The time for which a turn waited for a tool that asks a person, and for nothing else, and waits for a \
                 permission where a stream shows exactly how long they were. Other waits for a permission are not told \
                 apart from the run of the tool, and do not count.",
        saves: true,
        limits: &[SECONDS],
    },
    find,
    keep: None,
    is_told: |sum, _| sum.ms > 0,
    sentence,
    figures,
    detail,
};

fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let least = settings.milliseconds(&RULE.text, &SECONDS);
    let mut found = Vec::new();
    for called in seen.threads.iter().flat_map(|thread| &thread.calls) {
        let Some(call) = seen.known(called) else { continue };
        let is_asking = ASKING.contains(&&*called.call.tool);
        if called.call.by_person && call.asked_ms == 0 {
            // Its time holds the wait as well as the run.
            found.push(called.finding(names, call.model));
        }
        let ms = u64::from(call.asked_ms) + if is_asking { u64::from(call.critical_ms) } else { 0 };
        if ms > 0 && ms >= least {
            found.push(Finding { ms, amount: 1, ..called.finding(names, call.model) });
        }
    }
    found
}

fn sentence(sum: &Sum) -> String {
    let waited = format!("{} waited {} for an answer.", counted(sum.amount, "question"), duration(seconds(sum.ms)));
    match sum.count - sum.amount {
        0 => waited,
        decided => format!(
            "{waited} A person also decided about {}, whose waits are not told apart from their runs.",
            counted(decided, "call")
        ),
    }
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    vec![
        ("questions", Figure::Count(sum.amount)),
        ("decided_calls", Figure::Count(sum.count - sum.amount)),
        ("sessions", Figure::Count(sum.sessions)),
        ("waited_seconds", Figure::Seconds(sum.ms)),
        ("by_tool", sum.counts()),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name} waited {}", duration(seconds(finding.ms)))
}
