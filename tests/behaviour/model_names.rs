//! Names of models, in every spelling that sessions contain.

use tailspan::ledger::model_name::normalize;
use tailspan::ledger::prices::{Priced, Prices};
use tailspan::transcript::time::Timestamp;
use tailspan::transcript::usage::Usage;

/// Whether the table has a price for a name.
fn has_price(raw: &str) -> bool {
    let (usage, at) = (Usage::default(), Timestamp::parse("2026-11-20T12:00:00Z").unwrap());
    let input = Priced { model: raw, requested_model: None, usage: &usage, at, refused: false };
    Prices::embedded().shares(&input)[0].cost.is_some()
}

#[test]
fn every_spelling_of_a_model_is_understood() {
    let plain = [
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-sonnet-3-7", "claude-3-7-sonnet"),
        ("claude-haiku-3", "claude-3-haiku"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-4-opus-20250514", "claude-opus-4"),
        ("claude-4-sonnet", "claude-sonnet-4"),
        ("claude-4-5-haiku", "claude-haiku-4-5"),
        ("claude-opus-4-6-20260205", "claude-opus-4-6"),
        ("claude-opus-4-6-2026-02-05", "claude-opus-4-6"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("anthropic.claude-3-haiku-20240307-v1:0:200k", "claude-3-haiku"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("anthropic.claude-opus-5", "claude-opus-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("claude-opus-5@default", "claude-opus-5"),
        ("claude-opus-5@latest", "claude-opus-5"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("databricks-claude-opus-4-1", "claude-opus-4-1"),
        ("claude-3-7-sonnet-thinking", "claude-3-7-sonnet"),
        ("claude-opus-4-5-20251101-think", "claude-opus-4-5"),
        ("claude-opus-5[1m]", "claude-opus-5"),
        ("  Claude-Opus-5-5[1M] ", "claude-opus-5-5"),
        ("claude-mythos-preview", "claude-mythos-preview"),
    ];
    let regional = [
        "us.anthropic.claude-opus-5",
        "eu.anthropic.claude-opus-5-v1:0",
        "apac.anthropic.claude-opus-5",
        "au.anthropic.claude-opus-5",
        "jp.anthropic.claude-opus-5",
        "ca.anthropic.claude-opus-5[1m]",
        "bedrock/us.anthropic.claude-opus-5",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-v1:0",
    ];
    for (raw, id) in plain {
        let name = normalize(raw).unwrap();
        assert_eq!((&*name.id, name.fast, name.regional), (id, false, false), "{raw}");
        assert!(has_price(raw), "{raw}");
        assert_eq!(normalize(id).unwrap(), name, "{raw}");
    }
    for raw in regional {
        let name = normalize(raw).unwrap();
        assert_eq!((&*name.id, name.fast, name.regional), ("claude-opus-5", false, true), "{raw}");
    }
    for raw in ["azure_ai/claude-opus-5-5-fast", "claude-opus-5-5-fast[1m]", "claude-opus-5-5-fast-latest"] {
        let name = normalize(raw).unwrap();
        assert_eq!((&*name.id, name.fast, name.regional), ("claude-opus-5-5", true, false), "{raw}");
    }
}

#[test]
fn garbage_is_an_unknown_model_with_a_bounded_name() {
    assert_eq!([normalize(""), normalize(" \t"), normalize("<synthetic>"), normalize("<>")], [const { None }; 4]);
    let long = "ÄÖ".repeat(100_000);
    let many = "claude-".to_owned() + &"-v1@2025[".repeat(5_000);
    let garbage = [
        "/",
        "a/",
        "[1m]",
        "]",
        "[",
        "-fast",
        "-v1:0",
        "@default",
        "-20250101",
        "claude-",
        "claude--",
        "claude---",
        "claude-4",
        "claude-4-",
        "claude-opus-999-1",
        "claude-٣-opus",
        "claude-opus-4-5-6-7",
        "\u{0}",
        "İ",
        "<a",
        "🦀",
        "us.anthropic.",
        ":.anthropic.x",
        "-2025-01-01",
        "claude-opus-20250514-",
        &long,
        &many,
    ];
    for raw in garbage {
        let id = normalize(raw).unwrap().id;
        assert!(!id.is_empty() && id.len() <= 64 && *id == *id.to_lowercase(), "{raw:.40} → {id}");
        assert!(!has_price(raw), "{raw:.40}");
    }
    assert_eq!(&*normalize("GPT-4.1").unwrap().id, "gpt-4-1");
}
