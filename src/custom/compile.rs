//! Makes rules that can be evaluated of rules as they are written.

use std::fmt;
use std::sync::Arc;

use cel::Env;
use cel::parser::Expression;
use regex::Regex;
use xxhash_rust::xxh3::xxh3_64;

use super::check::{Checker, INPUT, TEXT};
use super::event::{Event, RowText};
use super::formula::Formula;
use super::rule::{self, Kind, Mistake, RuleError, RuleText};
use super::split::{self, Known, Terms, free_names};
use super::syntax::parse;
use super::types::Type;

/// Rules that were checked. A clone is cheap.
#[derive(Clone, Default)]
pub struct Rules(Arc<Compiled>);

#[derive(Default)]
struct Compiled {
    rules: Vec<Rule>,
    env: Arc<Env>,
}

/// One rule that was checked.
#[derive(Debug)]
pub struct Rule {
    /// The rule as it is written.
    pub text: RuleText,
    /// Tells the rule from every other, and from itself before it was changed.
    pub fingerprint: u64,
    /// Patterns of `matches` and `capture`, by their numbers.
    pub(super) patterns: Arc<[Regex]>,
    /// What is decided when the text of a row is at hand; `None` if the rule asks for no text.
    pub(super) early: Option<Early>,
    /// Every one of these must be true of the fact.
    pub(super) terms: Vec<Formula>,
    /// The number; 1 if there is none.
    pub(super) value: Option<Formula>,
    /// The value of each label, in the order of the text.
    pub(super) labels: Vec<Formula>,
    /// True if the rule waits for the next row after a response: it asks how long the response took.
    pub(super) asks_duration: bool,
    shows_project: bool,
}

/// The part of a rule that the text of a row decides.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Terms that need the tool alone.
    pub filters: Vec<Formula>,
    /// Terms that need the text. If one is not true, the rule cannot count the row.
    pub terms: Vec<Formula>,
    /// Parts of the rule whose values are extracted.
    pub probes: Vec<Formula>,
    /// The fields of `input` that it asks for.
    pub fields: Vec<String>,
}

impl Rules {
    /// Checks rules and prepares them. `is_taken` says of the name of a metric, without the prefix of all metrics,
    /// whether there is one already.
    ///
    /// # Errors
    ///
    /// Fails with the first mistake: its rule, key, column, and what is expected.
    pub fn new(texts: Vec<RuleText>, is_taken: impl Fn(&str) -> bool) -> Result<Self, RuleError> {
        rule::check(&texts, is_taken)?;
        let rules = texts.into_iter().enumerate().map(|(position, text)| Rule::new(position, text));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Arc::new(Compiled { rules, env: Arc::new(Env::stdlib()) })))
    }

    /// Every rule, in the order in which they are written.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.0.rules
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }

    /// True if a rule counts events of this kind.
    #[must_use]
    pub fn count(&self, event: Event) -> bool {
        self.0.rules.iter().any(|rule| rule.text.on == event)
    }

    pub(super) fn env(&self) -> &Arc<Env> {
        &self.0.env
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all().iter().map(|rule| &rule.text.name)).finish()
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.all().iter().map(|rule| rule.fingerprint).eq(other.all().iter().map(|rule| rule.fingerprint))
    }
}

impl Eq for Rules {}

impl Rule {
    fn new(position: usize, text: RuleText) -> Result<Self, RuleError> {
        let mut maker = Maker { position, event: text.on, patterns: Vec::new(), probes: Vec::new() };
        let mut terms = Terms::default();
        if let Some(source) = &text.when {
            let condition = maker.expression("when", source, "true or false (bool)", Type::may_be_bool)?;
            terms = split::terms(condition, &maker.known());
        }
        for term in &mut terms.late {
            maker.extract("when", term)?;
        }
        let mut value = None;
        if let Some(source) = &text.value {
            let mut number = maker.expression("value", source, "a number (int or double)", Type::may_be_number)?;
            maker.extract("value", &mut number)?;
            value = Some(number);
        }
        let mut labels = Vec::new();
        for (name, source) in &text.labels {
            let key = format!("labels.{name}");
            let mut label = maker.expression(&key, source, "text (string)", Type::may_be_text)?;
            maker.extract(&key, &mut label)?;
            labels.push(label);
        }
        let asks = |part: &Expression| {
            text.on == Event::Message && free_names(part).iter().any(|name| name == "duration_seconds")
        };
        let asks_duration = terms.late.iter().chain(&value).chain(&labels).any(asks);
        let shows_project = labels.iter().flat_map(free_names).any(|name| name == "project");
        let formulas = |trees: Vec<Expression>| trees.into_iter().map(Formula::of).collect();
        let asks_text = !terms.early.is_empty() || !maker.probes.is_empty();
        let fields = fields(terms.early.iter().chain(&maker.probes));
        let early = asks_text.then(|| Early {
            filters: formulas(terms.filters),
            terms: formulas(terms.early),
            probes: formulas(maker.probes),
            fields,
        });
        Ok(Self {
            fingerprint: fingerprint(&text),
            patterns: maker.patterns.into(),
            early,
            terms: formulas(terms.late),
            value: value.map(Formula::of),
            labels: formulas(labels),
            asks_duration,
            shows_project,
            text,
        })
    }
}

/// A number that changes whenever a rule counts something else, or under another name.
fn fingerprint(text: &RuleText) -> u64 {
    let RuleText { name, help: _, on, when, value, kind, labels } = text;
    xxh3_64(format!("{name:?} {} {when:?} {value:?} {kind:?} {labels:?}", on.name()).as_bytes())
}

/// Keys whose expressions give an answer, not a text to show.
const ANSWERS: [&str; 2] = ["when", "value"];

/// Makes the expressions of one rule.
struct Maker {
    position: usize,
    event: Event,
    patterns: Vec<Regex>,
    probes: Vec<Expression>,
}

impl Maker {
    /// Parses and checks an expression of a key; `fits` says whether its type is one that is `wanted`.
    fn expression(
        &mut self,
        key: &str,
        source: &str,
        wanted: &str,
        fits: impl Fn(&Type) -> bool,
    ) -> Result<Expression, RuleError> {
        let position = self.position;
        let refused =
            |Mistake { at, message }| RuleError { rule: position, key: key.to_owned(), at: Some(at), message };
        let (mut tree, places) = parse(source).map_err(refused)?.into_parts();
        let is = Checker::new(self.event, &places, &mut self.patterns).check(&mut tree).map_err(refused)?;
        if !fits(&is) {
            return Err(refused(places.mistake(&tree, format!("this is {is}, expected {wanted}"))));
        }
        Ok(tree)
    }

    fn known(&self) -> Known<'static> {
        match self.event.row_text() {
            Some(RowText::Input) => Known { of_text: &is_of_input, with_text: &|name| name == "tool" },
            Some(RowText::Text) => Known { of_text: &|name| name == TEXT, with_text: &|_| false },
            None => Known { of_text: &|_| false, with_text: &|_| false },
        }
    }

    /// Takes the parts that need the text out of an expression of a key. Fails if such a part cannot be extracted.
    fn extract(&mut self, key: &str, expression: &mut Expression) -> Result<(), RuleError> {
        let known = self.known();
        let before = self.probes.len();
        split::take_probes(expression, &known, &mut self.probes);
        let is_text = |probe: &Expression| matches!(&probe.expr, cel::common::ast::Expr::Ident(name) if name == TEXT);
        if ANSWERS.contains(&key) && self.probes.iter().skip(before).any(is_text) {
            let message = format!(
                "`{TEXT}` cannot be used together with what is known only later: ask about it by itself, as in \
                 {TEXT}.contains(\"...\")"
            );
            return Err(RuleError { rule: self.position, key: key.to_owned(), at: None, message });
        }
        let left = free_names(expression);
        let Some(name) = left.iter().find(|name| (known.of_text)(name)) else { return Ok(()) };
        let message =
            format!("`{name}` cannot be used together with what is bound inside `exists`, `all`, `map` or `filter`");
        Err(RuleError { rule: self.position, key: key.to_owned(), at: None, message })
    }
}

/// The fields of `input` that some expressions ask for.
fn fields<'e>(trees: impl Iterator<Item = &'e Expression>) -> Vec<String> {
    let names = trees.flat_map(free_names);
    let mut fields: Vec<String> = names.filter_map(|name| field_of(&name).map(str::to_owned)).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn is_of_input(name: &str) -> bool {
    field_of(name).is_some()
}

/// The field of `input` that a prepared name asks for.
pub(super) fn field_of(name: &str) -> Option<&str> {
    name.strip_prefix("has ").unwrap_or(name).strip_prefix(INPUT)?.strip_prefix('.')
}

impl Rule {
    /// The name of its metric, without the prefix of all metrics.
    #[must_use]
    pub fn metric_name(&self) -> String {
        rule::metric_name(&self.text)
    }

    /// True if it asks for text that is at hand only while a row is read.
    #[must_use]
    pub const fn asks_text(&self) -> bool {
        self.early.is_some()
    }

    /// True if its labels tell projects.
    #[must_use]
    pub const fn shows_project(&self) -> bool {
        self.shows_project
    }

    /// The upper bounds of its buckets; none for a counter.
    #[must_use]
    pub fn buckets(&self) -> &[f64] {
        match &self.text.kind {
            Kind::Counter => &[],
            Kind::Histogram(bounds) => bounds,
        }
    }
}
