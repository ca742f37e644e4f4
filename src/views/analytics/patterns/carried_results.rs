//! Large results of tools that stayed in the prompt of many later requests.

use super::finding::{Finding, Sum};
use super::rule::{Basis, Limit, RuleText, Severity};
use super::seen::Seen;
use super::session_rule::{Figure, SessionRule, any};
use super::settings::PatternSettings;
use crate::views::analytics::figures::{counted, money, short};
use crate::views::analytics::names::Names;
use crate::views::analytics::session_work::CARRY_PICOUSD;

const TOKENS: Limit =
    Limit { name: "tokens", default: 8_000.0, range: (1.0, 10_000_000.0), help: "Least tokens of a result." };
const KEPT: Limit = Limit {
    name: "responses",
    default: 10.0,
    range: (1.0, 100_000.0),
    help: "Later responses for which a result is taken to be needed. Only those after them count.",
};

/// The rule.
pub(super) static RULE: SessionRule = SessionRule {
    text: RuleText {
        id: "carried_results",
        title: "Large results carried through many requests",
        severity: Severity::Cost,
        basis: Basis::Estimated,
        recommendation: "Ask for less: a part of a file, a filtered or shortened output. Let a sub-agent read what only its \
                         answer is needed of, and compact or start anew once the work goes on to something else.",
        method: "For each result that is large: what the responses after the first few paid to read it from the cache. Its \
                 tokens are estimated from its bytes, by how much the prompts of its session grew.",
        saves: true,
        limits: &[TOKENS, KEPT],
    },
    find,
    keep: None,
    is_told: any,
    sentence,
    figures,
    detail,
};

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast of a float saturates")]
fn find(seen: &Seen<'_>, settings: &PatternSettings, names: &mut Names) -> Vec<Finding> {
    let (tokens_min, kept) = (settings.whole(&RULE.text, &TOKENS), settings.whole(&RULE.text, &KEPT));
    let mut found = Vec::new();
    for called in seen.threads.iter().flat_map(|thread| &thread.calls) {
        let Some(call) = seen.known(called) else { continue };
        let later = u64::from(call.carried).saturating_sub(kept);
        if u64::from(call.tokens) < tokens_min || later == 0 {
            continue;
        }
        let paid = f64::from(call.carry) * f64::from(CARRY_PICOUSD) / f64::from(call.carried);
        let picousd = (paid * later.min(u32::MAX.into()) as f64).round() as u64;
        let amount = u64::from(call.tokens).saturating_mul(later);
        found.push(Finding { picousd, amount, ..called.finding(names, call.model) });
    }
    found
}

fn sentence(sum: &Sum) -> String {
    let most = sum.most_common().unwrap_or("a tool");
    format!(
        "{} of tools, most of them of {most}, stayed in the prompts of later requests, which read {} tokens of them from the \
         cache for about {}.",
        counted(sum.count, "large result"),
        short(sum.amount),
        money(sum.saving)
    )
}

fn figures(sum: &Sum) -> Vec<(&'static str, Figure)> {
    let amounts = sum.names.iter().map(|(name, own)| (name.clone(), own.saving)).collect();
    vec![
        ("results", Figure::Count(sum.count)),
        ("sessions", Figure::Count(sum.sessions)),
        ("carried_tokens_estimate", Figure::Count(sum.amount)),
        ("usd_by_tool", Figure::Amounts(amounts)),
    ]
}

fn detail(finding: &Finding, name: &str) -> String {
    format!("{name}: {} tokens read from the cache later", short(finding.amount))
}
