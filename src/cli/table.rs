//! The tables that `scan` prints for people to read.

use crate::ledger::tokens::Tokens;
use crate::views::analytics::figures::grouped;
use crate::views::sessions::summary::{CustomCount, Durations, Summary};

/// A table as text. Its first column is left-aligned, all others are right-aligned.
pub(super) struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| (*name).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn print(&self, out: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let pad = width.saturating_sub(cell.chars().count());
                let gap = if column == 0 { "" } else { "  " };
                if column == 0 {
                    line.push_str(cell);
                    line.extend(std::iter::repeat_n(' ', pad));
                } else {
                    line.push_str(gap);
                    line.extend(std::iter::repeat_n(' ', pad));
                    line.push_str(cell);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
}

/// Renders a summary as text: counts, and tables of models, tools, costs and sessions.
#[must_use]
pub(super) fn render(summary: &Summary) -> String {
    let mut out = String::new();
    let counts = [
        (summary.sessions, "sessions"),
        (summary.turns, "turns"),
        (summary.messages, "API responses"),
        (summary.subagents, "sub-agents"),
        (summary.compactions, "compactions"),
        (summary.api_errors, "API errors"),
    ];
    let counts: Vec<String> = counts.iter().map(|(count, name)| format!("{} {name}", grouped(*count))).collect();
    out.push_str(&counts.join(", "));
    let files = summary.files;
    let [read, lines, bytes] = [files.read, files.lines, files.bytes].map(grouped);
    out.push_str(&format!("\n{read} files, {lines} lines, {bytes} bytes"));
    for (count, name) in [(files.rejected_lines, "unreadable lines"), (files.unknown_records, "unknown records")] {
        if count > 0 {
            out.push_str(&format!(", {} {name}", grouped(count)));
        }
    }
    out.push_str("\n\n");
    models(summary, &mut out);
    tools(summary, &mut out);
    money(summary, &mut out);
    custom(summary, &mut out);
    sessions(summary, &mut out);
    out
}

fn models(summary: &Summary, out: &mut String) {
    let mut table =
        TextTable::new(&["MODEL", "RESPONSES", "INPUT", "OUTPUT", "CACHE READ", "WRITE 5M", "WRITE 1H", "COST USD"]);
    let mut row = |name: &str, messages: u64, tokens: Tokens, cost: &str| {
        let tokens = [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h];
        let mut cells = vec![name.to_owned(), grouped(messages)];
        cells.extend(tokens.map(grouped));
        cells.push(cost.to_owned());
        table.row(cells);
    };
    for (name, model) in &summary.models {
        let unpriced = summary.unpriced_tokens.contains_key(name);
        row(name, model.messages, model.tokens, if unpriced { "no price" } else { &model.cost_usd });
    }
    row("total", summary.messages, summary.tokens, &summary.cost_usd);
    table.print(out);
}

fn tools(summary: &Summary, out: &mut String) {
    if summary.tools.is_empty() {
        return;
    }
    let mut table = TextTable::new(&[
        "TOOL",
        "CALLS",
        "FAILED",
        "DENIED",
        "INTERRUPTED",
        "OPEN",
        "P50 S",
        "P95 S",
        "MAX S",
        "SUM S",
    ]);
    let mut tools: Vec<_> = summary.tools.iter().collect();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.calls));
    for (name, tool) in tools {
        let counts = [tool.calls, tool.failed, tool.denied, tool.interrupted, tool.open].map(grouped);
        let seconds = |pick: fn(&Durations) -> f64| {
            tool.duration_seconds.as_ref().map_or_else(|| "-".to_owned(), |durations| format!("{:.3}", pick(durations)))
        };
        let mut cells = vec![name.to_string()];
        cells.extend(counts);
        cells.extend([seconds(|d| d.p50), seconds(|d| d.p95), seconds(|d| d.max), seconds(|d| d.sum)]);
        table.row(cells);
    }
    table.print(out);
}

fn money(summary: &Summary, out: &mut String) {
    let client = &summary.client_reported;
    out.push_str(&format!("list price ${}\n", summary.cost_usd));
    if client.cost_usd != "0" {
        let (whole, missing) = (&client.cost_usd, &client.unattributed_usd);
        out.push_str(&format!("the client itself reports ${whole}, of which ${missing} is not in the session files\n"));
    }
    for (model, tokens) in &summary.unpriced_tokens {
        let tokens = grouped(*tokens);
        out.push_str(&format!("no price is known for {model}: {tokens} tokens are not in the cost\n"));
    }
}

fn custom(summary: &Summary, out: &mut String) {
    let Some(list) = &summary.custom_metrics else { return };
    out.push('\n');
    let mut table = TextTable::new(&["CUSTOM METRIC", "EVENTS", "SUM"]);
    for CustomCount { metric, labels, count, sum } in list {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let name = if labels.is_empty() { metric.clone() } else { format!("{metric}{{{}}}", labels.join(",")) };
        table.row(vec![name, count.map_or_else(|| "-".to_owned(), grouped), sum.clone()]);
    }
    table.print(out);
}

fn sessions(summary: &Summary, out: &mut String) {
    let Some(list) = &summary.session_list else { return };
    out.push('\n');
    let mut table = TextTable::new(&["SESSION", "STARTED", "PROJECT", "TURNS", "RESPONSES", "TOKENS", "COST USD"]);
    for session in list {
        table.row(vec![
            session.id.clone(),
            session.started_at.as_deref().map_or("-", |time| time.get(..16).unwrap_or(time)).replace('T', " "),
            session.project.clone().unwrap_or_else(|| "-".to_owned()),
            grouped(session.turns),
            grouped(session.messages),
            grouped(session.tokens.total()),
            session.cost_usd.clone(),
        ]);
    }
    table.print(out);
}
