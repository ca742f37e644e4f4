//! Sums by day, month and five-hour block beside those of ccusage, over a generated history of half a year.
//!
//! Programs: `ccusage` as `tests/support/deploy_tools.sh` installs it, and python3 for the history. Without one of them the
//! test is skipped, except where CI=true. Every model of the history has the same prices in both programs, and no response
//! has what ccusage leaves out (`docs/faq.md`), so all sums are equal. What differs:
//!
//! - ccusage adds up floats: its cost is ours to within a millionth of a dollar for each day.
//! - The end of a block is the last *row* of a response for ccusage, and the time of the response, which is its first row,
//!   for us. So ours is never later, and within the block.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tailspan::transcript::time::Timestamp;

use crate::support::costs::filled;
use crate::support::jaeger::encoded;
use crate::support::privileges::skip;
use crate::support::world::copy_folder;

const CCUSAGE: &str = "target/deploy-tools/node_modules/.bin/ccusage";

/// Tokens of the four kinds that ccusage tells apart, and dollars.
type Spent = ([u64; 4], f64);

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn ours(row: &Value) -> Spent {
    let kind = |name: &str| number(&row["tokens"][name]);
    let written = kind("cache_write_5m") + kind("cache_write_1h");
    ([kind("input"), kind("output"), written, kind("cache_read")], row["cost_usd"].as_str().unwrap().parse().unwrap())
}

/// What ccusage says of a folder of configuration.
fn ccusage(program: &Path, home: &Path, what: &[&str]) -> Value {
    let mut command = Command::new(program);
    command.arg("claude").args(what).args(["--json", "--offline"]).env("CLAUDE_CONFIG_DIR", home);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_same(theirs: &BTreeMap<String, Spent>, ours: &BTreeMap<String, Spent>, said: &str) {
    assert!(theirs.len() > 3, "{said}: {theirs:?}");
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>(), "{said}");
    for (key, (tokens, cost)) in theirs {
        assert_eq!((tokens, (cost - ours[key].1).abs() < 1e-6), (&ours[key].0, true), "{said} {key}: {:?}", ours[key]);
    }
}

#[test]
fn sums_by_day_month_and_block_are_those_of_ccusage() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(CCUSAGE);
    if !program.exists() {
        return skip("tests/support/deploy_tools.sh has not run");
    }
    let folder = tempfile::tempdir().unwrap();
    let generator = root.join("benches/gen_corpus.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(generator).args(["--files", "120", "--mb", "12", "--seed", "3"]).arg(folder.path());
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => return skip("python3 is not installed"),
    }
    let home = folder.path().join(".claude");
    let (asked, _world, _folder) = filled(|world| copy_folder(&home.join("projects"), &world.root));

    for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
        for (what, by) in [("daily", "day"), ("monthly", "month")] {
            let said = ccusage(&program, &home, &[what, "--timezone", zone]);
            let row = |row: &Value| {
                let key = ["date", "month", "period"].iter().find_map(|name| row[name].as_str()).unwrap();
                let kinds = ["inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens"];
                (key.to_owned(), (kinds.map(|kind| number(&row[kind])), row["totalCost"].as_f64().unwrap()))
            };
            let theirs = said[what].as_array().unwrap().iter().map(row).collect();
            let answer = asked.ask(&format!("group_by={by}&tz={}", encoded(zone)));
            let rows = answer["rows"].as_array().unwrap().iter().filter(|row| row["messages"] != 0);
            let told = rows.map(|row| (row[by].as_str().unwrap().to_owned(), ours(row))).collect();
            assert_same(&theirs, &told, &format!("{what} {zone}"));
        }
    }

    let said = ccusage(&program, &home, &["blocks"]);
    let answer = asked.ask("group_by=block");
    let told = |row: &Value| (row["block"].as_str().unwrap().to_owned(), ours(row));
    let rows = answer["rows"].as_array().unwrap();
    let block = |block: &Value| {
        let kinds = ["inputTokens", "outputTokens", "cacheCreationInputTokens", "cacheReadInputTokens"];
        let tokens = kinds.map(|kind| number(&block["tokenCounts"][kind]));
        (block["startTime"].as_str().unwrap().to_owned(), (tokens, block["costUSD"].as_f64().unwrap()))
    };
    let blocks: Vec<&Value> =
        said["blocks"].as_array().unwrap().iter().filter(|block| block["isGap"] == false).collect();
    assert_same(&blocks.iter().map(|one| block(one)).collect(), &rows.iter().map(told).collect(), "blocks");
    let time = |value: &Value| Timestamp::parse(value.as_str().unwrap()).unwrap();
    for (theirs, ours) in blocks.iter().zip(rows) {
        assert!(time(&ours["ended_at"]) <= time(&theirs["actualEndTime"]), "{ours} {theirs}");
    }
}
