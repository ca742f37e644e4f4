//! The rules as `docs/patterns.md` lists them.

use super::all::rules;
use super::rule::RuleText;

/// A table of all rules, the most serious kinds first as answers tell them.
#[must_use]
pub fn overview() -> String {
    let rows = rules().map(|rule| {
        let RuleText { id, title, severity, basis, .. } = rule;
        format!("| [`{id}`](#{id}) | {title} | {} | {} |\n", severity.word(), basis.word())
    });
    format!("| rule | what it sees | severity | basis |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

/// What a rule says of itself: what to do, how the saving is worked out, and its limits. `None` for an unknown rule.
#[must_use]
pub fn rule(id: &str) -> Option<String> {
    let rule = rules().find(|rule| rule.id == id)?;
    let mut text = format!("{}.\n\n- **What to do.** {}\n", rule.title, rule.recommendation);
    let what = if rule.saves { "The saving" } else { "What is told" };
    text.push_str(&format!("- **{what}** ({}). {}\n", rule.basis.word(), rule.method));
    if !rule.limits.is_empty() {
        text.push_str("\n| limit | default | from, to | what it is |\n|---|---|---|---|\n");
        for limit in rule.limits {
            let (from, to) = limit.range;
            text.push_str(&format!("| `{}` | {} | {from}, {to} | {} |\n", limit.name, limit.default, limit.help));
        }
    }
    Some(text)
}
