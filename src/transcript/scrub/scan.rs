//! Finds the secrets of one text, from its beginning to its end, by every rule that this folder has.

use super::commands::Commands;
use super::keys;
use super::manifests;
use super::names::{self, Class};
use super::pairs::{self, Pair};
use super::reader::{MARKER, SecretKey, TextReader, is_word};
use super::values::{self, JoinForm};
use super::{blocks, headers, phrases, shapes, urls};

/// The secrets of a text, first to last, none over another. Text behind the end of one may be hidden with it by no rule.
pub(super) fn find(text: &str) -> Vec<SecretKey> {
    manifests::with_values(text, Scanner::new(text).finish().0)
}

/// The secrets of a text, and how many bytes were read to find them.
pub(super) fn find_counted(text: &str) -> (Vec<SecretKey>, u64) {
    Scanner::new(text).finish()
}

/// True if a value is a secret as a whole because of its name.
pub(super) fn is_named_secret(name: &str, value: &str) -> bool {
    match names::classify(name).or_else(|| names::classify(name.strip_suffix('s')?)) {
        Some(Class::Authorization | Class::Cookie) => !value.is_empty() && !values::is_placeholder(value),
        Some(class) => {
            let text = TextReader::new(value).slice_down(0, values::JUDGED_BYTES_MAX);
            let form = JoinForm::Setting;
            values::is_secret(values::SecretClaim { text, class, form, bare: false, in_sentence: false })
        }
        None => false,
    }
}

/// How many bytes behind `name: DB_PASSWORD` its `value: ...` may begin.
const NAMED_WITHIN_BYTES: usize = 48;
/// How many bytes behind `variable "db_password"` of Terraform its `default` may begin.
const VARIABLE_BYTES: usize = 160;

struct Scanner<'a> {
    reader: TextReader<'a>,
    found: Vec<SecretKey>,
    commands: Commands,
    /// Beginning and end of the word that was read last.
    word: (usize, usize),
    ends: blocks::Ends,
    /// Inside a block that is no private key, for example a certificate.
    public: bool,
    runs: keys::KeyRuns,
    /// Class of the last name that stood as a value (`name: DB_PASSWORD`), and where it ended.
    named: Option<(Class, usize)>,
    /// The same for a variable of Terraform, whose `default` follows.
    variable: Option<(Class, usize)>,
    /// A secret that was found further on, and where it begins. The text before it, a type or a call, is scanned first.
    due: Option<(usize, SecretKey)>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            reader: TextReader::new(text),
            found: Vec::new(),
            commands: Commands::default(),
            word: (0, 0),
            ends: blocks::Ends::default(),
            public: false,
            runs: keys::KeyRuns::default(),
            named: None,
            variable: None,
            due: None,
        }
    }

    fn finish(mut self) -> (Vec<SecretKey>, u64) {
        let mut at = self.body(0);
        while at < self.reader.len() {
            let due = self.due.filter(|(start, _)| *start == at).map(|(_, key)| key);
            at = self.hide(due).unwrap_or_else(|| self.step(at));
        }
        (self.found, self.reader.steps())
    }

    /// Looks at one byte or word and returns the position behind it.
    fn step(&mut self, at: usize) -> usize {
        let byte = self.reader.at(at);
        match byte {
            // A marker is not judged again: it stands for text that was judged when it was hidden.
            b'[' if self.reader.starts(at, MARKER) => {
                self.named = None;
                self.variable = None;
                at + MARKER.len()
            }
            b'\n' if self.reader.before(at, 1) != b'\\' => self.end_line(at),
            b';' | b'|' => self.end_command(at),
            b'&' if self.reader.at(at + 1) == b'&' => self.end_command(at),
            b'-' => {
                self.public = blocks::public(&self.reader, at).unwrap_or(self.public);
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
            // A text in quotes may begin with a row of a key.
            b'"' => self.body(at + 1),
            b'*' => {
                let password = phrases::pgpass(&self.reader, at);
                self.hide_ahead(at, password).unwrap_or(at + 1)
            }
            0x80.. => self.labelled(at).unwrap_or(at + 1),
            b'_' => self.word(at),
            byte if byte.is_ascii_alphanumeric() => self.word(at),
            _ => at + 1,
        }
    }

    fn end_line(&mut self, at: usize) -> usize {
        self.commands = self.commands.next_line();
        self.body(at + 1)
    }

    /// Hides the rows of a private key that begin with the line at `line`.
    fn body(&mut self, line: usize) -> usize {
        let body = if self.public { None } else { blocks::body(&self.reader, line) };
        self.replace(body).unwrap_or(line)
    }

    fn end_command(&mut self, at: usize) -> usize {
        self.commands = Commands::default();
        at + 1
    }

    /// Notes a secret up to the private key in PEM that may begin inside it: that block has its own end.
    fn hide(&mut self, key: Option<SecretKey>) -> Option<usize> {
        let SecretKey { secret, end } = key?;
        self.replace(Some(SecretKey { secret, end: blocks::next_begin(&self.reader, secret, end) }))
    }

    /// Notes a secret that begins further on, unless another stands before it: that one comes first, and the text behind
    /// its marker is judged as if it still stood there.
    fn hide_ahead(&mut self, at: usize, key: Option<SecretKey>) -> Option<usize> {
        let SecretKey { secret, .. } = key?;
        let stands_before = self.reader.holds_marker(at, secret)
            || (at..secret).any(|start| keys::find(&self.reader, &mut self.runs, start).is_some());
        if stands_before { None } else { self.hide(key) }
    }

    /// Notes a secret and returns the position behind it.
    fn replace(&mut self, key: Option<SecretKey>) -> Option<usize> {
        let key = key?;
        if key.end <= key.secret || self.reader.starts(key.secret, MARKER) {
            return None;
        }
        self.found.push(key);
        // A marker changes distances in the text, so none is measured across it, or a second run could decide
        // otherwise.
        self.named = None;
        self.variable = None;
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
        // This comes first: a second run sees no value and so goes on to here.
        if end - at <= NAMED_WITHIN_BYTES {
            self.commands.note(&self.reader, at, end);
        }
        if let Some(next) = self.labelled(at) {
            return next;
        }
        let phrase = phrases::find(&self.reader, at, end);
        if let Some(next) = self.hide_ahead(at, phrase) {
            return next;
        }
        let spoken = headers::spoken_scheme(&self.reader, at, end);
        if let Some(next) = self.hide(spoken) {
            return next;
        }
        let password = shapes::pgpass(&self.reader, at, end);
        if let Some(next) = self.hide_ahead(at, password) {
            return next;
        }
        let password = self.commands.password(&self.reader, at, end);
        if let Some(next) = self.hide_ahead(at, password) {
            return next;
        }
        if self.reader.starts(at, "variable ")
            && let Some(quote) = self.reader.quote(end + 1)
        {
            let name_end = self.reader.run(quote.after, NAMED_WITHIN_BYTES, is_word);
            self.variable = pairs::class_of(&self.reader, quote.after, name_end).map(|class| (class, name_end));
        }
        end
    }

    /// Judges the value behind a word for password of another language; `None` if none begins here.
    fn labelled(&mut self, at: usize) -> Option<usize> {
        let value = phrases::labelled(&self.reader, at)?;
        let secret = pairs::secret(&self.reader, Pair::labelled(value), Class::Password)?;
        self.due = Some((secret.secret, self.without_kind(secret)));
        Some(value)
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
        let spaced = || {
            let pair = if self.commands.sets(true) { Pair::spaced(&self.reader, end) } else { None }?;
            self.commands.sets(pair.is_quoted(&self.reader)).then_some(pair)
        };
        let mut pair = pairs::find(&self.reader, at, end).or_else(spaced)?;
        let word = self.reader.slice(at, end.min(at + 8));
        let (within, names_value) =
            if word == "default" { (VARIABLE_BYTES, self.variable) } else { (NAMED_WITHIN_BYTES, self.named) };
        let named = names_value.filter(|(_, from)| at.saturating_sub(*from) <= within);
        self.remember_name(word, pair);
        let class = match (pairs::class_of(&self.reader, at, end), named) {
            (Some(class), _) => class,
            (None, Some((class, _))) if word == "default" || word.eq_ignore_ascii_case("value") => {
                pair.form =
                    if pair.form == JoinForm::Plain && !pair.colon { JoinForm::Plain } else { JoinForm::Setting };
                class
            }
            _ => return None,
        };
        if matches!(class, Class::Authorization | Class::Cookie) {
            if !pair.is_joined() {
                return None;
            }
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
