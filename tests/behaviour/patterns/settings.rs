//! `[patterns]` in the configuration: what it sets, and how mistakes in it are named.

use std::collections::BTreeSet;

use tailspan::config::{Config, Env, Flags, PatternSettings};
use tailspan::views::analytics::patterns::all::rules;

/// The settings of a configuration file, or why it is refused. In messages, the file is `FILE`.
fn settings(file: &str) -> Result<PatternSettings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailspan.toml");
    std::fs::write(&path, file).unwrap();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let config = Config::resolve(&flags, &Env::default());
    config.map(|config| config.patterns).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

#[test]
fn each_setting_is_read() {
    assert_eq!(settings("listen = \"127.0.0.1:1\"").unwrap(), PatternSettings::default());
    let file = "[patterns]\noff = [\"outside_hours\", \"unpriced\"]\nhour_usd = 0\ncheaper_model = \"claude-sonnet-4-5\"\n\
                [patterns.long_context]\ntokens = 200_000\n[patterns.unattributed]\nshare = 0.5\nusd = 1\n";
    let read = settings(file).unwrap();
    let limits = [(("long_context", "tokens"), 2e5), (("unattributed", "share"), 0.5), (("unattributed", "usd"), 1.0)];
    let expected = PatternSettings {
        off: ["outside_hours", "unpriced"].map(str::to_owned).into(),
        hour_usd: 0.0,
        cheaper_model: "claude-sonnet-4-5".to_owned(),
        limits: limits.into(),
    };
    assert_eq!(read, expected);
}

#[test]
fn mistakes_are_refused_with_their_line_and_what_would_be_right() {
    for (file, message) in [
        ("[patterns]\nof = []", "2: unknown key `patterns.of`; the nearest known key is `patterns.off`"),
        (
            "[patterns.long_contxt]\ntokens = 1",
            "1: unknown key `patterns.long_contxt`; the nearest known key is `patterns.long_context`",
        ),
        (
            "[patterns.long_context]\ntoken = 1",
            "2: unknown key `patterns.long_context.token`; the nearest known key is `patterns.long_context.tokens`",
        ),
        (
            "[patterns]\noff = [\"outside_hour\"]",
            "2: unknown key `patterns.off: outside_hour`; the nearest known key is `outside_hours`",
        ),
        (
            "[patterns.long_context]\ntokens = 0",
            "2: `patterns.long_context.tokens` is the integer 0, expected a number from 1 to 10000000",
        ),
        (
            "[patterns]\nhour_usd = -1",
            "2: `patterns.hour_usd` is the integer -1, expected US dollars from 0 to 1000000",
        ),
        (
            "[patterns]\nlong_context = 1",
            "2: `patterns.long_context` is the integer 1, expected a table with the limits of the rule",
        ),
        (
            "[patterns]\ncheaper_model = \"claude-haiku-4-6\"",
            "2: `patterns.cheaper_model` is \"claude-haiku-4-6\", which has no price; the nearest model with one is \"claude-haiku-4-5\"",
        ),
        (
            "[patterns]\ncheaper_model = \"claude-haiku\"",
            "2: `patterns.cheaper_model` is \"claude-haiku\", which has no price; the nearest model with one is \"claude-haiku-5-5\"",
        ),
        (
            "[patterns.unpriced]\nusd = 1",
            "2: `patterns.unpriced.usd` is the integer 1, expected nothing: this rule has no limits; `off` silences it",
        ),
        ("patterns = 1", "1: `patterns` is the integer 1, expected a table ([patterns])"),
    ] {
        assert_eq!(settings(file).unwrap_err(), format!("FILE, line {message}"), "{file}");
    }
}

#[test]
fn rules_and_limits_have_names_of_their_own() {
    let ids: Vec<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for rule in rules() {
        for limit in rule.limits {
            assert!((limit.range.0..=limit.range.1).contains(&limit.default), "{}.{}", rule.id, limit.name);
            assert!(limit.help.ends_with('.') && rule.method.ends_with('.') && rule.recommendation.ends_with('.'));
        }
    }
}
