//! Whether texts match, and the snippet that shows where.

use std::borrow::Cow;

use super::fold::fold;
use super::query::{Query, Term, What};

/// Longest snippet, in characters.
pub const SNIPPET_CHARS_MAX: usize = 300;

/// Characters of a snippet before the first match, if there are so many.
const BEFORE_CHARS: usize = 80;

/// Most matches that are told of one snippet.
const MATCHES_MAX: usize = SNIPPET_CHARS_MAX;

/// Text around the first match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// At most [`SNIPPET_CHARS_MAX`] characters, as they are in the text.
    pub text: String,
    /// Start and length of each match in it, in characters, in order and without overlaps.
    pub matches: Vec<(usize, usize)>,
}

/// A text with its folded form.
struct Piece<'t> {
    text: &'t str,
    folded: Cow<'t, str>,
}

impl Query {
    /// Whether the pieces of one event's text of one kind match, and where: every word, phrase and expression in one of
    /// them, and nothing with a minus in any.
    #[must_use]
    pub fn find<T: AsRef<str>>(&self, pieces: &[T]) -> Option<Snippet> {
        let pieces: Vec<Piece<'_>> = pieces.iter().map(AsRef::as_ref).map(Piece::of).collect();
        let takes = |term: &Term| pieces.iter().any(|piece| term.what.is_in(piece)) != term.not;
        if !self.terms.iter().all(takes) {
            return None;
        }
        let wanted: Vec<&What> = self.terms.iter().filter(|term| !term.not).map(|term| &term.what).collect();
        let first = |piece: &Piece<'_>| wanted.iter().filter_map(|what| what.next(piece, 0)).min();
        let (piece, at) = match pieces.iter().find_map(|piece| first(piece).map(|found| (piece, found))) {
            Some((piece, (start, _))) => (piece, start),
            None => (pieces.first()?, 0),
        };
        Some(piece.snippet(at, &wanted))
    }
}

impl<'t> Piece<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, folded: fold(text) }
    }

    /// The part of the text around the character `at`.
    fn snippet(&self, at: usize, wanted: &[&What]) -> Snippet {
        let total = self.text.chars().count();
        let start = at.saturating_sub(BEFORE_CHARS).min(total.saturating_sub(SNIPPET_CHARS_MAX));
        let end = (start + SNIPPET_CHARS_MAX).min(total);
        let mut found: Vec<(usize, usize)> = Vec::new();
        for what in wanted {
            let mut from = start;
            while let Some((begin, length)) = what.next(self, from).filter(|(begin, _)| *begin < end) {
                found.push((begin, (begin + length).min(end)));
                from = begin + length.max(1);
                if found.len() >= MATCHES_MAX * wanted.len() {
                    break;
                }
            }
        }
        found.sort_unstable();
        let mut matches: Vec<(usize, usize)> = Vec::new();
        for (begin, stop) in found.into_iter().filter(|(begin, stop)| stop > begin) {
            match matches.last_mut() {
                Some((_, last)) if begin <= *last => *last = stop.max(*last),
                _ => matches.push((begin, stop)),
            }
        }
        let matches = matches.into_iter().map(|(begin, stop)| (begin - start, stop - begin)).collect();
        Snippet { text: self.text.chars().skip(start).take(SNIPPET_CHARS_MAX).collect(), matches }
    }
}

impl What {
    fn is_in(&self, piece: &Piece<'_>) -> bool {
        match self {
            Self::Text(text) => memchr::memmem::find(piece.folded.as_bytes(), text.as_bytes()).is_some(),
            Self::Regex(regex, _) => regex.is_match(piece.text),
        }
    }

    /// Start and length, in characters, of the first match at or after a character.
    fn next(&self, piece: &Piece<'_>, from: usize) -> Option<(usize, usize)> {
        let text = if matches!(self, Self::Text(_)) { &piece.folded } else { piece.text };
        let from = if text.is_ascii() {
            from.min(text.len())
        } else {
            text.char_indices().nth(from).map_or(text.len(), |(at, _)| at)
        };
        let (start, end) = match self {
            Self::Text(wanted) => {
                let at = from + memchr::memmem::find(text.as_bytes().get(from..)?, wanted.as_bytes())?;
                (at, at + wanted.len())
            }
            Self::Regex(regex, _) => regex.find_at(text, from).map(|found| (found.start(), found.end()))?,
        };
        let chars = |part: Option<&str>| part.map_or(0, |part| part.chars().count());
        Some((chars(text.get(..start)), chars(text.get(start..end))))
    }
}
