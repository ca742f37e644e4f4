//! The texts that whatever a regular expression finds must have: only lines that have them are decoded.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::fold::{fold, fold_char};

/// Folded texts that every match of an expression has; none if the expression cannot be read.
pub(super) fn of(pattern: &str, any_case: bool) -> Box<[Box<str>]> {
    let Ok(hir) = ParserBuilder::new().case_insensitive(any_case).build().parse(pattern) else { return Box::default() };
    let mut runs = Runs::default();
    runs.add(&hir);
    runs.end();
    runs.found.into()
}

/// The runs so far, and the one that goes on.
#[derive(Default)]
struct Runs {
    found: Vec<Box<str>>,
    current: String,
}

impl Runs {
    fn end(&mut self) {
        if !self.current.is_empty() {
            self.found.push(std::mem::take(&mut self.current).into());
        }
    }

    fn add(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.current.push_str(&fold(text)),
                Err(_) => self.end(),
            },
            HirKind::Class(class) => match only_letter(class) {
                Some(letter) => self.current.push(letter),
                None => self.end(),
            },
            // What has no length does not part what stands around it.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.add(part)),
            HirKind::Repetition(repetition) => {
                self.end();
                // At least once: what it has, a match has, but not what stands beside it.
                if repetition.min > 0 {
                    self.add(&repetition.sub);
                    self.end();
                }
            }
            HirKind::Alternation(_) => self.end(),
        }
    }
}

/// The folded letter of a class that has only one, in several cases.
fn only_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut letters = class.ranges().iter().take(8).flat_map(|range| [range.start(), range.end()]).map(fold_char);
    let first = letters.next()?;
    let is_narrow = class.ranges().len() <= 8 && class.ranges().iter().all(|range| range.len() <= 2);
    (is_narrow && letters.all(|letter| letter == first)).then_some(first)
}
