//! Computes a rule for one event.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Value};
use regex::Regex;

use super::compile::{Rule, Rules};
use super::event::{Event, Happening, What};
use super::formula::{Form, Formula};
use super::split::probe;
use super::types::Scalar;
use crate::ledger::money::Money;
use crate::transcript::extracts::{Extract, Extracted, of_rule};

/// What a rule says of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The number in units of 10^-12.
    pub amount: i128,
    /// The values of its labels, in the order of the rule; `None` where the expression has no value.
    pub labels: Vec<Option<String>>,
}

/// Largest number that is counted.
const AMOUNT_MAX: f64 = 1e15;

/// 1 in the units of [`Counted::amount`].
pub const ONE: i128 = 1_000_000_000_000;

impl Rules {
    /// What a rule says of an event; `None` if it does not count it. A condition that cannot be computed is not true,
    /// and a number that cannot be computed, or that is no number a metric can take, is not counted.
    #[must_use]
    pub fn count_of(&self, rule: &Rule, happening: &Happening<'_>) -> Option<Counted> {
        if rule.text.on != happening.event() || !is_ready(rule, happening) {
            return None;
        }
        let extract = match (&rule.early, happening.extracts()) {
            (None, _) => None,
            (Some(_), Some(extracts)) => Some(of_rule(extracts, rule.fingerprint)?),
            (Some(_), None) => return None,
        };
        let names = FactNames { event: rule.text.on, happening, extract };
        let evaluation = Evaluation::new(self, rule, &names);
        if !rule.terms.iter().all(|term| evaluation.is_true(term)) {
            return None;
        }
        let amount = match &rule.value {
            Some(value) => evaluation.number(value)?,
            None => 1.0,
        };
        let is_counter = rule.buckets().is_empty();
        if amount.is_nan() || amount.abs() > AMOUNT_MAX || is_counter && amount < 0.0 {
            return None;
        }
        let labels = rule.labels.iter().map(|label| evaluation.text(label)).collect();
        Some(Counted { amount: fixed(amount), labels })
    }
}

/// A number in units of 10^-12, in which sums do not depend on the order. It is rounded as its shortest decimal form.
#[must_use]
#[expect(clippy::float_cmp, reason = "most rules count 1, which is exact")]
pub fn fixed(number: f64) -> i128 {
    if number == 1.0 {
        return ONE;
    }
    let size = Money::from_usd_f64(number.abs()).picousd();
    if number < 0.0 { -size } else { size }
}

/// True once the event cannot change any more, as far as the rule asks for it. What a response used is known with the
/// row that tells why the model stopped, or when another row follows; how long it took, only then.
fn is_ready(rule: &Rule, happening: &Happening<'_>) -> bool {
    match happening.what {
        What::Message(message, is_over) => is_over || message.closed || message.stop.is_some() && !rule.asks_duration,
        _ => true,
    }
}

/// The values that a rule may ask for.
pub(super) trait Names: VariableResolver {
    /// A single value by its name; `None` if it has no value, or none that is single.
    fn scalar<'b>(&'b self, name: &str) -> Option<Scalar<'b>>;
}

/// Computes formulas of one rule with the values of one event.
pub(super) struct Evaluation<'v> {
    rules: &'v Rules,
    rule: &'v Rule,
    names: &'v dyn Names,
    /// What `cel` needs, once a formula has another form than the frequent ones.
    context: OnceCell<Context<'v, 'v>>,
}

impl<'v> Evaluation<'v> {
    pub(super) fn new(rules: &'v Rules, rule: &'v Rule, names: &'v dyn Names) -> Self {
        Self { rules, rule, names, context: OnceCell::new() }
    }

    /// True if a condition is true; false if it is not, or cannot be computed.
    pub(super) fn is_true(&self, condition: &Formula) -> bool {
        let text = |name: &str| match self.names.scalar(name) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        };
        match &condition.form {
            Form::Name(name) => matches!(self.names.scalar(name), Some(Scalar::Bool(true))),
            // A value of another type is never equal to a text.
            Form::Is { name, text, negated } => match self.names.scalar(name) {
                Some(value) => (value == Scalar::from(text.as_str())) != *negated,
                None => self.is_true_by_tree(condition),
            },
            Form::In { name, texts } => text(name).is_some_and(|value| texts.iter().any(|text| *text == value)),
            Form::Matches { name, pattern } => {
                let pattern = self::pattern(&self.rule.patterns, *pattern);
                pattern.zip(text(name)).is_some_and(|(pattern, text)| pattern.is_match(&text))
            }
            Form::Other => self.is_true_by_tree(condition),
        }
    }

    fn is_true_by_tree(&self, condition: &Formula) -> bool {
        let value = Value::resolve_val(&condition.tree, self.context());
        value.is_ok_and(|value| value.downcast_ref::<CelBool>().is_some_and(|is| *is.inner()))
    }

    /// The number that a formula is; `None` if it cannot be computed.
    #[expect(clippy::cast_precision_loss, reason = "a metric shows floats, and counts are far below 2^53")]
    fn number(&self, formula: &Formula) -> Option<f64> {
        match self.value(formula, |text| text.into()) {
            Extracted::Int(number) => Some(number as f64),
            Extracted::Double(number) => Some(number),
            _ => None,
        }
    }

    fn text(&self, formula: &Formula) -> Option<String> {
        if let Form::Name(name) = &formula.form {
            return match self.names.scalar(name)? {
                Scalar::Text(text) => Some(text.into_owned()),
                _ => None,
            };
        }
        let value = Value::resolve_val(&formula.tree, self.context()).ok()?;
        value.downcast_ref::<CelString<'_>>().map(|text| text.inner().to_owned())
    }

    /// The value of a formula, with a text as `short` makes it.
    pub(super) fn value(&self, formula: &Formula, short: impl Fn(&str) -> Arc<str>) -> Extracted {
        if let Form::Name(name) = &formula.form {
            // What has no single value is left to `cel`.
            match self.names.scalar(name) {
                Some(Scalar::Bool(is)) => return Extracted::Bool(is),
                Some(Scalar::Int(number)) => return Extracted::Int(number),
                Some(Scalar::Double(number)) if number.is_finite() => return Extracted::Double(number),
                Some(Scalar::Text(text)) => return Extracted::Text(short(&text)),
                _ => {}
            }
        }
        let Ok(value) = Value::resolve_val(&formula.tree, self.context()) else { return Extracted::Nothing };
        if let Some(is) = value.downcast_ref::<CelBool>() {
            Extracted::Bool(*is.inner())
        } else if let Some(number) = value.downcast_ref::<CelInt>() {
            Extracted::Int(*number.inner())
        } else if let Some(number) = value.downcast_ref::<CelDouble>().filter(|number| number.inner().is_finite()) {
            Extracted::Double(*number.inner())
        } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            Extracted::Text(short(text.inner()))
        } else {
            Extracted::Nothing
        }
    }

    fn context(&self) -> &Context<'v, 'v> {
        self.context.get_or_init(|| {
            let mut context = Context::with_env(Arc::clone(self.rules.env()));
            let names: &'v dyn VariableResolver = self.names;
            context.set_variable_resolver(names);
            if !self.rule.patterns.is_empty() {
                add_patterns(&mut context, &self.rule.patterns);
            }
            context
        })
    }
}

/// Adds the functions of patterns, which get the number of a pattern.
fn add_patterns(context: &mut Context<'_, '_>, patterns: &Arc<[Regex]>) {
    let own = Arc::clone(patterns);
    let matches =
        move |text: Arc<String>, number: i64| pattern(&own, number).is_some_and(|pattern| pattern.is_match(&text));
    let own = Arc::clone(patterns);
    let capture = move |text: Arc<String>, number: i64| {
        let found = pattern(&own, number).and_then(|pattern| pattern.captures(&text)?.get(1));
        Arc::new(found.map_or_else(String::new, |found| found.as_str().to_owned()))
    };
    let added = context.add_function("matches", matches).and_then(|()| context.add_function("capture", capture));
    debug_assert!(added.is_ok(), "the crate is built without functions of these names");
}

fn pattern(patterns: &[Regex], number: i64) -> Option<&Regex> {
    patterns.get(usize::try_from(number).ok()?)
}

/// The values of a fact: variables of the event, and what was extracted.
struct FactNames<'a> {
    event: Event,
    happening: &'a Happening<'a>,
    extract: Option<&'a Extract>,
}

impl Names for FactNames<'_> {
    fn scalar<'b>(&'b self, name: &str) -> Option<Scalar<'b>> {
        let Some(position) = probe(name) else { return self.event.variable(name)?.of(self.happening) };
        Some(match self.extract?.values.get(position)? {
            Extracted::Nothing => return None,
            Extracted::Bool(is) => Scalar::Bool(*is),
            Extracted::Int(number) => Scalar::Int(*number),
            Extracted::Double(number) => Scalar::Double(*number),
            Extracted::Text(text) => Scalar::from(&**text),
        })
    }
}

impl VariableResolver for FactNames<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        self.scalar(name).map(as_value)
    }
}

/// A value as `cel` takes it.
pub(super) fn as_value<'b>(scalar: Scalar<'b>) -> CowVal<'b, 'b> {
    match scalar {
        Scalar::Bool(is) => CowVal::owned(CelBool::from(is)),
        Scalar::Int(number) => CowVal::owned(CelInt::from(number)),
        Scalar::Double(number) => CowVal::owned(CelDouble::from(number)),
        Scalar::Text(Cow::Borrowed(text)) => CowVal::owned(CelString::from(text)),
        Scalar::Text(Cow::Owned(text)) => CowVal::owned(CelString::from(text)),
    }
}
