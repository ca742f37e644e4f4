//! Money that the client reports and no row explains.

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use super::usage::taken_sessions;
use crate::ledger::money::Money;
use crate::views::analytics::figures::{counted, money, percent};

const USD: Limit = Limit { name: "usd", default: 0.1, range: (0.0, 1e6), help: "Least US dollars of it." };
const SHARE: Limit = Limit {
    name: "share",
    default: 0.05,
    range: (0.0, 1.0),
    help: "Least share of what the client reports, from 0 to 1.",
};

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "unattributed",
        title: "Spend that no row explains",
        severity: Severity::Info,
        basis: Basis::Measured,
        recommendation: "Add it when you compare with the bill: sums by model and project do not have it. `client_reported` in \
                         /api/v1/analytics/sessions/ID tells the likely reason for each session.",
        method: "Of sessions that ended in the range and for which the client reports a cost: the part of it that the rows of \
                 the session do not come to.",
        saves: false,
        limits: &[USD, SHARE],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let (mut reported, mut unattributed, mut reporting) = (Money::ZERO, Money::ZERO, 0u64);
    let mut sessions = Vec::new();
    for (id, session) in taken_sessions(asked) {
        let Some(ended) = session.entry.ended.filter(|ended| asked.filter.window.has(*ended)) else { continue };
        reported += session.entry.reported.cost;
        reporting += u64::from(session.entry.reported.cost > Money::ZERO);
        unattributed += session.entry.reported.unattributed;
        if session.entry.reported.unattributed > Money::ZERO {
            sessions.push((session.entry.reported.unattributed, id, ended));
        }
    }
    let share = if reported > Money::ZERO { unattributed.to_f64() / reported.to_f64() } else { 0.0 };
    let least = asked.settings.picousd(&RULE.text, &USD);
    if sessions.is_empty()
        || unattributed < Money::from_picousd(least.into())
        || share < asked.settings.number(&RULE.text, &SHARE)
    {
        return None;
    }
    sessions.sort_by(|(one, a, _), (other, b, _)| other.cmp(one).then_with(|| a.cmp(b)));
    let seen = first_and_last(sessions.iter().map(|(.., ended)| *ended));
    let count = sessions.len() as u64;
    let evidence = sessions.into_iter().take(EVIDENCE_MAX).map(|(cost, id, ended)| Shown {
        session: Some(id.clone()),
        at: Some(ended),
        detail: format!("{} more than its rows come to", money(cost)),
    });
    Some(Judged {
        sentence: format!(
            "The client reports {} for {} of this time; {} of it ({}), of {}, are in no row.",
            money(reported),
            counted(reporting, "session"),
            money(unattributed),
            percent(share),
            counted(count, "session")
        ),
        figures: vec![
            ("reported_usd", Figure::Usd(reported)),
            ("unattributed_usd", Figure::Usd(unattributed)),
            ("share", Figure::Share(share)),
            ("sessions", Figure::Count(count)),
            ("reported_sessions", Figure::Count(reporting)),
        ],
        saving: Money::ZERO,
        seen,
        evidence: evidence.collect(),
    })
}
