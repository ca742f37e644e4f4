//! An expression that is ready to be computed. The forms that most rules are made of are computed without `cel`, which
//! takes half a microsecond to begin; the result is the same.

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

/// An expression, and its form if it is a frequent one.
#[derive(Debug)]
pub(super) struct Formula {
    pub tree: Expression,
    pub form: Form,
}

/// The form of an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A variable by itself.
    Name(String),
    /// `name == "text"`, or `name != "text"` if it is negated.
    Is { name: String, text: String, negated: bool },
    /// `name in ["text", ...]`
    In { name: String, texts: Vec<String> },
    /// `name.matches("...")`, with the number of the pattern.
    Matches { name: String, pattern: i64 },
    /// Anything else.
    Other,
}

impl Formula {
    pub(super) fn of(tree: Expression) -> Self {
        let form = match &tree.expr {
            Expr::Ident(name) => Form::Name(name.clone()),
            Expr::Call(call) => of_call(call).unwrap_or(Form::Other),
            _ => Form::Other,
        };
        Self { tree, form }
    }
}

fn of_call(call: &CallExpr) -> Option<Form> {
    let [Expression { expr: Expr::Ident(name), .. }, second] = call.args.as_slice() else { return None };
    let name = name.clone();
    match (call.func_name.as_str(), &second.expr) {
        (operators::EQUALS, expr) => Some(Form::Is { name, text: constant(expr)?, negated: false }),
        (operators::NOT_EQUALS, expr) => Some(Form::Is { name, text: constant(expr)?, negated: true }),
        (operators::IN, Expr::List(list)) => {
            let texts = list.elements.iter().map(|element| constant(&element.expr)).collect::<Option<_>>()?;
            Some(Form::In { name, texts })
        }
        ("matches", Expr::Literal(LiteralValue::Int(pattern))) => {
            Some(Form::Matches { name, pattern: *pattern.inner() })
        }
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}
