//! What the rules of custom metrics cost: `cargo bench --bench rules`, with the rules of `deploy/custom-metrics.toml`.
//!
//! ```text
//! extract a row with calls is read: what the rules need of their inputs is computed, per call and rule
//! facts   a fact is counted: conditions, values and labels are computed, per event and rule
//! ```
//!
//! The limit is 2 microseconds for each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise, and prints"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use tailspan::config::rules_of;
use tailspan::custom::{Happening, RuleReader, What};
use tailspan::ledger::fold::Fold;
use tailspan::ledger::known::Known;
use tailspan::ledger::prices::Prices;
use tailspan::measures::Dimensions;
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use tailspan::transcript::read;
use tailspan::transcript::record::{RowBody, RowKind};

const CALLS: usize = 2_000;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/custom-metrics.toml");
    let custom = rules_of(&shipped).unwrap();
    let rules = custom.rules();
    let count = rules.all().len();
    let chunk = chunk();
    let parsed = per(|| black_box(read(&chunk)).records.len(), CALLS);
    let mut reader = RuleReader::new(rules);
    let noted = per(
        || {
            let mut batch = read(&chunk);
            reader.forget();
            batch.records.iter_mut().for_each(|record| reader.extract(&chunk, record));
            black_box(batch).records.len()
        },
        CALLS,
    );
    println!("extract {:8.1} ns per call and rule ({count} rules)", (noted - parsed) / count as f64);

    let mut batch = read(&chunk);
    reader.forget();
    batch.records.iter_mut().for_each(|record| reader.extract(&chunk, record));
    let calls = |record: &tailspan::transcript::Record| match &record.body {
        RowBody::Row(row) => matches!(row.kind, RowKind::Assistant(_)),
        _ => false,
    };
    assert_eq!(batch.records.iter().filter(|record| calls(record)).count(), CALLS);
    let (mut known, prices) = (Known::default(), Prices::embedded());
    known.paths.push(b"/home/dev/session.jsonl");
    let mut fold = Fold::new(&mut known, &prices, FileNumber(0), true);
    batch.records.iter().for_each(|record| fold.fold(record));
    let tools: Vec<_> = known.everything().flat_map(|changed| &changed.parts.tools).collect();
    assert_eq!(tools.len(), CALLS);
    let around = Dimensions { agent: Some("main"), branch: Some("main"), ..Dimensions::default() };
    let counted = per(
        || {
            let mut counted = 0;
            for tool in &tools {
                let happening = Happening { what: What::Result(tool), around, project: "shop" };
                for rule in rules.all() {
                    counted += usize::from(black_box(rules.count_of(rule, &happening)).is_some());
                }
            }
            counted
        },
        CALLS,
    );
    println!("facts {:8.1} ns per event and rule ({count} rules)", counted / count as f64);
}

/// Nanoseconds per operation, of the fastest of the calls in a second.
fn per(mut work: impl FnMut() -> usize, operations: usize) -> f64 {
    let started = Instant::now();
    let mut fastest = Duration::MAX;
    while started.elapsed() < ROUND {
        let call = Instant::now();
        black_box(work());
        fastest = fastest.min(call.elapsed());
    }
    fastest.as_nanos() as f64 / operations as f64
}

/// A session with calls of many kinds, most of which some rule looks at.
fn chunk() -> Chunk {
    let inputs = [
        ("Bash", r#"{"command":"cd /home/dev/shop && cargo test --all -- --nocapture 2>&1 | tail -50"}"#),
        ("Bash", r#"{"command":"git add -A && git commit -m 'Say what changed'"}"#),
        ("Bash", r#"{"command":"rg -n 'fn main' src | head","description":"Find the beginning"}"#),
        ("Edit", r#"{"file_path":"/home/dev/shop/src/main.rs","old_string":"a","new_string":"b"}"#),
        ("Read", r#"{"file_path":"/home/dev/shop/README.md"}"#),
        ("WebFetch", r#"{"url":"https://docs.rs/cel/latest","prompt":"What is it?"}"#),
    ];
    let mut text = String::new();
    for (number, (tool, input)) in inputs.iter().cycle().take(CALLS).enumerate() {
        let row = |kind: &str, more: usize, message: &str| {
            format!(
                r#"{{"type":"{kind}","uuid":"00000000-{:04x}-4000-8000-00000000000{more}","timestamp":"2026-11-20T10:00:00.000Z","sessionId":"one","requestId":"req_{number}","cwd":"/home/dev/shop","message":{message}}}"#,
                number
            ) + "\n"
        };
        text += &row(
            "assistant",
            1,
            &format!(
                r#"{{"id":"msg_{number:024}","role":"assistant","model":"claude-sonnet-4-5","stop_reason":"tool_use","content":[{{"type":"tool_use","id":"toolu_{number}","name":"{tool}","input":{input}}}],"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
            ),
        );
        text += &row(
            "user",
            2,
            &format!(
                r#"{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{number}","content":"Done."}}]}}"#
            ),
        );
    }
    Chunk {
        file: FileNumber(0),
        role: FileRole::Rows,
        offset: 0,
        bytes: text.into_bytes(),
        restarted: true,
        too_long_lines: 0,
        cursor: Cursor::default(),
    }
}
