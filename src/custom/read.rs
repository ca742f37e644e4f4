//! Extracts what rules need of the text of a row, when it is read.
//!
//! The line of a row is read a second time, and only of rows with a call or prompt that a rule may count. Without such
//! rules nothing is done at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value;
use serde_json::value::RawValue;

use super::check::{TEXT, has_name};
use super::compile::{Rule, Rules, field_of};
use super::evaluate::{Evaluation, Names, as_value};
use super::event::Event;
use super::types::Scalar;
use crate::transcript::chunk::Chunk;
use crate::transcript::extracts::{Extract, Extracts};
use crate::transcript::parse::mend_surrogates;
use crate::transcript::record::{LinePlace, Record, RowBody, RowKind, Said};
use crate::transcript::shown::shown_name;

/// The keys of an object, whose values are passed over until somebody asks for them.
type Object<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// Extracts what rules need of the rows of one chunk after the other. Each thread that reads has one.
#[derive(Debug)]
pub struct RuleReader {
    rules: Rules,
    calls: bool,
    prompts: bool,
    /// Inputs of the calls of the line that was read last, because a line of very many calls comes as several records.
    latest: Option<(LinePlace, HashMap<String, Inputs>)>,
    /// The positions of the rules that may count calls of a tool, by its name; at most [`TOOLS_MAX`].
    open: HashMap<Arc<str>, Arc<[usize]>>,
}

/// Most tools of which it is remembered which rules may count their calls.
const TOOLS_MAX: usize = 256;

/// The fields of the input of a call that rules ask for.
type Inputs = HashMap<String, Value>;

impl RuleReader {
    /// A reader for rules; it does nothing if no rule asks for text.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let asks =
            |event: &[Event]| rules.all().iter().any(|rule| rule.early.is_some() && event.contains(&rule.text.on));
        let (calls, prompts) = (asks(&[Event::ToolCall, Event::ToolResult]), asks(&[Event::Prompt]));
        Self { rules: rules.clone(), calls, prompts, latest: None, open: HashMap::new() }
    }

    /// True if no rule asks for text.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        !self.calls && !self.prompts
    }

    /// Puts the extracts of all rules on a record of a chunk.
    pub fn extract(&mut self, chunk: &Chunk, record: &mut Record) {
        let RowBody::Row(row) = &mut record.body else { return };
        let is_main = row.agent.is_none() && !row.sidechain;
        let line = || {
            let start = usize::try_from(record.place.offset.checked_sub(chunk.offset)?).ok()?;
            let end = start.checked_add(usize::try_from(record.place.bytes).ok()?)?;
            chunk.bytes.get(start..end)
        };
        match &mut row.kind {
            RowKind::Assistant(assistant) if self.calls => {
                for call in &mut assistant.calls {
                    let open = self.open_for(&call.name);
                    if !open.is_empty() {
                        let rules = self.rules.clone();
                        let inputs = line().and_then(|line| self.inputs_of(record.place, line)?.get(&*call.id));
                        let open = open.iter().filter_map(|position| rules.all().get(*position));
                        call.extracts = extracts(&rules, open, &TextNames::Call { tool: &call.name, inputs });
                    }
                }
            }
            RowKind::User(user) if self.prompts && is_main && matches!(user.said, Said::Prompt(_)) => {
                let text = line().and_then(prompt_text).unwrap_or_default();
                let rules =
                    self.rules.all().iter().filter(|rule| rule.text.on == Event::Prompt && rule.early.is_some());
                user.extracts = extracts(&self.rules, rules, &TextNames::Prompt(&text));
            }
            _ => {}
        }
    }

    /// The positions of the rules that may count a call of this tool, as far as the tool alone says.
    fn open_for(&mut self, tool: &Arc<str>) -> Arc<[usize]> {
        if let Some(known) = self.open.get(tool) {
            return Arc::clone(known);
        }
        let names = TextNames::Call { tool, inputs: None };
        let may_count = |rule: &Rule| {
            let evaluation = Evaluation::new(&self.rules, rule, &names);
            let early = rule.early.as_ref().filter(|_| matches!(rule.text.on, Event::ToolCall | Event::ToolResult));
            early.is_some_and(|early| early.filters.iter().all(|filter| evaluation.is_true(filter)))
        };
        let rules = self.rules.all().iter().enumerate();
        let open: Arc<[usize]> = rules.filter(|(_, rule)| may_count(rule)).map(|(position, _)| position).collect();
        if self.open.len() >= TOOLS_MAX {
            self.open.clear();
        }
        self.open.insert(Arc::clone(tool), Arc::clone(&open));
        open
    }

    /// The inputs of the calls of a line, by the ids of the calls.
    fn inputs_of(&mut self, place: LinePlace, line: &[u8]) -> Option<&HashMap<String, Inputs>> {
        if self.latest.as_ref().is_none_or(|(known, _)| *known != place) {
            let text = text_of(line);
            let mut inputs = HashMap::new();
            for block in blocks(&text).unwrap_or_default() {
                if let Some(id) = string(&block, "id")
                    && let Some(input) = block.get("input").and_then(|input| object(input.get()))
                {
                    inputs.insert(id, self.wanted(&input));
                }
            }
            self.latest = Some((place, inputs));
        }
        self.latest.as_ref().map(|(_, inputs)| inputs)
    }

    fn wanted(&self, input: &Object<'_>) -> Inputs {
        let fields = self.rules.all().iter().filter_map(|rule| rule.early.as_ref()).flat_map(|early| &early.fields);
        let read = |field: &String| Some((field.clone(), value(input.get(&**field)?.get())?));
        fields.filter_map(read).collect()
    }

    /// To be called before another chunk: places are those of one file.
    pub fn forget(&mut self) {
        self.latest = None;
    }
}

/// The extracts of those rules that can still count the row.
fn extracts<'r>(rules: &Rules, open: impl Iterator<Item = &'r Rule>, scope: &TextNames<'_>) -> Extracts {
    let mut extracts = Vec::new();
    for rule in open {
        let Some(early) = &rule.early else { continue };
        let evaluation = Evaluation::new(rules, rule, scope);
        if early.terms.iter().all(|term| evaluation.is_true(term)) {
            let short = |text: &str| Arc::from(shown_name(text));
            let values = early.probes.iter().map(|probe| evaluation.value(probe, short)).collect();
            extracts.push(Extract { rule: rule.fingerprint, values });
        }
    }
    (!extracts.is_empty()).then(|| extracts.into())
}

/// The text of a line. Bytes that are not UTF-8 are replaced, as by the client.
fn text_of(line: &[u8]) -> Cow<'_, str> {
    let start = line.iter().position(|byte| *byte == b'{').unwrap_or(0);
    String::from_utf8_lossy(line.get(start..).unwrap_or_default())
}

fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str(text).ok()
}

/// The blocks of the message of a row.
fn blocks(row: &str) -> Option<Vec<Object<'_>>> {
    let message = *object(row)?.get("message")?;
    let content = *object(message.get())?.get("content")?;
    let blocks: Vec<&RawValue> = serde_json::from_str(content.get()).ok()?;
    Some(blocks.into_iter().filter_map(|block| object(block.get())).collect())
}

/// The text of a prompt: of several blocks, their texts one below the other.
fn prompt_text(line: &[u8]) -> Option<String> {
    let row = text_of(line);
    let message = *object(&row)?.get("message")?;
    let content = *object(message.get())?.get("content")?;
    if let Some(Value::String(text)) = value(content.get()) {
        return Some(text);
    }
    let texts: Vec<String> = blocks(&row)?.iter().filter_map(|block| string(block, "text")).collect();
    Some(texts.join("\n"))
}

fn string(of: &Object<'_>, key: &str) -> Option<String> {
    match value(of.get(key)?.get())? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn value(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&mend_surrogates(text)?).ok())
}

/// The names that a rule may ask for while the text of a row is at hand.
enum TextNames<'a> {
    Call { tool: &'a str, inputs: Option<&'a Inputs> },
    Prompt(&'a str),
}

impl Names for TextNames<'_> {
    fn scalar<'b>(&'b self, name: &str) -> Option<Scalar<'b>> {
        match self {
            Self::Prompt(text) => (name == TEXT).then(|| Scalar::from(*text)),
            Self::Call { tool, .. } if name == "tool" => Some(Scalar::from(*tool)),
            Self::Call { .. } => {
                let field = field_of(name)?;
                let value = self.input(field);
                if *name == *has_name(field) {
                    return Some(Scalar::Bool(value.is_some()));
                }
                match value? {
                    Value::String(text) => Some(Scalar::from(&**text)),
                    Value::Bool(is) => Some(Scalar::Bool(*is)),
                    Value::Number(number) => match number.as_i64() {
                        Some(whole) => Some(Scalar::Int(whole)),
                        None => number.as_f64().map(Scalar::Double),
                    },
                    Value::Null | Value::Array(_) | Value::Object(_) => None,
                }
            }
        }
    }
}

impl TextNames<'_> {
    /// A field of the input of a call; `None` if it is missing or `null`.
    fn input(&self, field: &str) -> Option<&Value> {
        match self {
            Self::Call { inputs, .. } => inputs.as_ref()?.get(field).filter(|value| !value.is_null()),
            Self::Prompt(_) => None,
        }
    }
}

impl VariableResolver for TextNames<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(scalar) = self.scalar(name) {
            return Some(as_value(scalar));
        }
        let value: Box<dyn Val> = cel::to_value(self.input(field_of(name)?)?).ok()?.try_into().ok()?;
        Some(CowVal::Owned(value))
    }
}
