//! An event as a row of the timeline.

use serde_json::Value;

use super::paint::{Line, Style, width};
use crate::cli::ask::answer::{count, list, number, some_text, text};
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Zone;

/// Gaps between events that play makes shorter, in seconds, and that are marked.
pub(super) const GAP_MAX_SECONDS: f64 = 3.0;

/// Letters of a text that are looked at for its first words.
const GIST_LETTERS_MAX: usize = 400;

/// Letters of the first words of an event that are kept.
const GIST_LETTERS: usize = 160;

/// Depths of sub-agents that are told apart.
const DEPTH_MAX: u64 = 4;

/// Signs and names of the kinds of events, as the page has them.
const KINDS: [(&str, &str, &str); 17] = [
    ("prompt", "❯", "Prompt"),
    ("message", "✦", "Answer"),
    ("tool_call", "⚙", "Call"),
    ("tool_result", "↩", "Result"),
    ("subagent_start", "▶", "Sub-agent starts"),
    ("subagent_end", "■", "Sub-agent ends"),
    ("api_error", "⚠", "API error"),
    ("model_change", "⇄", "Model change"),
    ("compaction", "⇲", "Compaction"),
    ("hook", "⚓", "Hook"),
    ("queued_prompt", "❯", "Queued prompt"),
    ("task_end", "■", "Background work ends"),
    ("pull_request", "⑂", "Pull request"),
    ("away_summary", "☾", "Summary while away"),
    ("plan_mode", "✎", "Plan mode"),
    ("server_tool", "⚙", "Server tool"),
    ("interrupt", "✋", "Interrupt"),
];

/// What the timeline shows of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Its position in the session.
    pub(super) index: usize,
    /// Day and time in the zone of the reader: `2026-11-24 09:12:33`.
    pub(super) at: String,
    /// Seconds since the event before it.
    pub(super) gap: Option<f64>,
    /// How deep it lies in sub-agents.
    pub(super) depth: usize,
    /// The turn that it belongs to.
    pub(super) turn: Option<u64>,
    /// What was spent so far, as text.
    pub(super) cost: String,
    pub(super) sign: &'static str,
    /// Kind and name: `Call Bash`.
    pub(super) name: String,
    pub(super) has_failed: bool,
    /// Its first words.
    pub(super) gist: String,
}

impl Row {
    /// The row of an event of the API; `None` if it is none.
    pub(super) fn of(event: &Value, zone: Zone) -> Option<Self> {
        let at = text(event, "/at").and_then(Timestamp::parse).and_then(|at| zone.clock(at));
        let (sign, name) = named(event);
        Some(Self {
            index: usize::try_from(count(event, "/index")?).ok()?,
            at: at.unwrap_or_default(),
            gap: number(event, "/gap_seconds"),
            depth: usize::try_from(count(event, "/depth").unwrap_or(0).min(DEPTH_MAX)).unwrap_or(0),
            turn: count(event, "/turn"),
            cost: text(event, "/cost_usd_so_far").map(money).unwrap_or_default(),
            sign,
            name,
            has_failed: has_failed(event),
            gist: gist(event),
        })
    }

    /// The row in so many columns. What does not fit is left out: first the cost, then the gap.
    pub(super) fn line(&self, columns: usize) -> Line {
        let plain = if self.has_failed { Style::BAD } else { Style::PLAIN };
        let mut line = Line::of(self.at.get(11..).unwrap_or_default(), Style::DIM);
        if columns >= 60 {
            let gap = self.gap.map(|gap| format!("+{}", short(gap))).unwrap_or_default();
            let look = if self.gap.is_some_and(|gap| gap > GAP_MAX_SECONDS) { Style::WARN } else { Style::DIM };
            line.push(&format!(" {gap:>7}"), look);
        }
        let indent = "  ".repeat(self.depth);
        let sign = self.sign;
        line.push(&format!(" {indent}{sign} "), if self.has_failed { Style::BAD } else { Style::MARK });
        line.push(&self.name, Style { bold: true, ..plain });
        if self.has_failed {
            line.push(" failed", Style::BAD);
        }
        line.push(&format!(" {}", self.gist), plain);
        if columns < 74 || self.cost.is_empty() {
            return line.fitted(columns, Style::PLAIN);
        }
        let cost = format!(" {:>9}", self.cost);
        line.fitted(columns.saturating_sub(width(&cost)), Style::PLAIN).with(&cost, Style::DIM)
    }
}

/// The sign of an event, and its kind with its name.
pub(super) fn named(event: &Value) -> (&'static str, String) {
    let kind = text(event, "/kind").unwrap_or_default();
    let known = KINDS.iter().find(|(name, ..)| *name == kind).map(|(_, sign, told)| (*sign, *told));
    let (sign, told) = known.unwrap_or(("•", kind));
    let names = ["/tool", "/model", "/agent_type", "/name", "/to"];
    let name = names.iter().find_map(|place| some_text(event, place)).unwrap_or_default();
    (sign, format!("{told} {name}").trim_end().to_owned())
}

/// Whether an event tells of a failure.
pub(super) fn has_failed(event: &Value) -> bool {
    let is_bad = |outcome| matches!(outcome, "failed" | "error" | "failure" | "denied" | "interrupted");
    text(event, "/kind") == Some("api_error") || text(event, "/outcome").is_some_and(is_bad)
}

/// The first words of an event, on one line.
fn gist(event: &Value) -> String {
    let Some(piece) = list(event, "/content").iter().find(|piece| some_text(piece, "/text").is_some()) else {
        return some_text(event, "/content_unavailable").map(|why| format!("no text: {why}")).unwrap_or_default();
    };
    let whole = text(piece, "/text").unwrap_or_default();
    let input =
        (text(piece, "/type") == Some("tool_input")).then(|| serde_json::from_str::<Value>(whole).ok()).flatten();
    let told = ["/command", "/file_path", "/pattern", "/description", "/prompt", "/query"];
    let told = input.as_ref().and_then(|input| told.iter().find_map(|place| text(input, place)));
    let begin: String = told.unwrap_or(whole).chars().take(GIST_LETTERS_MAX).collect();
    let plain: Vec<String> = super::ansi::lines(&begin).iter().map(Line::text).collect();
    let words: Vec<&str> = plain.iter().flat_map(|line| line.split_whitespace()).collect();
    words.join(" ").chars().take(GIST_LETTERS).collect()
}

/// How many events, in words.
pub(super) fn events(count: usize) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

/// Dollars as people write them; below one dollar with four digits.
pub(super) fn money(usd: &str) -> String {
    let amount: f64 = usd.parse().unwrap_or(0.0);
    if amount != 0.0 && amount.abs() < 1.0 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

/// Seconds in six letters at most, for a column.
fn short(seconds: f64) -> String {
    let parts = |unit: f64, rest: f64, names: (&str, &str)| {
        format!("{:.0}{}{:02.0}{}", (seconds / unit).floor(), names.0, (seconds % unit / rest).floor(), names.1)
    };
    match seconds {
        s if s < 1.0 => format!("{:.0}ms", s * 1000.0),
        s if s < 59.95 => format!("{s:.1}s"),
        s if s < 3600.0 => parts(60.0, 1.0, ("m", "")),
        s if s < 86_400.0 => parts(3600.0, 60.0, ("h", "")),
        s if s < 8_640_000.0 => parts(86_400.0, 3600.0, ("d", "h")),
        s => format!("{:.0}d", (s / 86_400.0).floor()),
    }
}

/// Seconds as people say them.
pub(super) fn duration(seconds: f64) -> String {
    let whole = |part: f64| format!("{part:.0}");
    match seconds {
        s if s < 1.0 => format!("{} ms", whole(s * 1000.0)),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {} s", whole((s / 60.0).floor()), whole((s % 60.0).floor())),
        s if s < 172_800.0 => format!("{} h {} min", whole((s / 3600.0).floor()), whole((s % 3600.0 / 60.0).floor())),
        s => format!("{} d {} h", whole((s / 86_400.0).floor()), whole((s % 86_400.0 / 3600.0).floor())),
    }
}
