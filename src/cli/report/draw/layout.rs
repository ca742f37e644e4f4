//! How wide each column of a table is, so that the table fits.

use super::document::{Cell, Column, Cut, Table};
use super::glyphs::Glyphs;
use super::width::width;

/// Columns between two columns of a table.
pub(super) const GAP: usize = 2;

/// Widest and narrowest bar.
const BAR: (usize, usize) = (24, 4);

/// Narrowest cell of a name, and of text, that is cut. The first is tried first: less would not tell two models apart.
const NARROWEST: [(usize, usize); 2] = [(16, 12), (4, 4)];

/// The width of each column in `room` columns of a terminal; `None` for a column that is left out.
pub(super) fn widths(table: &Table, room: usize, glyphs: Glyphs) -> Vec<Option<usize>> {
    let natural: Vec<usize> =
        table.columns.iter().enumerate().map(|(at, column)| natural(table, at, column, glyphs)).collect();
    let mut kept: Vec<bool> = vec![true; natural.len()];
    let mut narrowest = NARROWEST.into_iter();
    let mut floor = narrowest.next().unwrap_or_default();
    loop {
        // Text gives way first, then bars; then the columns that tell least are left out; then text gives way to the last.
        let least = |at: usize, column: &Column| {
            let natural = natural.get(at).copied().unwrap_or(0);
            match column.cut {
                Cut::Never => natural,
                Cut::Bar => BAR.1,
                Cut::Middle => natural.min(floor.0.max(width(column.head))),
                Cut::End => natural.min(floor.1.max(width(column.head))),
            }
        };
        let columns: Vec<(usize, &Column)> =
            table.columns.iter().enumerate().filter(|(at, _)| kept.get(*at) == Some(&true)).collect();
        let needed: usize = columns.iter().map(|(at, column)| least(*at, column) + GAP).sum();
        if needed <= room + GAP {
            return given(&columns, &natural, &least, room + GAP - needed, kept.len());
        }
        let last = columns.iter().filter(|(_, column)| column.rank > 0).max_by_key(|(at, column)| (column.rank, *at));
        match last.map(|(last, _)| *last) {
            Some(last) => {
                if let Some(kept) = kept.get_mut(last) {
                    *kept = false;
                }
            }
            None => match narrowest.next() {
                Some(narrower) => floor = narrower,
                None => return given(&columns, &natural, &least, 0, kept.len()),
            },
        }
    }
}

/// Hands `spare` columns out: to text up to its natural width, column by column, then to bars.
fn given(
    columns: &[(usize, &Column)],
    natural: &[usize],
    least: &dyn Fn(usize, &Column) -> usize,
    mut spare: usize,
    count: usize,
) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = vec![None; count];
    for (at, column) in columns {
        if let Some(width) = widths.get_mut(*at) {
            *width = Some(least(*at, column));
        }
    }
    // One at a time, so that two long columns share what there is.
    while spare > 0 {
        let mut has_given = false;
        for (at, column) in columns.iter().filter(|(_, column)| matches!(column.cut, Cut::Middle | Cut::End)) {
            let most = natural.get(*at).copied().unwrap_or(0).max(width(column.head));
            if let Some(Some(width)) = widths.get_mut(*at).filter(|width| width.is_some_and(|width| width < most))
                && spare > 0
            {
                (*width, spare, has_given) = (*width + 1, spare - 1, true);
            }
        }
        if !has_given {
            break;
        }
    }
    let bars = columns.iter().filter(|(_, column)| column.cut == Cut::Bar);
    for (at, _) in bars {
        if let Some(Some(width)) = widths.get_mut(*at) {
            let more = spare.min(BAR.0 - BAR.1);
            (*width, spare) = (*width + more, spare - more);
        }
    }
    widths
}

/// The width of a column that has all the room it wants.
fn natural(table: &Table, at: usize, column: &Column, glyphs: Glyphs) -> usize {
    let cells = table.rows.iter().filter_map(|row| row.cells.get(at));
    let cell = |cell: &Cell| match cell {
        Cell::Text(_, text) | Cell::Link(text, _) => width(&glyphs.clean(text)),
        Cell::Bar { .. } => 0,
    };
    cells.map(cell).max().unwrap_or(0).max(width(column.head))
}
