//! Marks what was found in the texts of an event.

use super::paint::{Line, Style};
use crate::views::text::find::query::Query;

/// The lines in so many columns, with what `query` finds in them inverted; and the first line with a mark.
pub(super) fn folded(lines: Vec<Line>, columns: usize, query: Option<&Query>) -> (Vec<Line>, Option<usize>) {
    let (mut folded, mut first) = (Vec::with_capacity(lines.len()), None);
    for (number, line) in lines.into_iter().enumerate() {
        // Numbers that stand above the texts are no texts.
        let are_facts = number == 0 && line.spans().first().is_some_and(|span| span.style() == Style::DIM);
        let places = query.filter(|_| !are_facts).map(|query| query.places(&line.text())).unwrap_or_default();
        let begin = folded.len();
        line.marked(&places).wrapped(columns, &mut folded);
        if let (None, Some((letter, _))) = (first, places.first()) {
            first = Some(begin + line_of(folded.get(begin..).unwrap_or_default(), *letter));
        }
    }
    (folded, first)
}

/// Which of the lines that were one has its letter with this number.
fn line_of(lines: &[Line], letter: usize) -> usize {
    let mut behind = 0;
    let ends = lines.iter().map(|line| {
        behind += line.text().chars().count();
        behind
    });
    ends.take_while(|end| *end <= letter).count()
}
