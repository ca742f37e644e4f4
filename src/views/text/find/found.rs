//! Whether texts match, and the snippet that shows where.

use std::borrow::Cow;
use std::ops::Range;

use super::fold::fold;
use super::query::{Query, Term, What};

/// Longest snippet, in characters.
pub const SNIPPET_CHARS_MAX: usize = 300;

/// Characters of a snippet before the first match, if there are so many.
const BEFORE_CHARS: usize = 80;

/// Most matches that are told of one snippet.
const MATCHES_MAX: usize = SNIPPET_CHARS_MAX;

/// Most places of one word, phrase or expression that are told of one text.
pub const PLACES_MAX: usize = 1000;

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
        let first = |piece: &Piece<'_>| wanted.iter().filter_map(|what| what.first(piece)).min();
        let found = pieces.iter().find_map(|piece| first(piece).map(|at| (piece, at)));
        let (piece, at) = found.or_else(|| Some((pieces.first()?, 0)))?;
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
            // Only this window is counted in characters, however long the text is.
            let own = what.own(self);
            let window = place_of(own, start)..place_of(own, end);
            let mut from = window.start;
            while let Some(place) = what.find(own, from).filter(|place| place.start < window.end) {
                let chars =
                    |until: usize| own.get(window.start..until.min(window.end)).map_or(0, |part| part.chars().count());
                found.push((chars(place.start), chars(place.end)));
                // Behind a match, or the next letter if it is empty.
                let letter = own.get(place.end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                from = if place.is_empty() { place.end + letter } else { place.end };
                if found.len() >= MATCHES_MAX * wanted.len() {
                    break;
                }
            }
        }
        let matches = apart(found).into_iter().map(|(begin, stop)| (begin, stop - begin)).collect();
        Snippet { text: self.text.chars().skip(start).take(SNIPPET_CHARS_MAX).collect(), matches }
    }
}

impl Query {
    /// The places of a text that its words, phrases and expressions without a minus find, also if not all of them do: the first
    /// character and the one behind the last, ascending and apart, at most [`PLACES_MAX`] of each.
    #[must_use]
    pub fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let piece = Piece::of(text);
        let mut found = Vec::new();
        for term in self.terms.iter().filter(|term| !term.not) {
            let own = term.what.own(&piece);
            let (mut from, mut letters, mut counted) = (0, 0, 0);
            for _ in 0..PLACES_MAX {
                let Some(place) = term.what.find(own, from) else { break };
                let long = own.get(place.clone()).map_or(0, |part| part.chars().count());
                letters += own.get(counted..place.start).map_or(0, |part| part.chars().count());
                found.push((letters, letters + long));
                counted = place.start;
                let letter = own.get(place.end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                from = if place.is_empty() { place.end + letter } else { place.end };
            }
        }
        apart(found)
    }
}

/// Places in order, those that touch as one.
fn apart(mut found: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    found.sort_unstable();
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (begin, stop) in found.into_iter().filter(|(begin, stop)| stop > begin) {
        match places.last_mut() {
            Some((_, last)) if begin <= *last => *last = stop.max(*last),
            _ => places.push((begin, stop)),
        }
    }
    places
}

impl What {
    fn is_in(&self, piece: &Piece<'_>) -> bool {
        match self {
            Self::Text(text) => memchr::memmem::find(piece.folded.as_bytes(), text.as_bytes()).is_some(),
            Self::Regex(regex, _) => regex.is_match(piece.text),
        }
    }

    /// The text in which it is looked for.
    fn own<'p>(&self, piece: &'p Piece<'_>) -> &'p str {
        if matches!(self, Self::Text(_)) { &piece.folded } else { piece.text }
    }

    /// The bytes of the first match at or after a byte.
    fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        match self {
            Self::Text(wanted) => {
                let at = from + memchr::memmem::find(text.as_bytes().get(from..)?, wanted.as_bytes())?;
                Some(at..at + wanted.len())
            }
            Self::Regex(regex, _) => {
                (from <= text.len()).then(|| regex.find_at(text, from)).flatten().map(|found| found.range())
            }
        }
    }

    /// Where the first match begins, in characters.
    fn first(&self, piece: &Piece<'_>) -> Option<usize> {
        let text = self.own(piece);
        let found = self.find(text, 0)?;
        text.get(..found.start).map(|before| before.chars().count())
    }
}

/// The byte at which a character begins; the length of the text behind the last one.
fn place_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}
