//! `[patterns]`: reads which rules are on, and from where on they speak up.

use toml::de::{DeTable, DeValue};

use super::document::{Document, describe, integer, string, strings, wrong};
use super::error::ConfigError;
use super::keys;
use super::merge::SetPatterns;
use crate::views::analytics::patterns::all::rules;
use crate::views::analytics::patterns::rule::{Limit, RuleText};
use crate::views::analytics::patterns::settings::PatternSettings;

const OFF: &str = "a list of names of rules, like [\"outside_hours\"]";
const HOUR_USD: &str = "US dollars from 0 to 1000000";
const MODEL: &str = "the name of a model, like \"claude-haiku-4-5\"";
const NO_LIMITS: &str = "nothing: this rule has no limits; `off` silences it";
const RULE: &str = "a table with the limits of the rule";

/// The keys beside the names of rules.
const KEYS: [&str; 3] = ["off", "hour_usd", "cheaper_model"];

pub(super) fn patterns(document: &Document<'_>, path: &str, table: &DeTable<'_>) -> Result<SetPatterns, ConfigError> {
    let (mut settings, mut cheaper_model_at) = (PatternSettings::default(), None);
    for (name, value) in table {
        let (key, place) = (format!("{path}.{}", name.get_ref()), document.place(name.span().start));
        let refused = |expected| wrong(place.clone(), key.clone(), value.get_ref(), expected);
        match &**name.get_ref() {
            "off" => {
                let DeValue::Array(array) = value.get_ref() else { return Err(refused(OFF)) };
                let names = strings(array.iter().map(|item| item.get_ref())).ok_or_else(|| refused(OFF))?;
                if let Some(unknown) = names.iter().find(|name| rules().all(|rule| rule.id != **name)) {
                    let nearest = keys::nearest(unknown, rules().map(|rule| rule.id.to_owned()));
                    return Err(ConfigError::UnknownKey { place, key: format!("{key}: {unknown}"), nearest });
                }
                settings.off = names.into_iter().collect();
            }
            "hour_usd" => {
                let usd = number(value.get_ref()).filter(|usd| (0.0..=1e6).contains(usd));
                settings.hour_usd = usd.ok_or_else(|| refused(HOUR_USD))?;
            }
            "cheaper_model" => {
                let model = string(value.get_ref()).filter(|model| !model.trim().is_empty());
                settings.cheaper_model = model.ok_or_else(|| refused(MODEL))?;
                cheaper_model_at = Some(place);
            }
            id => {
                let Some(rule) = rules().find(|rule| rule.id == id) else {
                    let known = KEYS.into_iter().chain(rules().map(|rule| rule.id));
                    let nearest = keys::nearest(&key, known.map(|known| format!("{path}.{known}")));
                    return Err(ConfigError::UnknownKey { place, key, nearest });
                };
                let DeValue::Table(limits) = value.get_ref() else { return Err(refused(RULE)) };
                read_limits(document, (&key, rule), limits, &mut settings)?;
            }
        }
    }
    Ok(SetPatterns { settings, cheaper_model_at })
}

fn read_limits(
    document: &Document<'_>,
    (path, rule): (&str, &'static RuleText),
    table: &DeTable<'_>,
    settings: &mut PatternSettings,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        let (key, place) = (format!("{path}.{}", name.get_ref()), document.place(name.span().start));
        if rule.limits.is_empty() {
            return Err(wrong(place, key, value.get_ref(), NO_LIMITS));
        }
        let Some(limit) = rule.limits.iter().find(|limit| limit.name == &**name.get_ref()) else {
            let nearest = keys::nearest(&key, rule.limits.iter().map(|limit| format!("{path}.{}", limit.name)));
            return Err(ConfigError::UnknownKey { place, key, nearest });
        };
        let number = number(value.get_ref()).filter(|number| is_within(*number, limit));
        let (from, to) = limit.range;
        let number =
            number.ok_or_else(|| ConfigError::Range { place, key, got: describe(value.get_ref()), from, to })?;
        settings.limits.insert((rule.id, limit.name), number);
    }
    Ok(())
}

fn is_within(number: f64, limit: &Limit) -> bool {
    (limit.range.0..=limit.range.1).contains(&number)
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        value => integer(value)?.parse().ok(),
    }
}
