//! Finds unknown names and wrong types in an expression, and prepares it for evaluation.
//!
//! Names with points become single names (`tokens.output`, `input.command`), and `has(input.command)` the name
//! [`has_name`]: a value is then found by its whole name. The constant patterns of `matches` and `capture` are compiled
//! here, once, and their numbers take their places.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::common::types::CelInt;
use cel::parser::Expression;
use regex::Regex;

use super::event::{Event, RowText};
use super::rule::Mistake;
use super::syntax::Places;
use super::types::Type;

/// The root of the names of a call's input.
pub(super) const INPUT: &str = "input";
/// The text of a prompt.
pub(super) const TEXT: &str = "text";

/// Functions that take one value of any kind that they convert.
const CONVERSIONS: [(&str, Type); 4] =
    [("int", Type::Int), ("double", Type::Double), ("string", Type::Text), ("dyn", Type::Dyn)];
/// Functions of two texts.
const OF_TEXTS: [&str; 3] = ["contains", "startsWith", "endsWith"];
/// Functions of a text and a constant pattern, and what they give.
const OF_PATTERNS: [(&str, Type); 2] = [("matches", Type::Bool), ("capture", Type::Text)];
/// What else can be written like a function; macros are expanded by the parser.
const OTHER_FUNCTIONS: [&str; 7] = ["size", "has", "all", "exists", "exists_one", "map", "filter"];

/// Most patterns of one rule.
const PATTERNS_MAX: usize = 32;
/// Most memory of one compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Checks the expressions of one rule.
pub(super) struct Checker<'a> {
    pub event: Event,
    pub places: &'a Places,
    /// The patterns of the rule, in the order of their numbers.
    pub patterns: &'a mut Vec<Regex>,
    /// Names that the expression binds itself, with their types.
    bound: Vec<(String, Type)>,
}

type Checked = Result<Type, Mistake>;

/// The name of the value that tells whether a call has a field of its input.
pub(super) fn has_name(field: &str) -> String {
    format!("has {INPUT}.{field}")
}

impl<'a> Checker<'a> {
    pub(super) fn new(event: Event, places: &'a Places, patterns: &'a mut Vec<Regex>) -> Self {
        Self { event, places, patterns, bound: Vec::new() }
    }

    /// The type of an expression, which is prepared for evaluation.
    pub(super) fn check(&mut self, part: &mut Expression) -> Checked {
        match &mut part.expr {
            Expr::Literal(literal) => {
                literal_type(literal).ok_or_else(|| self.mistake(part, "this kind of constant is not supported"))
            }
            Expr::Ident(_) | Expr::Select(_) => self.name(part),
            Expr::Call(call) if call.func_name == operators::INDEX => self.index(part),
            Expr::Call(_) => self.call(part),
            Expr::List(list) => {
                let types =
                    list.elements.iter_mut().map(|element| self.check(element)).collect::<Result<Vec<_>, _>>()?;
                Ok(Type::List(Box::new(types.into_iter().reduce(Type::or).unwrap_or(Type::Dyn))))
            }
            Expr::Map(_) => self.map(part),
            Expr::Comprehension(_) => self.comprehension(part),
            Expr::Struct(_) | Expr::Unspecified => Err(self.mistake(part, "this is not supported")),
        }
    }

    fn mistake(&self, part: &Expression, message: impl Into<String>) -> Mistake {
        self.places.mistake(part, message)
    }

    /// A name, or a field of something.
    fn name(&mut self, part: &mut Expression) -> Checked {
        if let Some(segments) = segments(part) {
            let root = segments.first().cloned().unwrap_or_default();
            if !self.bound.iter().any(|(name, _)| *name == root) {
                return self.variable(part, &segments);
            }
        }
        match &mut part.expr {
            Expr::Ident(name) => {
                let found = self.bound.iter().rev().find(|(bound, _)| bound == name);
                Ok(found.map_or(Type::Dyn, |(_, is)| is.clone()))
            }
            Expr::Select(SelectExpr { operand, field, test }) => {
                let is = self.check(operand)?;
                match is {
                    Type::Map(value) if !*test => Ok(*value),
                    Type::Dyn | Type::Map(_) => Ok(if *test { Type::Bool } else { Type::Dyn }),
                    other => {
                        let message = format!("`{field}` is asked of something that is {other} and has no fields");
                        Err(self.mistake(operand, message))
                    }
                }
            }
            _ => Ok(Type::Dyn),
        }
    }

    /// A variable of the event, or a field of one; `segments` are the parts of its name.
    fn variable(&mut self, part: &mut Expression, segments: &[String]) -> Checked {
        let tests = matches!(&part.expr, Expr::Select(select) if select.test);
        let text = self.event.row_text();
        match (text, segments) {
            (Some(RowText::Input), [root, field, rest @ ..]) if root == INPUT => {
                if rest.is_empty() {
                    let name = if tests { has_name(field) } else { format!("{INPUT}.{field}") };
                    part.expr = Expr::Ident(name);
                    return Ok(if tests { Type::Bool } else { Type::Dyn });
                }
                // A field of a field stays a selection; what it is selected of becomes a name.
                if let Expr::Select(select) = &mut part.expr {
                    let inner = segments.get(..segments.len() - 1).unwrap_or_default();
                    self.variable(&mut select.operand, inner)?;
                }
                return Ok(if tests { Type::Bool } else { Type::Dyn });
            }
            (Some(RowText::Input), [root]) if root == INPUT => {
                return Err(self.mistake(part, "`input` has fields: write `input.command`, or `has(input.command)`"));
            }
            (Some(RowText::Text), [root]) if root == TEXT => return Ok(Type::Text),
            _ => {}
        }
        let name = segments.join(".");
        match self.event.variable(&name).filter(|_| !tests) {
            Some(variable) => {
                part.expr = Expr::Ident(name);
                Ok(variable.is.clone())
            }
            None => Err(self.unknown(part, &name, tests)),
        }
    }

    fn unknown(&self, part: &Expression, name: &str, tests: bool) -> Mistake {
        if tests {
            return self.mistake(root(part), "`has` tells whether `input` has a field: `has(input.command)`");
        }
        let event = self.event.name();
        let known: Vec<&str> = self.event.variables().map(|variable| variable.name).collect();
        let whole = known.iter().find(|known| name.strip_prefix(**known).is_some_and(|rest| rest.starts_with('.')));
        if let Some(whole) = whole {
            return self.mistake(root(part), format!("`{whole}` is a single value and has no fields"));
        }
        let own = match self.event.row_text() {
            Some(RowText::Input) => Some(INPUT),
            Some(RowText::Text) => Some(TEXT),
            None => None,
        };
        let nearest = nearest(name, known.into_iter().chain(own));
        let elsewhere = Event::ALL.into_iter().find(|other| {
            other.variable(name).is_some() || name.starts_with(INPUT) && other.row_text() == Some(RowText::Input)
        });
        let elsewhere = elsewhere.map_or_else(String::new, |other| format!(" (`on = \"{}\"` has it)", other.name()));
        let message = format!("a {event} has no variable `{name}`{elsewhere}; the nearest that it has is `{nearest}`");
        self.mistake(root(part), message)
    }

    fn index(&mut self, part: &mut Expression) -> Checked {
        let as_field = match &part.expr {
            Expr::Call(CallExpr { args, .. }) => match args.as_slice() {
                [of, Expression { expr: Expr::Literal(LiteralValue::String(field)), .. }] if matches!(&of.expr, Expr::Ident(name) if name == INPUT) => {
                    Some((of.clone(), field.inner().to_owned()))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((of, field)) = as_field {
            part.expr = Expr::Select(SelectExpr { operand: Box::new(of), field, test: false });
            return self.name(part);
        }
        let Expr::Call(CallExpr { args, .. }) = &mut part.expr else { return Ok(Type::Dyn) };
        let [of, index] = args.as_mut_slice() else { return Ok(Type::Dyn) };
        let (is, by) = (self.check(of)?, self.check(index)?);
        match (is, by) {
            (Type::Dyn, _) => Ok(Type::Dyn),
            (Type::List(element), Type::Int | Type::Dyn) | (Type::Map(element), _) => Ok(*element),
            (Type::List(_), by) => {
                Err(self.mistake(index, format!("the position in a list is a whole number, and this is {by}")))
            }
            (other, _) => Err(self.mistake(of, format!("only lists and maps have elements, and this is {other}"))),
        }
    }

    fn map(&mut self, part: &mut Expression) -> Checked {
        use cel::common::ast::EntryExpr;
        let Expr::Map(map) = &mut part.expr else { return Ok(Type::Dyn) };
        let mut values = Vec::new();
        for entry in &mut map.entries {
            if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                self.check(&mut entry.key)?;
                values.push(self.check(&mut entry.value)?);
            }
        }
        Ok(Type::Map(Box::new(values.into_iter().reduce(Type::or).unwrap_or(Type::Dyn))))
    }

    /// `all`, `exists`, `map` and the like, as the parser has expanded them.
    fn comprehension(&mut self, part: &mut Expression) -> Checked {
        let Expr::Comprehension(each) = &mut part.expr else { return Ok(Type::Dyn) };
        let ComprehensionExpr { iter_range, iter_var, iter_var2, accu_var, accu_init, loop_cond, loop_step, result } =
            &mut **each;
        let element = match self.check(iter_range)? {
            Type::List(element) => *element,
            Type::Map(_) | Type::Dyn => Type::Dyn,
            other => {
                return Err(self.mistake(iter_range, format!("only lists and maps have elements, and this is {other}")));
            }
        };
        let sum = match self.check(accu_init)? {
            Type::List(_) => Type::List(Box::new(Type::Dyn)),
            other => other,
        };
        let before = self.bound.len();
        self.bound.push((iter_var.clone(), element));
        self.bound.extend(iter_var2.iter().map(|name| (name.clone(), Type::Dyn)));
        self.bound.push((accu_var.clone(), sum));
        let checked = self.check(loop_cond).and_then(|_| self.check(loop_step)).and_then(|_| self.check(result));
        self.bound.truncate(before);
        checked
    }

    fn call(&mut self, part: &mut Expression) -> Checked {
        let Expr::Call(call) = &mut part.expr else { return Ok(Type::Dyn) };
        let CallExpr { func_name, target, args } = call;
        if let Some((_, gives)) = OF_PATTERNS.iter().find(|(name, _)| name == func_name) {
            let mut own: Vec<Expression> = target.take().map(|target| *target).into_iter().collect();
            own.append(args);
            *args = own;
            let gives = gives.clone();
            return self.pattern(part).map(|()| gives);
        }
        let mut types = Vec::new();
        for argument in target.iter_mut().map(|target| &mut **target).chain(args.iter_mut()) {
            types.push(self.check(argument)?);
        }
        let name = func_name.clone();
        self.operator(part, &name, &types).unwrap_or_else(|| self.function(part, &name, &types))
    }

    /// The type that an operator gives; `None` if it is none.
    fn operator(&self, part: &Expression, name: &str, types: &[Type]) -> Option<Checked> {
        use operators as op;
        let shown = |name: &str| name.replace(['_', '@'], "");
        let wrong = |needs: &str| {
            let got: Vec<String> = types.iter().map(Type::to_string).collect();
            Err(self.mistake(part, format!("`{}` needs {needs}, and this is {}", shown(name), got.join(" and "))))
        };
        Some(match (name, types) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, _) => {
                if types.iter().all(Type::may_be_bool) { Ok(Type::Bool) } else { wrong("true or false on each side") }
            }
            (op::CONDITIONAL, [condition, yes, no]) => {
                if condition.may_be_bool() {
                    Ok(yes.clone().or(no.clone()))
                } else {
                    wrong("true or false before the `?`")
                }
            }
            (op::EQUALS | op::NOT_EQUALS, [a, b]) => {
                if a.compares_with(b) {
                    self.closed(part).map(|()| Type::Bool)
                } else {
                    wrong("two values of one type")
                }
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => {
                if a.compares_with(b) {
                    Ok(Type::Bool)
                } else {
                    wrong("two values of one type")
                }
            }
            (op::ADD, [Type::Text, Type::Text | Type::Dyn] | [Type::Dyn, Type::Text]) => Ok(Type::Text),
            (op::ADD, [Type::List(a), Type::List(_)]) => Ok(Type::List(a.clone())),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => match (a, b) {
                (a, b) if a == b && a.may_be_number() => Ok(a.clone()),
                (Type::Dyn, other) | (other, Type::Dyn) if other.may_be_number() => Ok(other.clone()),
                (a, b) if a.may_be_number() && b.may_be_number() => {
                    wrong("two numbers of one type (write 1000.0, or double(...))")
                }
                _ => wrong("two numbers"),
            },
            (op::NEGATE, [a]) => {
                if a.may_be_number() {
                    Ok(a.clone())
                } else {
                    wrong("a number")
                }
            }
            (op::IN, [_, of]) => match of {
                Type::List(_) | Type::Map(_) | Type::Dyn => self.closed(part).map(|()| Type::Bool),
                _ => wrong("a list on its right side"),
            },
            _ => return None,
        })
    }

    fn function(&self, part: &Expression, name: &str, types: &[Type]) -> Checked {
        let wrong = |needs: &str| {
            let got: Vec<String> = types.iter().map(Type::to_string).collect();
            let got = if got.is_empty() { "nothing".to_owned() } else { got.join(", ") };
            Err(self.mistake(part, format!("`{name}` needs {needs}, and gets {got}")))
        };
        if let Some((_, gives)) = CONVERSIONS.iter().find(|(known, _)| *known == name) {
            let converts = matches!(types, [Type::Bool | Type::Int | Type::Double | Type::Text | Type::Dyn]);
            return if converts { Ok(gives.clone()) } else { wrong("one value") };
        }
        match (name, types) {
            ("size", [Type::Text | Type::List(_) | Type::Map(_) | Type::Dyn]) => Ok(Type::Int),
            ("size", _) => wrong("one text, list or map"),
            (name, types) if OF_TEXTS.contains(&name) => match types {
                [a, b] if a.may_be_text() && b.may_be_text() => Ok(Type::Bool),
                _ => wrong("two texts"),
            },
            _ => {
                let known = CONVERSIONS.iter().chain(&OF_PATTERNS).map(|(name, _)| *name);
                let nearest = nearest(name, known.chain(OF_TEXTS).chain(OTHER_FUNCTIONS));
                Err(self.mistake(part, format!("there is no function `{name}`; the nearest is `{nearest}`")))
            }
        }
    }

    /// Compiles the constant pattern of a call, whose number takes its place.
    fn pattern(&mut self, part: &mut Expression) -> Result<(), Mistake> {
        let Expr::Call(CallExpr { func_name, args, .. }) = &mut part.expr else { return Ok(()) };
        let name = func_name.clone();
        let [of, pattern] = args.as_mut_slice() else {
            return Err(self.mistake(part, format!("`{name}` needs a text and a pattern")));
        };
        let is = self.check(of)?;
        if !is.may_be_text() {
            return Err(self.mistake(of, format!("`{name}` needs text, and this is {is}")));
        }
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return Err(self.mistake(pattern, "a pattern is a constant text, so that it is compiled once"));
        };
        let compiled = regex::RegexBuilder::new(source.inner()).size_limit(PATTERN_BYTES_MAX).build();
        let compiled = compiled.map_err(|error| self.mistake(pattern, told(&error)))?;
        if name == "capture" && compiled.captures_len() < 2 {
            return Err(
                self.mistake(pattern, "`capture` gives what the first pair of brackets matches, and there is none")
            );
        }
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(self.mistake(pattern, format!("a rule has at most {PATTERNS_MAX} patterns")));
        }
        let number = i64::try_from(self.patterns.len()).unwrap_or(i64::MAX);
        self.patterns.push(compiled);
        pattern.expr = Expr::Literal(LiteralValue::Int(CelInt::from(number)));
        Ok(())
    }

    /// Refuses a comparison of a variable that has few values with a text that is none of them.
    fn closed(&self, part: &Expression) -> Result<(), Mistake> {
        let Expr::Call(CallExpr { args, .. }) = &part.expr else { return Ok(()) };
        let values = |part: &Expression| match &part.expr {
            Expr::Ident(name) => self.event.variable(name).map(|variable| (variable.name, variable.values)),
            _ => None,
        };
        let Some((name, values)) = args.iter().find_map(values).filter(|(_, values)| !values.is_empty()) else {
            return Ok(());
        };
        let listed = args.iter().flat_map(|argument| match &argument.expr {
            Expr::List(list) => list.elements.iter().collect(),
            _ => vec![argument],
        });
        for constant in listed {
            if let Expr::Literal(LiteralValue::String(text)) = &constant.expr
                && !values.contains(&text.inner())
            {
                let message = format!("`{name}` is never {:?}: it is {}", text.inner(), values.join(", "));
                return Err(self.mistake(constant, message));
            }
        }
        Ok(())
    }
}

fn literal_type(literal: &LiteralValue) -> Option<Type> {
    Some(match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::Null => Type::Null,
        LiteralValue::Bytes(_) | LiteralValue::UInt(_) => return None,
    })
}

/// The parts of a name with points in it; `None` if the expression is something else.
fn segments(part: &Expression) -> Option<Vec<String>> {
    match &part.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) => {
            let mut segments = segments(&select.operand)?;
            segments.push(select.field.clone());
            Some(segments)
        }
        _ => None,
    }
}

/// The beginning of a name, where messages about it point.
fn root(part: &Expression) -> &Expression {
    match &part.expr {
        Expr::Select(select) => root(&select.operand),
        _ => part,
    }
}

/// What is wrong with a pattern, in one line.
fn told(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be read");
    format!("the pattern cannot be used: {}", last.trim().trim_start_matches("error: "))
}

/// The candidate that looks most like `name`.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    let score = |candidate: &&str| strsim::normalized_damerau_levenshtein(name, candidate);
    candidates.max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}
