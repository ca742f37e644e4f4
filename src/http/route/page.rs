//! The cursor that says where a page of a list ended. It holds the sort key and id of the last row, so that rows that
//! are added or removed before it do not shift the next page.

use crate::http::route::problem::Problem;

/// The place of a row in a list that is sorted by a number, then by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) struct PageEnd {
    pub(in crate::http) key: i128,
    pub(in crate::http) id: String,
}

/// How a list is sorted, and which page of it is asked for.
#[derive(Debug)]
pub(in crate::http) struct PageOf<'p> {
    /// The list and its order, as cursors name them.
    pub(in crate::http) list: &'p str,
    /// Whether it begins with the least.
    pub(in crate::http) ascending: bool,
    /// Where the page before ended; `None` for the first page.
    pub(in crate::http) after: Option<PageEnd>,
    /// Most rows of the page.
    pub(in crate::http) limit: usize,
}

impl PageOf<'_> {
    /// Leaves out rows that cannot be on the page by their keys alone, and none by which the cursor of the next page is
    /// known. So that of many rows only a few are given an id.
    pub(in crate::http) fn narrow<T>(&self, mut rows: Vec<(i128, T)>) -> Vec<(i128, T)> {
        let towards = |key: i128| if self.ascending { key } else { !key };
        let first = self.after.as_ref().map(|after| towards(after.key));
        rows.retain(|(key, _)| first.is_none_or(|first| towards(*key) >= first));
        // Rows with the key of the last page may be on that page.
        let begun = rows.iter().filter(|(key, _)| Some(towards(*key)) == first).count();
        let last = begun.saturating_add(self.limit);
        if last < rows.len() {
            let (_, (key, _), _) = rows.select_nth_unstable_by_key(last, |(key, _)| towards(*key));
            let last = towards(*key);
            rows.retain(|(key, _)| towards(*key) <= last);
        }
        rows
    }

    /// The rows of the page, in order, and the cursor of the next one; `None` if this is the last.
    pub(in crate::http) fn cut<T>(&self, mut rows: Vec<(PageEnd, T)>) -> (Vec<T>, Option<String>) {
        let is_behind = |end: &PageEnd| match &self.after {
            Some(after) if self.ascending => end > after,
            Some(after) => end < after,
            None => true,
        };
        rows.retain(|(end, _)| is_behind(end));
        rows.sort_by(|(a, _), (b, _)| if self.ascending { a.cmp(b) } else { b.cmp(a) });
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|(end, _)| end.to_cursor(self.list));
        (rows.into_iter().map(|(_, row)| row).collect(), next)
    }
}

impl PageEnd {
    /// The cursor as text that clients need not understand: the list and its order, the key and the id, in hexadecimal.
    pub(in crate::http) fn to_cursor(&self, list: &str) -> String {
        let text = format!("{list}/{}/{}", self.key, self.id);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a cursor; fails if it is not one of the same list in the same order.
    pub(in crate::http) fn from_cursor(list: &str, cursor: &str) -> Result<Self, Problem> {
        parse(list, cursor).ok_or_else(|| {
            let takes = "the `next_cursor` of an answer with the same `sort` and `order`";
            Problem::bad_parameter("cursor", takes, cursor)
        })
    }
}

fn parse(list: &str, cursor: &str) -> Option<PageEnd> {
    let digits = cursor.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let text = String::from_utf8(digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?).ok()?;
    let (key, id) = text.strip_prefix(list)?.strip_prefix('/')?.split_once('/')?;
    Some(PageEnd { key: key.parse().ok()?, id: id.to_owned() })
}
