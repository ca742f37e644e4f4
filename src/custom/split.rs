//! Divides a rule into what the text of its row decides and what the facts decide.
//!
//! ```text
//! when = 'tool == "Bash" && input.command.matches("^cargo test") && outcome == "failed"'
//!         filter            early: true for `cargo test`             late
//! ```
//!
//! - A condition is a list of terms that are joined by `&&`. Terms that need nothing but the tool are *filters*: they
//!   say whether the text is looked at, and are computed again for the fact. Terms that need the text and nothing that
//!   becomes known later are *early*: if one of them is not true, the rule cannot count this row, and extracts nothing.
//! - In what remains, the largest parts that need the text and nothing that becomes known later are *probes*: their
//!   values are extracted, and variables take their places.

use cel::common::ast::{CallExpr, Expr, operators};
use cel::parser::Expression;

/// The beginning of the names of probes, which no variable has.
const PROBE: &str = "#";

/// What is known when the text of a row is at hand.
pub(super) struct Known<'a> {
    /// True for the names of values that are made of the text.
    pub of_text: &'a dyn Fn(&str) -> bool,
    /// True for the names of variables that are known together with the text.
    pub with_text: &'a dyn Fn(&str) -> bool,
}

/// A condition, divided.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Terms that need the tool alone.
    pub filters: Vec<Expression>,
    /// Terms that need the text.
    pub early: Vec<Expression>,
    /// Terms that need something else, with the filters.
    pub late: Vec<Expression>,
}

/// Divides a condition.
pub(super) fn terms(condition: Expression, known: &Known<'_>) -> Terms {
    let mut terms = Terms::default();
    let mut open = vec![condition];
    while let Some(term) = open.pop() {
        match term.expr {
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::LOGICAL_AND => {
                open.extend(args.into_iter().rev());
            }
            expr => {
                let term = Expression { id: term.id, expr };
                let names = free_names(&term);
                let asks = names.iter().any(|name| (known.of_text)(name));
                let is_early = names.iter().all(|name| (known.of_text)(name) || (known.with_text)(name));
                match (asks, is_early) {
                    (true, true) => terms.early.push(term),
                    (false, true) => {
                        terms.filters.push(term.clone());
                        terms.late.push(term);
                    }
                    _ => terms.late.push(term),
                }
            }
        }
    }
    terms
}

/// Takes the probes out of an expression and adds them to `probes`.
pub(super) fn take_probes(expression: &mut Expression, known: &Known<'_>, probes: &mut Vec<Expression>) {
    let names = free_names(expression);
    if !names.iter().any(|name| (known.of_text)(name)) {
        return;
    }
    if names.iter().all(|name| (known.of_text)(name) || (known.with_text)(name)) {
        let name = format!("{PROBE}{}", probes.len());
        let probe = std::mem::replace(expression, Expression { id: expression.id, expr: Expr::Ident(name) });
        probes.push(probe);
        return;
    }
    each_part_mut(expression, &mut |part| take_probes(part, known, probes));
}

/// The position of the probe that a name stands for.
pub(super) fn probe(name: &str) -> Option<usize> {
    name.strip_prefix(PROBE)?.parse().ok()
}

/// The names of variables that an expression needs, without those that it binds itself.
pub(super) fn free_names(expression: &Expression) -> Vec<String> {
    let mut names = Vec::new();
    collect(expression, &mut Vec::new(), &mut names);
    names
}

fn collect(expression: &Expression, bound: &mut Vec<String>, names: &mut Vec<String>) {
    match &expression.expr {
        Expr::Ident(name) if !bound.contains(name) => names.push(name.clone()),
        Expr::Comprehension(each) => {
            collect(&each.iter_range, bound, names);
            collect(&each.accu_init, bound, names);
            let before = bound.len();
            bound.extend([&each.iter_var, &each.accu_var].into_iter().chain(&each.iter_var2).cloned());
            for part in [&each.loop_cond, &each.loop_step, &each.result] {
                collect(part, bound, names);
            }
            bound.truncate(before);
        }
        _ => each_part(expression, &mut |part| collect(part, bound, names)),
    }
}

/// Gives the parts of an expression to `take`.
pub(super) fn each_part<'e>(expression: &'e Expression, take: &mut dyn FnMut(&'e Expression)) {
    use cel::common::ast::EntryExpr;
    match &expression.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).for_each(take),
        Expr::Select(select) => take(&select.operand),
        Expr::List(list) => list.elements.iter().for_each(take),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    take(&entry.key);
                    take(&entry.value);
                }
            }
        }
        Expr::Comprehension(each) => {
            let parts = [&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
            parts.into_iter().for_each(take);
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

/// [`each_part`] of an expression that is to be changed.
pub(super) fn each_part_mut(expression: &mut Expression, take: &mut dyn FnMut(&mut Expression)) {
    use cel::common::ast::EntryExpr;
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| take(target));
            call.args.iter_mut().for_each(take);
        }
        Expr::Select(select) => take(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(take),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    take(&mut entry.key);
                    take(&mut entry.value);
                }
            }
        }
        Expr::Comprehension(each) => {
            let each = &mut **each;
            let parts =
                [&mut each.iter_range, &mut each.accu_init, &mut each.loop_cond, &mut each.loop_step, &mut each.result];
            parts.into_iter().for_each(take);
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}
