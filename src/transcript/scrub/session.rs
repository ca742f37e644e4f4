//! Takes secrets out of all texts of a session: what was recognised in one of them is hidden in each.
//!
//! ```text
//! learned                              hidden
//! export STRIPE_KEY=abc123...          abc123... wherever it stands, and 12 bytes or more of it
//! Z2hwXzE2QzdlNDJG... is a key         the whole run of base64, base64url or hexadecimal digits, also encoded twice
//! ghp_16C7 | e42F292c...               both parts, over the rows and texts that they are split over
//! ghp_\x1b[1m16C7..., sk%5Flive%5F...  the key, with the colours, escapes or percent signs within
//! ```
//!
//! Two passes: [`SessionScrubber::learn`] is given every text that will be shown, in the order in which they are shown;
//! then [`SessionScrubber::scrub`] each of them, in any order. What [`super::scrub`] hides in a text is hidden here too.
//!
//! **Laws.** Scrubbing twice is scrubbing once. No text makes it panic. Work and memory are bounded: both passes are linear,
//! and at most a megabyte of values is remembered (`known.rs` and `rows.rs` say what happens beyond).

use std::borrow::Cow;

use super::cuts::Pieces;
use super::encoded;
use super::known::KnownValues;
use super::reader::{MARKER, SecretKey, hide};
use super::rows::Rows;
use super::scan;
use super::unwrapped::{Unwrapped, levels};

/// How often a text is scrubbed again until nothing is found: a marker can make its neighbours plain.
const ROUNDS_MAX: usize = 4;

/// The secrets of a session.
#[derive(Debug, Default)]
pub struct SessionScrubber {
    known: KnownValues,
    rows: Rows,
}

impl SessionScrubber {
    /// First pass: reads a text that will be shown. The texts come in the order in which they are shown, so that a secret
    /// is found that is split over two of them.
    pub fn learn(&mut self, text: &str) {
        let views = levels(text);
        let mut bare = text;
        for view in &views {
            learn_found(&mut self.known, bare, &scan::find(bare));
            bare = &view.text;
        }
        let found = scan::find(bare);
        learn_found(&mut self.known, bare, &found);
        for (from, to) in encoded::runs(bare) {
            let run = bare.get(from..to).unwrap_or_default();
            let is_told = tells_pair(bare, from);
            encoded::any_text(run, &mut |text| {
                learn_found(&mut self.known, text, &scan::find(text));
                if is_told && is_pair(text) && is_all_of(text, run) {
                    self.known.learn(run);
                    self.known.learn(text);
                }
                false
            });
        }
        self.rows.learn(bare, &found, &mut Learned(&mut self.known));
    }

    /// First pass for the value of something called `name`, for example of a member of a JSON object.
    pub fn learn_named(&mut self, name: &str, value: &str) {
        if scan::is_named_secret(name, value) {
            self.known.learn(value);
        }
        self.learn(value);
    }

    /// Second pass: `text` with its secrets replaced by `[REDACTED]`.
    #[must_use]
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for _ in 0..ROUNDS_MAX {
            match self.scrub_once(&scrubbed) {
                Some(again) => scrubbed = Cow::Owned(again),
                None => break,
            }
        }
        scrubbed
    }

    /// Second pass for the value of something called `name`: hidden as a whole if the name says that it is a secret.
    #[must_use]
    pub fn scrub_named<'t>(&self, name: &str, value: &'t str) -> Cow<'t, str> {
        if scan::is_named_secret(name, value) { Cow::Borrowed(MARKER) } else { self.scrub(value) }
    }

    /// How many values were recognised when there was no room to remember more. They are hidden where they are
    /// recognised, and not where they stand bare.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.known.forgotten()
    }

    fn scrub_once(&self, text: &str) -> Option<String> {
        let mut parts: Vec<(usize, usize)> = ends(scan::find(text)).collect();
        parts.extend(self.known.find(text));
        let views = levels(text);
        if views.is_empty() {
            parts.extend(self.encoded_parts(text));
        }
        for (at, view) in views.iter().enumerate() {
            let mut in_view: Vec<(usize, usize)> = ends(scan::find(&view.text)).collect();
            in_view.extend(self.known.find(&view.text));
            if at + 1 == views.len() {
                in_view.extend(self.encoded_parts(&view.text));
            }
            let outer = views.get(..=at).unwrap_or_default();
            let in_source = |part| outer.iter().rev().fold(part, |part, view: &Unwrapped| view.source(part));
            parts.extend(in_view.into_iter().map(in_source));
        }
        match hide(text, joined(parts).into_iter()) {
            Cow::Owned(scrubbed) if scrubbed != text => Some(scrubbed),
            _ => None,
        }
    }

    /// The runs of a text that encode a secret.
    fn encoded_parts(&self, text: &str) -> Vec<(usize, usize)> {
        let is_secret = |decoded: &str| is_secret(&self.known, decoded);
        encoded::runs(text)
            .filter(|(from, to)| encoded::any_text(text.get(*from..*to).unwrap_or_default(), &mut { is_secret }))
            .collect()
    }
}

/// Where a session remembers what its rows were split into.
struct Learned<'a>(&'a mut KnownValues);

impl Pieces for Learned<'_> {
    fn piece(&mut self, piece: &str) {
        self.0.learn_piece(piece);
    }

    fn part(&mut self, part: &str) {
        self.0.learn_part(part);
    }

    fn whole(&mut self, secret: &str) {
        self.0.learn(secret);
    }

    fn is_secret(&self, text: &str) -> bool {
        is_secret(self.0, text)
    }
}

fn is_secret(known: &KnownValues, text: &str) -> bool {
    !scan::find(text).is_empty() || !known.find(text).is_empty()
}

/// Remembers the secrets that were found in a text, and what they stand for if they are encoded.
fn learn_found(known: &mut KnownValues, text: &str, found: &[SecretKey]) {
    for secret in found.iter().filter_map(|key| text.get(key.secret..key.end)) {
        known.learn(secret);
        encoded::any_text(secret, &mut |decoded| {
            if is_all_of(decoded, secret) {
                known.learn(decoded);
            }
            false
        });
    }
}

/// True if nearly all of what was decoded is text, so that this is what was encoded.
const fn is_all_of(decoded: &str, run: &str) -> bool {
    4 * decoded.len() + 16 > 3 * run.len()
}

/// True if a word before a run says that it is a name and a password: `auth`, `Basic`.
fn tells_pair(text: &str, run: usize) -> bool {
    const BEFORE_BYTES_MAX: usize = 16;
    let before = text.as_bytes().get(run.saturating_sub(BEFORE_BYTES_MAX)..run).unwrap_or_default();
    let holds = |word: &[u8]| before.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    holds(b"auth") || holds(b"basic")
}

/// True for `ann:password` of basic authentication.
fn is_pair(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, password)| {
        let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | '@' | '+');
        !name.is_empty() && name.chars().all(fits) && password.len() >= 6 && !password.contains(char::is_whitespace)
    })
}

fn ends(found: Vec<SecretKey>) -> impl Iterator<Item = (usize, usize)> {
    found.into_iter().map(|key| (key.secret, key.end))
}

/// The parts in order, those that touch as one.
fn joined(mut parts: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    parts.retain(|(from, to)| from < to);
    parts.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::with_capacity(parts.len());
    for (from, to) in parts {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}
