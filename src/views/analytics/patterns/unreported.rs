//! Money that rows show and the client does not report.

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, EVIDENCE_MAX, Limit, RuleText, Severity};
use super::session_rule::Figure;
use super::usage::taken_sessions;
use crate::ledger::money::Money;
use crate::views::analytics::figures::{counted, money, percent};

const USD: Limit = Limit { name: "usd", default: 0.1, range: (0.0, 1e6), help: "Least US dollars of a session." };
const SHARE: Limit = Limit {
    name: "share",
    default: 0.05,
    range: (0.0, 1.0),
    help: "Least share of what the rows of a session come to, from 0 to 1.",
};

/// The client reports when its process ends. A session that was quiet for so many milliseconds is taken to have none.
const QUIET_MS: u64 = 3_600_000;

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "unreported",
        title: "Spend that the client does not report",
        severity: Severity::Info,
        basis: Basis::Measured,
        recommendation: "Go by the sums here, not by what the client says of these sessions: a process was killed before it \
                         reported, several worked in one session, or prices differ. `client_reported` in \
                         /api/v1/analytics/sessions/ID tells the likely reason for each.",
        method: "Of sessions that ended in the range and at least an hour ago, and for which the client reports a cost: what \
                 their rows and streams come to beyond that.",
        saves: false,
        limits: &[USD, SHARE],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let least = Money::from_picousd(asked.settings.picousd(&RULE.text, &USD).into());
    let share = asked.settings.number(&RULE.text, &SHARE);
    let (mut ours, mut unreported, mut sessions) = (Money::ZERO, Money::ZERO, Vec::new());
    for (id, session) in taken_sessions(asked) {
        let entry = &session.entry;
        let Some(ended) = entry.ended.filter(|ended| asked.filter.window.has(*ended)) else { continue };
        let beyond = entry.cost - entry.reported.cost;
        let is_told = entry.reported.cost > Money::ZERO && asked.now.since_ms(ended) >= QUIET_MS;
        if is_told && beyond > Money::ZERO && beyond >= least && beyond.to_f64() >= share * entry.cost.to_f64() {
            ours += entry.cost;
            unreported += beyond;
            sessions.push((beyond, id, ended));
        }
    }
    if sessions.is_empty() {
        return None;
    }
    sessions.sort_by(|(one, a, _), (other, b, _)| other.cmp(one).then_with(|| a.cmp(b)));
    let seen = first_and_last(sessions.iter().map(|(.., ended)| *ended));
    let (count, part) = (sessions.len() as u64, unreported.to_f64() / ours.to_f64());
    let evidence = sessions.into_iter().take(EVIDENCE_MAX).map(|(cost, id, ended)| Shown {
        session: Some(id.clone()),
        at: Some(ended),
        detail: format!("{} more than the client reports", money(cost)),
    });
    Some(Judged {
        sentence: format!(
            "{} of this time cost {}, of which the client reports {} ({}) less.",
            counted(count, "session"),
            money(ours),
            money(unreported),
            percent(part)
        ),
        figures: vec![
            ("cost_usd", Figure::Usd(ours)),
            ("unreported_usd", Figure::Usd(unreported)),
            ("share", Figure::Share(part)),
            ("sessions", Figure::Count(count)),
        ],
        saving: Money::ZERO,
        seen,
        evidence: evidence.collect(),
    })
}
