//! Parses expressions, and knows where each part of them stands.
//!
//! Only this file and `check`, `split` and `evaluate` know the tree of the crate `cel`.

use cel::parser::{Expression, Parser};

use super::rule::{EXPRESSION_BYTES_MAX, Mistake};

/// An expression that was parsed.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its tree.
    pub tree: Expression,
    places: Places,
}

/// Where the parts of an expression stand.
#[derive(Debug)]
pub(super) struct Places {
    source: String,
    offsets: cel::common::ast::SourceInfo,
}

/// Parses an expression. Fails with the first place at which it cannot be read.
pub(super) fn parse(source: &str) -> Result<Parsed, Mistake> {
    if source.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression has {} bytes, at most {EXPRESSION_BYTES_MAX} are allowed", source.len());
        return Err(Mistake { at: (1, 1), message });
    }
    match Parser::default().parse_with_source_info(source) {
        Ok((tree, offsets)) => Ok(Parsed { tree, places: Places { source: source.to_owned(), offsets } }),
        Err(errors) => {
            let first = errors.errors.first();
            let place = |at: isize| usize::try_from(at).unwrap_or(1).max(1);
            let at = first.map_or((1, 1), |error| (place(error.pos.0), place(error.pos.1)));
            let told = first.map_or("it cannot be read", |error| &*error.msg);
            Err(Mistake { at, message: shortened(told) })
        }
    }
}

/// What the parser says, without its list of everything that it could have read.
fn shortened(told: &str) -> String {
    let told = told.strip_prefix("Syntax error: ").unwrap_or(told);
    let short = told.split_once(" expecting {").map_or(told, |(what, _)| what);
    format!("syntax error: {}", short.replace("'<EOF>'", "the end"))
}

impl Parsed {
    pub(super) fn into_parts(self) -> (Expression, Places) {
        (self.tree, self.places)
    }
}

impl Places {
    /// A mistake at a part of the expression.
    pub(super) fn mistake(&self, part: &Expression, message: impl Into<String>) -> Mistake {
        Mistake { at: self.of(part.id), message: message.into() }
    }

    /// Line and column of a part, both from 1. The parser counts characters.
    fn of(&self, id: u64) -> (usize, usize) {
        let start = self.offsets.offset_for(id).map_or(0, |(start, _)| usize::try_from(start).unwrap_or(0));
        let before = self.source.chars().take(start);
        let line = before.clone().filter(|letter| *letter == '\n').count() + 1;
        let column = before.fold(1, |column, letter| if letter == '\n' { 1 } else { column + 1 });
        (line, column)
    }
}
