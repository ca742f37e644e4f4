//! How the screen is divided.

/// Columns from which on the timeline stands beside the event.
const WIDE: usize = 120;

/// Rows from which on the title and the map are shown.
const TALL: usize = 14;

/// Most rows of a timeline above the event.
const LIST_ROWS_MAX: usize = 14;

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// How the screen is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) is_tall: bool,
    pub(super) is_wide: bool,
    pub(super) list: Area,
    /// The texts of the event, without the line above them.
    pub(super) pane: Area,
}

impl Layout {
    pub(super) fn of(Size { columns, rows }: Size) -> Self {
        let (is_tall, is_wide) = (rows >= TALL, columns >= WIDE);
        // Where the replay is, and the last line; the title and the map.
        let middle = rows.saturating_sub(if is_tall { 4 } else { 2 });
        if is_wide {
            let left = columns * 2 / 5;
            let list = Area { columns: left, rows: middle };
            return Self {
                is_tall,
                is_wide,
                list,
                pane: Area { columns: columns - left - 2, rows: middle.saturating_sub(1) },
            };
        }
        let list_rows = (middle * 2 / 5).clamp(1, LIST_ROWS_MAX).min(middle);
        let list = Area { columns, rows: list_rows };
        let pane = Area { columns, rows: middle.saturating_sub(list_rows + 1) };
        Self { is_tall, is_wide, list, pane }
    }
}
