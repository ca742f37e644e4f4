//! Takes secrets out of a text and leaves the rest readable.
//!
//! ```text
//! found                                                        becomes
//! key of a known issuer, JWT          ghp_16C7e42F...          ghp_[REDACTED]
//! private key in PEM                  -----BEGIN ...           -----BEGIN PRIVATE KEY-----[REDACTED]-----END ...
//! user information of a URL           https://ann:pw@host      https://[REDACTED]@host
//! authorization, cookies              Bearer dGhpcyBpc...      Bearer [REDACTED]
//! value behind a telling name         DB_PASSWORD=hunter2      DB_PASSWORD=[REDACTED]
//! password option of a known command  curl -u ann:pw           curl -u [REDACTED]
//! ```
//!
//! **Laws.** `scrub(scrub(text)) == scrub(text)`: text beside a marker is judged as if the secret still stood there. No
//! text makes it panic. Work grows linearly with the text: the scanner only moves forward; hidden text is read at most
//! once more; text that is read ahead and kept is bounded (40 spaces, 256 bytes of a value), or its end is remembered
//! (of a PEM block, a base64 run, a word), or it cannot overlap itself (user information of URLs).
//!
//! **Judgement.** Behind names of passwords and keys every value is hidden that is not plainly something else: a secret
//! that got out cannot be called back, but a hidden word can be looked up in the session file. Behind `token` and
//! `auth`, which are frequent in code and prose, a value is hidden if it looks random; in settings, on command lines
//! and in queries it is hidden even if it does not. `let token = next_token();` stays, because it does not hold the
//! value. Random text without a telling name stays too, or no Git hash would be readable.

mod blocks;
mod commands;
mod headers;
mod keys;
mod names;
mod pairs;
mod reader;
pub mod session;
mod urls;
mod values;

use std::borrow::Cow;

use commands::Commands;
use keys::SecretKey;
use names::Class;
use pairs::Pair;
use reader::{MARKER, TextReader, is_word};
use values::JoinForm;

/// `text` with its secrets replaced by `[REDACTED]`.
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    Scrubber::new(text).finish().0
}

/// The value of something called `name`, for example of a member of a JSON object. It is hidden as a whole if the name
/// says that it is a secret; otherwise secrets inside it are hidden.
#[must_use]
pub fn scrub_named<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let secret = match names::classify(name).or_else(|| names::classify(name.strip_suffix('s')?)) {
        Some(Class::Authorization | Class::Cookie) => !value.is_empty() && !values::is_placeholder(value),
        Some(class) => {
            let text = TextReader::new(value).slice_down(0, values::JUDGED_BYTES_MAX);
            values::is_secret(values::SecretClaim {
                text,
                class,
                form: JoinForm::Setting,
                bare: false,
                in_sentence: false,
            })
        }
        None => false,
    };
    if secret { Cow::Borrowed(MARKER) } else { scrub(value) }
}

/// True if a name says that its value is a secret: `DB_PASSWORD`, `--api-key`, `passwords`. False for a sentence.
#[must_use]
pub fn names_secret(name: &str) -> bool {
    const NAME_BYTES_MAX: usize = 64;
    let is_name = name.len() <= NAME_BYTES_MAX && !name.contains(|char: char| char.is_whitespace() || char == '=');
    let sure = |name: &str| {
        let class = names::classify(name);
        matches!(class, Some(Class::Password | Class::Key | Class::Authorization | Class::Cookie))
    };
    is_name && (sure(name) || name.strip_suffix('s').is_some_and(sure))
}

/// How many bytes [`scrub`] reads for a text, counting a byte each time it is read. Tests of the linear-time law use
/// it.
#[must_use]
pub fn work(text: &str) -> u64 {
    Scrubber::new(text).finish().1
}

/// How many bytes behind `name: DB_PASSWORD` its `value: ...` may begin.
const NAMED_WITHIN_BYTES: usize = 48;

struct Scrubber<'a> {
    text: &'a str,
    reader: TextReader<'a>,
    out: String,
    /// Position up to which the text was copied to `out`, or hidden; 0 while `out` is empty.
    copied: usize,
    commands: Commands,
    /// Beginning and end of the word that was read last.
    word: (usize, usize),
    ends: blocks::Ends,
    runs: keys::KeyRuns,
    /// Class of the last name that stood as a value (`name: DB_PASSWORD`), and where it ended.
    named: Option<(Class, usize)>,
    /// A secret that was found further on, and where it begins. The text before it, a type or a call, is scanned first.
    due: Option<(usize, SecretKey)>,
}

impl<'a> Scrubber<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            reader: TextReader::new(text),
            out: String::new(),
            copied: 0,
            commands: Commands::default(),
            word: (0, 0),
            ends: blocks::Ends::default(),
            runs: keys::KeyRuns::default(),
            named: None,
            due: None,
        }
    }

    fn finish(mut self) -> (Cow<'a, str>, u64) {
        let mut at = 0;
        while at < self.reader.len() {
            let due = self.due.filter(|(start, _)| *start == at).map(|(_, key)| key);
            at = self.hide(due).unwrap_or_else(|| self.step(at));
        }
        if self.out.is_empty() {
            return (Cow::Borrowed(self.text), self.reader.steps());
        }
        self.out.push_str(self.text.get(self.copied..).unwrap_or_default());
        (Cow::Owned(self.out), self.reader.steps())
    }

    /// Looks at one byte or word and returns the position behind it.
    fn step(&mut self, at: usize) -> usize {
        let byte = self.reader.at(at);
        match byte {
            // A marker is not judged again: it stands for text that was judged when it was hidden.
            b'[' if self.reader.starts(at, MARKER) => {
                self.named = None;
                at + MARKER.len()
            }
            b'\n' if self.reader.before(at, 1) != b'\\' => self.end_line(at),
            b';' | b'|' => self.end_command(at),
            b'&' if self.reader.at(at + 1) == b'&' => self.end_command(at),
            b'-' => {
                let block = blocks::find(&self.reader, &mut self.ends, at);
                self.replace(block).unwrap_or_else(|| block.map_or(at + 1, |block| block.secret))
            }
            b':' => {
                let user = urls::find(&self.reader, at);
                self.hide(user).unwrap_or(at + 1)
            }
            // The digits of `%3F` are no part of the word behind them.
            b'%' if matches!(self.reader.at(at + 1), b'2'..=b'7') && self.reader.at(at + 2).is_ascii_hexdigit() => {
                at + 3
            }
            b'_' => self.word(at),
            byte if byte.is_ascii_alphanumeric() => self.word(at),
            _ => at + 1,
        }
    }

    fn end_line(&mut self, at: usize) -> usize {
        self.commands = self.commands.next_line();
        at + 1
    }

    fn end_command(&mut self, at: usize) -> usize {
        self.commands = Commands::default();
        at + 1
    }

    /// Replaces a secret up to the private key in PEM that may begin inside it: that block has its own end.
    fn hide(&mut self, key: Option<SecretKey>) -> Option<usize> {
        let SecretKey { secret, end } = key?;
        self.replace(Some(SecretKey { secret, end: blocks::next_begin(&self.reader, secret, end) }))
    }

    /// Replaces a secret by the marker and returns the position behind it.
    fn replace(&mut self, key: Option<SecretKey>) -> Option<usize> {
        let key = key?;
        if key.end <= key.secret || self.reader.starts(key.secret, MARKER) {
            return None;
        }
        self.out.push_str(self.text.get(self.copied..key.secret).unwrap_or_default());
        self.out.push_str(MARKER);
        self.copied = key.end;
        // A marker changes distances in the text, so none is measured across it, or a second run could decide
        // otherwise.
        self.named = None;
        self.due = None;
        Some(key.end)
    }

    fn word(&mut self, at: usize) -> usize {
        let end = self.word_end(at);
        if let Some(next) = self.key_inside(at, end) {
            return next;
        }
        if let Some(next) = self.pair(at, end) {
            return next;
        }
        let spoken = headers::spoken_scheme(&self.reader, at, end);
        if let Some(next) = self.hide(spoken) {
            return next;
        }
        let password = self.commands.password(&self.reader, at, end);
        if let Some(next) = self.hide(password) {
            return next;
        }
        if end - at <= NAMED_WITHIN_BYTES {
            self.commands.note(self.reader.slice(at, end));
        }
        end
    }

    /// End of the word, without full stops and dashes. It is remembered, so that a word with many keys is read once.
    fn word_end(&mut self, at: usize) -> usize {
        if !(self.word.0..self.word.1).contains(&at) {
            self.word = (at, self.reader.word_end(at));
        }
        self.word.1
    }

    /// Hides the first key of a known issuer in a word and returns the position behind it.
    fn key_inside(&mut self, at: usize, end: usize) -> Option<usize> {
        for start in at..end {
            if let Some(key) = keys::find(&self.reader, &mut self.runs, start) {
                let second = keys::aws_secret(&self.reader, key);
                // `hide` refuses only if a private key in PEM begins at the same place.
                let next = self.hide(Some(key)).unwrap_or(key.secret);
                return Some(self.hide(second).unwrap_or(next));
            }
        }
        None
    }

    /// Judges the value of the name between two positions and returns where to go on; `None` if the name tells nothing.
    fn pair(&mut self, at: usize, end: usize) -> Option<usize> {
        let mut pair = pairs::find(&self.reader, at, end)?;
        let named = self.named.filter(|(_, from)| at.saturating_sub(*from) <= NAMED_WITHIN_BYTES);
        let word = self.reader.slice(at, end.min(at + 8));
        self.remember_name(word, pair);
        let class = match (pairs::class_of(&self.reader, at, end), named) {
            (Some(class), _) => class,
            (None, Some((class, _))) if word.eq_ignore_ascii_case("value") => {
                pair.form =
                    if pair.form == JoinForm::Plain && !pair.colon { JoinForm::Plain } else { JoinForm::Setting };
                class
            }
            _ => return None,
        };
        if matches!(class, Class::Authorization | Class::Cookie) {
            let secret = match class {
                Class::Cookie => headers::cookie(&self.reader, pair.value),
                // The word is a part of a URL's path: `v1/authorization:exchange`.
                _ if self.reader.before(at, 1) == b'/' => None,
                _ => headers::authorization(&self.reader, pair.value),
            };
            let secret = secret.map(|secret| self.without_kind(secret));
            return self.hide(secret).or(Some(end));
        }
        let secret = pairs::secret(&self.reader, pair, class);
        if let Some(secret) = secret {
            self.due = Some((secret.secret, self.without_kind(secret)));
        }
        // The name is not judged as anything else even if its value stays, or the result would depend on what is
        // hidden.
        Some(end)
    }

    /// The secret without the beginning that names the issuer of a key, which is kept.
    fn without_kind(&mut self, secret: SecretKey) -> SecretKey {
        let key = keys::find(&self.reader, &mut self.runs, secret.secret);
        key.map_or(secret, |key| SecretKey { secret: key.secret, end: key.end.max(secret.end) })
    }

    /// Remembers `DB_PASSWORD` of `name: DB_PASSWORD`, for the `value: ...` that follows.
    fn remember_name(&mut self, word: &str, pair: Pair) {
        if !matches!(word, "name" | "Name" | "key" | "Key") {
            return;
        }
        let start = self.reader.quote(pair.value).map_or(pair.value, |quote| quote.after);
        let end = self.reader.run(start, NAMED_WITHIN_BYTES, is_word);
        self.named = pairs::class_of(&self.reader, start, end).map(|class| (class, end));
    }
}
