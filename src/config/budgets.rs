//! `[[budgets]]`: reads what may be spent, in which period, of what.

use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, integer, string, strings, wrong};
use super::error::ConfigError;
use super::keys;
use super::merge::quoted;
use crate::ledger::money::Money;
use crate::transcript::record::Origin;
use crate::views::analytics::budgets::Budget;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::{Period, Zone};

/// Most budgets: each is three series, and a sum that is kept.
const BUDGETS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
/// Decimal places of an amount.
const DECIMALS_MAX: usize = 6;

const NAME: &str = "a name of at most 64 bytes that no other budget has";
const USD: &str = "US dollars as a plain decimal above 0 with at most 6 decimals, like 200 or \"49.50\"";
const PERIOD: &str = "\"month\", \"week\" or \"day\"";
const TZ: &str = "a time zone of the IANA database, like \"Europe/Berlin\"";
const FILTER: &str = "a text, or a list of texts of which any counts";
const ORIGIN: &str = "\"human\", \"sdk\", \"task_notification\" or \"teammate\", or a list of some of them";

const FIELDS: [&str; 13] = [
    "name",
    "usd",
    "period",
    "tz",
    "project",
    "branch",
    "model",
    "agent",
    "entrypoint",
    "session",
    "origin",
    "tool",
    "workflow",
];

pub(super) fn budgets(document: &Document<'_>, path: &str, array: &DeArray<'_>) -> Result<Vec<Budget>, ConfigError> {
    let mut budgets: Vec<Budget> = Vec::new();
    for (index, item) in array.iter().enumerate() {
        let (path, offset) = (format!("{path}[{index}]"), item.span().start);
        let DeValue::Table(table) = item.get_ref() else {
            return Err(wrong(document.place(offset), path, item.get_ref(), "a table"));
        };
        let fields = BudgetFields { document, path, offset, table };
        let budget = fields.budget(|name| budgets.iter().any(|other| other.name == name))?;
        budgets.push(budget);
        if budgets.len() > BUDGETS_MAX {
            let (place, key) = (document.place(offset), keys::BUDGETS.path.to_owned());
            let got = format!("an array of more than {BUDGETS_MAX} tables");
            return Err(ConfigError::SetValue { place, key, got, expected: keys::BUDGETS.expected });
        }
    }
    Ok(budgets)
}

/// The fields of one budget, with the path and the place that an error about them names.
struct BudgetFields<'a> {
    document: &'a Document<'a>,
    path: String,
    offset: usize,
    table: &'a DeTable<'a>,
}

impl BudgetFields<'_> {
    fn budget(&self, is_taken: impl Fn(&str) -> bool) -> Result<Budget, ConfigError> {
        self.refuse_unknown()?;
        let name = self.required("name", NAME, |value| string(value).filter(|text| is_name(text)))?;
        if is_taken(&name) {
            let place = self.place_of("name");
            let got = format!("{}, as in an earlier budget", quoted(&name));
            return Err(ConfigError::SetValue { place, key: self.full("name"), got, expected: NAME });
        }
        Ok(Budget {
            name,
            limit: self.required("usd", USD, usd)?,
            period: self.required("period", PERIOD, |value| period(&string(value)?))?,
            zone: self.optional("tz", TZ, |value| Zone::named(&string(value)?))?.unwrap_or(Zone::UTC),
            filter: self.filter()?,
        })
    }

    fn filter(&self) -> Result<Filter, ConfigError> {
        let texts = |name: &str| Ok(self.optional(name, FILTER, texts)?.unwrap_or_default());
        Ok(Filter {
            project: texts("project")?,
            branch: texts("branch")?,
            model: texts("model")?,
            agent: texts("agent")?,
            entrypoint: texts("entrypoint")?,
            session: texts("session")?,
            origin: self.optional("origin", ORIGIN, origins)?.unwrap_or_default(),
            tool: texts("tool")?,
            workflow: texts("workflow")?,
            ..Filter::default()
        })
    }

    fn required<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let place = self.document.place(self.offset);
        let missing = || ConfigError::Missing { place, key: self.full(name), expected };
        self.optional(name, expected, parse)?.ok_or_else(missing)
    }

    fn optional<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(name) else { return Ok(None) };
        let refused = || wrong(self.place_of(name), self.full(name), value.get_ref(), expected);
        parse(value.get_ref()).map(Some).ok_or_else(refused)
    }

    fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let unknown = self.table.keys().find(|name| !FIELDS.contains(&&**name.get_ref()));
        let Some(name) = unknown else { return Ok(()) };
        let key = self.full(name.get_ref());
        let nearest = keys::nearest(&key, FIELDS.into_iter().map(|known| self.full(known)));
        Err(ConfigError::UnknownKey { place: self.document.place(name.span().start), key, nearest })
    }

    fn full(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn place_of(&self, name: &str) -> super::error::SetAt {
        let key = self.table.get_key_value(name);
        self.document.place(key.map_or(self.offset, |(key, _)| key.span().start))
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)
}

/// An amount of digits, or of digits with a point between them, above 0. A sign or an exponent is not allowed.
fn usd(value: &DeValue<'_>) -> Option<Money> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        value => integer(value)?,
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, "0"));
    let is_plain = digits(whole) && digits(decimals) && decimals.len() <= DECIMALS_MAX;
    Money::parse_usd(&text).filter(|amount| is_plain && *amount > Money::ZERO)
}

/// Those who may ask for a turn, by the names that answers tell.
fn origins(value: &DeValue<'_>) -> Option<Vec<String>> {
    let is_known = |name: &String| Origin::ALL.iter().any(|origin| origin.name() == name);
    texts(value).filter(|names| names.iter().all(is_known))
}

fn period(text: &str) -> Option<Period> {
    match text {
        "month" => Some(Period::Month),
        "week" => Some(Period::Week),
        "day" => Some(Period::Day),
        _ => None,
    }
}

/// One text, or a list of at least one.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(array) => strings(array.iter().map(|item| item.get_ref())).filter(|texts| !texts.is_empty()),
        value => string(value).map(|text| vec![text]),
    }
}
