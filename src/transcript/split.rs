//! A row with very many tool calls or results, as several records of the same row.
//!
//! A record is always folded whole, so it has to be small, but a line may hold hundreds of thousands of blocks. All
//! records of a row have its place and its ids. Only the first record has the usage of the response; the later records
//! add their blocks to the same response, as later rows of a response do.

use std::vec;

use super::record::{LinePlace, Record, Row, RowBody, RowKind, Said, ToolCall, ToolResult};
use super::usage::Usage;

/// Most tool calls or results in one record.
const BLOCKS_MAX: usize = 100;

/// Gives a line to `take` as one record, or as several if it has more than [`BLOCKS_MAX`] blocks.
pub(super) fn records(place: LinePlace, body: RowBody, mut take: impl FnMut(Record)) {
    match body {
        RowBody::Row(mut row) if row.blocks() > BLOCKS_MAX => {
            let Some(mut blocks) = Blocks::out_of(&mut row) else { return };
            while !blocks.is_empty() {
                let mut piece = row.clone();
                blocks.give_some_to(&mut piece);
                take(Record { place, body: RowBody::Row(piece) });
                if let RowKind::Assistant(assistant) = &mut row.kind {
                    assistant.usage = Usage::default();
                }
            }
        }
        body => take(Record { place, body }),
    }
}

/// The blocks of a row, of which there may be any number.
enum Blocks {
    Calls(vec::IntoIter<ToolCall>),
    Results(vec::IntoIter<ToolResult>),
}

impl Blocks {
    fn out_of(row: &mut Row) -> Option<Self> {
        match &mut row.kind {
            RowKind::Assistant(assistant) => Some(Self::Calls(std::mem::take(&mut assistant.calls).into_iter())),
            RowKind::User(user) => match &mut user.said {
                Said::Results(results) => Some(Self::Results(std::mem::take(results).into_iter())),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Calls(calls) => calls.len() == 0,
            Self::Results(results) => results.len() == 0,
        }
    }

    fn give_some_to(&mut self, row: &mut Row) {
        match (self, &mut row.kind) {
            (Self::Calls(calls), RowKind::Assistant(assistant)) => {
                assistant.calls = calls.by_ref().take(BLOCKS_MAX).collect();
            }
            (Self::Results(results), RowKind::User(user)) => {
                user.said = Said::Results(results.by_ref().take(BLOCKS_MAX).collect());
            }
            _ => unreachable!("a row is of one kind"),
        }
    }
}
