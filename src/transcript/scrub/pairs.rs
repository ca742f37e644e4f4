//! Names and their values: `NAME=value`, `name: value`, `"name": "value"`, `--name value`, `<name>value</name>`.
//!
//! A value is looked for only behind a name, so the bytes that are read twice are bounded: forty spaces, one type, and
//! the part of the value that is judged.

use super::known::changes;
use super::lines;
use super::names::{Class, classify, is_one_of};
use super::reader::{MARKER, Quote, SecretKey, TextReader, is_blank, is_quote, is_space, is_word};
use super::values::{JUDGED_BYTES_MAX, JoinForm, SecretClaim, is_secret, mixes_digits};

/// Where the value of a name begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) form: JoinForm,
    pub(super) value: usize,
    /// Name and value are joined by `:`, so a type may stand before the value.
    pub(super) colon: bool,
    /// No space stands between name, sign and value.
    tight: bool,
    joint: Joint,
}

/// What joins a name and its value, by which the value must prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// A sign, or the space behind a flag.
    Sign,
    /// The next cell of a table: `| password | value |`, `password<TAB>value`
    Cell,
    /// The next item of a list or of arguments: `["--password", "value"]`, `getenv("PASSWORD", "value")`
    List {
        /// The name is a flag, or the function gives values to names.
        sure: bool,
    },
    /// `the password is value`
    Speech,
}

impl Pair {
    /// `setx NAME value`: a name and its value with nothing but a space between.
    pub(super) fn spaced(reader: &TextReader<'_>, end: usize) -> Option<Self> {
        let value = reader.skip_spaces(end);
        let opens = !matches!(reader.at(value), b'=' | b':' | b'\n' | b'\r' | b'-' | b'|' | b'&' | b'>' | b'<');
        (value > end && opens).then_some(Self::of(JoinForm::Flag, value))
    }

    /// A name in another language and its value, with a colon between.
    pub(super) const fn labelled(value: usize) -> Self {
        Self { colon: true, ..Self::of(JoinForm::Plain, value) }
    }

    /// True if name and value belong together whatever the value is.
    pub(super) const fn is_joined(self) -> bool {
        matches!(self.joint, Joint::Sign | Joint::List { .. })
    }

    /// True if the value is quoted.
    pub(super) fn is_quoted(self, reader: &TextReader<'_>) -> bool {
        reader.quote(self.value).is_some()
    }

    const fn of(form: JoinForm, value: usize) -> Self {
        Self { form, value, colon: false, tight: false, joint: Joint::Sign }
    }
}

const TYPE_BYTES_MAX: usize = 64;
const TYPES: &str = "\
    str string String bytes Bytes char text any Any SecretString SecretStr CharSequence NSString";
/// Functions and types that wrap a literal, as in `String::from("...")`: the literal is the value.
const WRAPPERS: &str = "\
    from new String Some SecretString SecretStr Secret str bytes encode to_string Password fromString b64decode \
    quote pack";

/// Functions that give a value to a name, or one that stands in for it.
const GIVERS: &str = "define setdefault getenv get fetch env putenv setenv setItem config";

/// Where the value of the name between two positions begins, whatever the name is; `None` if no value follows.
pub(super) fn find(reader: &TextReader<'_>, start: usize, end: usize) -> Option<Pair> {
    // `%3F` and `%26` are `?` and `&` in a URL inside a URL.
    let is_encoded = matches!((reader.before(start, 3), reader.before(start, 2)), (b'%', b'2' | b'3'));
    let before = if is_encoded { b'&' } else { reader.before(start, 1) };
    if before == b'<' && reader.at(end) == b'>' {
        return Some(Pair::of(JoinForm::Element, end + 1));
    }
    let bold = reader.run(end, 3, |byte| byte == b'*');
    let quote = reader.quote(bold);
    let unquoted = quote.map_or(bold, |quote| quote.after);
    let closed = reader.run(unquoted, 3, |byte| matches!(byte, b']' | b'*'));
    let optional = matches!(reader.at(closed), b'?' | b'!') && reader.at(closed + 1) == b':';
    let joint = reader.skip_spaces(closed + usize::from(optional));
    let is_flag = before == b'-' && quote.is_none() && is_flag(reader, start);
    let Some(separator) = separator(reader, joint) else {
        return match quote {
            Some(_) => listed(reader, start, joint),
            None => behind_space(reader, (start, end), joint, is_flag).or_else(|| cell(reader, (start, end), joint)),
        };
    };
    let bold = reader.run(separator.end, 3, |byte| byte == b'*');
    let value = continued(reader, reader.skip_spaces(if is_space(reader.at(bold)) { bold } else { separator.end }));
    let tight = joint == end && value == separator.end;
    let assigns = tight && separator.assigns;
    let form = match before {
        _ if is_flag => JoinForm::Flag,
        b'?' | b'&' if assigns => JoinForm::Query,
        _ if assigns && is_setting(reader, start, end) => JoinForm::Setting,
        _ => JoinForm::Plain,
    };
    let compares_bare = separator.compares && reader.quote(value).is_none();
    (!compares_bare).then_some(Pair { form, value, colon: separator.colon, tight, joint: Joint::Sign })
}

/// The value behind a flag and a space, and what follows `PASSWORD ` in SQL.
fn behind_space(reader: &TextReader<'_>, (start, end): (usize, usize), joint: usize, is_flag: bool) -> Option<Pair> {
    // A flag without a value is followed by the next flag or the end of the command.
    let has_value = is_flag && !matches!(reader.at(joint), b'-' | b'|' | b'>' | b'<' | b'&');
    let is_sql = reader.starts(start, "PASSWORD ") && reader.at(joint) == b'\'';
    let form = if is_flag { JoinForm::Flag } else { JoinForm::Plain };
    (joint > end && (has_value || is_sql)).then_some(Pair::of(form, continued(reader, joint)))
}

/// The value in the next cell of a table, and the one behind `is`.
fn cell(reader: &TextReader<'_>, (start, end): (usize, usize), joint: usize) -> Option<Pair> {
    const INDENT_BYTES_MAX: usize = 16;
    if joint > end && reader.starts(joint, "is ") {
        return Some(Pair { joint: Joint::Speech, ..Pair::of(JoinForm::Plain, reader.skip_spaces(joint + 3)) });
    }
    let is_row = reader.at(joint) == b'|' && reader.at(joint + 1) != b'|';
    if !is_row && reader.at(end) != b'\t' {
        return None;
    }
    let indent = (1..=INDENT_BYTES_MAX).find(|back| reader.before(start, *back) != b' ')?;
    // `\x92` ends the arrow behind the number of a line.
    let begins = matches!(reader.before(start, indent), 0 | b'\n' | b'\t' | b'|' | b'+' | b'>' | 0x92 | b'`' | b'"');
    let value = reader.skip_spaces(if is_row { joint + 1 } else { end });
    begins.then_some(Pair { joint: Joint::Cell, ..Pair::of(JoinForm::Plain, value) })
}

/// The item behind a quoted name and a comma.
fn listed(reader: &TextReader<'_>, start: usize, joint: usize) -> Option<Pair> {
    const CALL_BYTES_MAX: usize = 12;
    let value = reader.skip_spaces(joint + 1);
    if reader.at(joint) != b',' || reader.quote(value).is_none() {
        return None;
    }
    let dashes = (1..=3).find(|back| reader.before(start, *back) != b'-')?;
    let open = start.saturating_sub(dashes);
    let call = reader.slice(open.saturating_sub(CALL_BYTES_MAX), open);
    let gives = call.strip_suffix('(').is_some_and(|call| GIVERS.split_whitespace().any(|giver| call.ends_with(giver)));
    let sure = (is_quote(reader.at(open)) && dashes > 1) || gives;
    Some(Pair { joint: Joint::List { sure }, ..Pair::of(JoinForm::Plain, value) })
}

/// Where a value begins if the line is continued on the next one.
fn continued(reader: &TextReader<'_>, value: usize) -> usize {
    let newline = value + 1 + usize::from(reader.at(value + 1) == b'\r');
    if reader.at(value) == b'\\' && reader.at(newline) == b'\n' {
        reader.skip_spaces(lines::behind_number(reader, newline + 1))
    } else {
        value
    }
}

#[derive(Default)]
struct Separator {
    end: usize,
    colon: bool,
    assigns: bool,
    compares: bool,
}

fn separator(reader: &TextReader<'_>, at: usize) -> Option<Separator> {
    let separator = Separator { end: at + 1, ..Separator::default() };
    match (reader.at(at), reader.at(at + 1), reader.at(at + 2)) {
        (b'=' | b'!', b'=', b'=') => Some(Separator { end: at + 3, compares: true, ..separator }),
        // What stands in for a value that is missing.
        (b'|', b'|', _) | (b'?', b'?', _) => Some(Separator { end: at + 2, compares: true, ..separator }),
        (b'=' | b'!', b'=', _) => Some(Separator { end: at + 2, compares: true, ..separator }),
        (b'=', b'~', _) | (b':', b':', _) | (b':', b'/', b'/') => None,
        (b'=', b'>', _) | (b':' | b'?' | b'+', b'=', _) => Some(Separator { end: at + 2, ..separator }),
        // `${NAME:-default}`
        (b':', b'-', _) => Some(Separator { end: at + 2, assigns: true, ..separator }),
        (b'%', b'3', b'D' | b'd') => Some(Separator { end: at + 3, assigns: true, ..separator }),
        (b'=', ..) => Some(Separator { assigns: true, ..separator }),
        (b':', ..) => Some(Separator { colon: true, ..separator }),
        _ => None,
    }
}

/// True for `--name` and `-name`, false for the end of `some-name`.
fn is_flag(reader: &TextReader<'_>, start: usize) -> bool {
    let dashes = if reader.before(start, 2) == b'-' { 2 } else { 1 };
    let before = reader.before(start, dashes + 1);
    is_blank(before) || is_quote(before) || matches!(before, b'[' | b'(' | b'{' | b'|' | b'/')
}

/// True for the name of a setting: it has no small letters, or stands at the beginning of a line.
fn is_setting(reader: &TextReader<'_>, start: usize, end: usize) -> bool {
    let name = reader.slice_down(start.max(end.saturating_sub(JUDGED_BYTES_MAX)), end);
    !name.bytes().any(|byte| byte.is_ascii_lowercase()) || matches!(reader.before(start, 1), 0 | b'\n' | b'\r')
}

/// The part of a pair's value that is a secret of this class.
pub(super) fn secret(reader: &TextReader<'_>, pair: Pair, class: Class) -> Option<SecretKey> {
    let typed = if pair.colon && pair.form == JoinForm::Plain { behind_type(reader, pair.value) } else { None };
    let value = typed.unwrap_or(pair.value);
    if pair.colon && matches!(reader.at(value), b'\n' | b'\r') {
        return on_next_line(reader, pair, class);
    }
    if let Some(block) = block_scalar(reader, value) {
        return bounds_if_secret(reader, SecretExtent::Block { indent: block.1 }, block.0, pair, class);
    }
    let (start, extent) = locate(reader, value, pair);
    if pair.tight && closes_text(reader, value) {
        return None;
    }
    if let Some(key) = bounds_if_secret(reader, extent, start, pair, class) {
        return Some(key);
    }
    // A call around a literal is kept, and only the literal is judged.
    let (start, extent) = wrapped(reader, value).filter(|_| matches!(extent, SecretExtent::Bare(_)))?;
    bounds_if_secret(reader, extent, start, pair, class)
}

fn bounds_if_secret(
    reader: &TextReader<'_>,
    extent: SecretExtent,
    start: usize,
    pair: Pair,
    class: Class,
) -> Option<SecretKey> {
    let judged = extent.end(reader, start, JUDGED_BYTES_MAX);
    // `<password>` without a closing tag is a stand-in, and `` NAME=`command` `` stands for the output of a command.
    let is_open =
        matches!(extent, SecretExtent::Element) && judged < start + JUDGED_BYTES_MAX && !reader.starts(judged, "</");
    let is_output = matches!(extent, SecretExtent::Quoted(quote) if quote.mark == b'`') && pair.form != JoinForm::Plain;
    if is_open || is_output || reader.holds_marker(start, judged) {
        return None;
    }
    let bare = matches!(extent, SecretExtent::Bare(_) | SecretExtent::Cell | SecretExtent::Block { .. });
    let claim = SecretClaim {
        text: reader.slice_down(start, judged),
        class,
        form: pair.form,
        bare,
        in_sentence: bare && pair.colon && in_sentence(reader, judged),
    };
    let proves = proves(reader, pair, claim.text, start, judged);
    (proves && is_secret(claim))
        .then(|| SecretKey { secret: start, end: extent.end(reader, start, usize::MAX).max(judged) })
}

/// True if the value looks made up as much as what joins it to its name asks.
fn proves(reader: &TextReader<'_>, pair: Pair, text: &str, start: usize, end: usize) -> bool {
    const WORD_BYTES_MIN: usize = 8;
    let is_word = !text.contains(char::is_whitespace) && mixes_digits(text);
    let has = |fits: fn(&u8) -> bool| text.bytes().any(|byte| fits(&byte));
    match pair.joint {
        Joint::Sign | Joint::List { sure: true } => true,
        Joint::List { sure: false } => is_word && text.len() >= WORD_BYTES_MIN,
        Joint::Cell => {
            let behind = reader.skip_spaces(reader.run(end, 1, is_quote));
            let ends = matches!(reader.at(behind), 0 | b'|' | b'\n' | b'\r' | b'\t');
            is_word
                && text.len() >= 6
                && (ends || is_quote(reader.at(end)) || reader.at(start.saturating_sub(1)) == b'`')
        }
        Joint::Speech => {
            is_word && text.len() >= WORD_BYTES_MIN && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)
        }
    }
}

/// The value that stands alone on the line behind `Password:`, if nobody would write it as text.
fn on_next_line(reader: &TextReader<'_>, pair: Pair, class: Class) -> Option<SecretKey> {
    const BYTES_MIN: usize = 8;
    const CHANGES_MIN: usize = 3;
    let newline = reader.run(pair.value, 1, |byte| byte == b'\r');
    let start = reader.skip_spaces(lines::behind_number(reader, newline + 1));
    let end = reader.run(start, JUDGED_BYTES_MAX, |byte| !is_blank(byte) && !is_quote(byte));
    let text = reader.slice_down(start, end);
    let is_alone = matches!(reader.at(end), 0 | b'\n' | b'\r') && !text.contains([':', '/', '=', '(', '<', '|', ',']);
    let is_made = text.len() >= BYTES_MIN && mixes_digits(text) && changes(text.as_bytes()) >= CHANGES_MIN;
    let fits = reader.at(newline) == b'\n' && matches!(class, Class::Password | Class::Key) && is_alone && is_made;
    let pair = Pair { value: start, colon: false, ..pair };
    fits.then(|| bounds_if_secret(reader, SecretExtent::Bare(pair.form), start, pair, class)).flatten()
}

/// True if the quote at `value` ends a text and does not begin a value: `"TOKEN=" + token`, `"Password:" prompt`.
fn closes_text(reader: &TextReader<'_>, value: usize) -> bool {
    let Some(quote) = reader.quote(value) else { return false };
    let next = reader.skip_spaces(quote.after);
    let joins = matches!(reader.at(next), b'+' | b'.' | b'&' | b'%' | b'\\');
    let ends_prompt = reader.before(value, 1) == b':' && next > quote.after;
    matches!(reader.at(quote.after), b'+' | b')' | b',' | b';' | b'\r' | b'\n')
        || (joins && next > quote.after)
        || ends_prompt
}

/// How the end of a value is found.
#[derive(Clone, Copy)]
enum SecretExtent {
    Quoted(Quote),
    Bare(JoinForm),
    Element,
    Cell,
    /// `[[value]]` of Lua.
    Brackets,
    /// Up to the first line that is indented less.
    Block {
        indent: usize,
    },
}

fn locate(reader: &TextReader<'_>, value: usize, pair: Pair) -> (usize, SecretExtent) {
    if pair.form == JoinForm::Element {
        return (value, SecretExtent::Element);
    }
    if reader.starts(value, "[[") && reader.at(value + 2).is_ascii_alphanumeric() {
        return (value + 2, SecretExtent::Brackets);
    }
    let prefixed = matches!(reader.at(value), b'b' | b'r' | b'f' | b'u' | b'L' | b'@' | b'$');
    let opening = value + usize::from(prefixed && is_quote(reader.at(value + 1)));
    let Some(quote) = reader.quote(opening) else {
        let is_cell = pair.joint == Joint::Cell;
        return (value, if is_cell { SecretExtent::Cell } else { SecretExtent::Bare(pair.form) });
    };
    let is_triple = reader.at(quote.after) == quote.mark && reader.at(quote.after + 1) == quote.mark;
    let start = if is_triple && !quote.escaped { quote.after + 2 } else { quote.after };
    (start, SecretExtent::Quoted(quote))
}

impl SecretExtent {
    /// End of the value that begins at `start`, at most `max` bytes further on.
    fn end(self, reader: &TextReader<'_>, start: usize, max: usize) -> usize {
        match self {
            Self::Quoted(quote) => quoted_end(reader, start, max, quote),
            Self::Bare(form) => bare_end(reader, start, max, form),
            Self::Element => reader.run(start, max, |byte| byte != b'<' && byte != b'\n'),
            Self::Cell => reader.run(start, max, |byte| !is_blank(byte) && !is_quote(byte) && byte != b'|'),
            Self::Brackets => reader.run(start, max, |byte| byte != b']' && byte != b'\n'),
            Self::Block { indent } => block_end(reader, start, max, indent),
        }
    }
}

fn quoted_end(reader: &TextReader<'_>, start: usize, max: usize, quote: Quote) -> usize {
    let limit = start.saturating_add(max).min(reader.len());
    let mut at = start;
    while at < limit {
        match reader.at(at) {
            b'\n' => return at,
            b'\\' if !quote.escaped => at += 1,
            byte if byte == quote.mark => break,
            _ => {}
        }
        at += 1;
    }
    let mut end = at.min(limit);
    while quote.escaped && end > start && reader.before(end, 1) == b'\\' {
        end -= 1;
    }
    end
}

fn bare_end(reader: &TextReader<'_>, start: usize, max: usize, form: JoinForm) -> usize {
    let limit = start.saturating_add(max).min(reader.len());
    let mut at = start;
    while at < limit {
        match reader.at(at) {
            byte if is_blank(byte) || is_quote(byte) || byte == b';' => break,
            b'&' | b'#' if form == JoinForm::Query => break,
            b'<' if reader.at(at + 1) == b'/' => break,
            b'&' if names_next(reader, at + 1) => break,
            // A comma may be part of a password on a command line, but ends an argument in code.
            b',' if form == JoinForm::Plain && names_next(reader, at + 1) => break,
            b'\\' if reader.starts(at, "\\r\\n") => break,
            b'\\' if reader.at(at + 1) == b'n' && names_next(reader, at + 2) => break,
            _ => at += 1,
        }
    }
    let is_closing = |byte: u8| matches!(byte, b',' | b')' | b']' | b'}' | b'.' | b':' | b'\\' | b'*');
    reader.trim(start, at, is_closing)
}

/// True if the name of another pair begins at `at`.
fn names_next(reader: &TextReader<'_>, at: usize) -> bool {
    let end = reader.run(at, 32, is_word);
    end > at && matches!(reader.at(end), b'=' | b':')
}

/// True if a word or a marker follows that is not the name of another pair.
fn in_sentence(reader: &TextReader<'_>, end: usize) -> bool {
    let punctuation = reader.run(end, 1, |byte| matches!(byte, b',' | b'.' | b':'));
    let next = reader.skip_spaces(punctuation);
    let byte = reader.at(next);
    let is_word = byte.is_ascii_alphanumeric() || byte >= 0x80 || reader.starts(next, MARKER);
    next > punctuation && is_word && !names_next(reader, next)
}

/// Where the value behind a type begins, as in `&'static str = "..."`; `None` if no type stands at `at`.
fn behind_type(reader: &TextReader<'_>, at: usize) -> Option<usize> {
    let reference = at + usize::from(matches!(reader.at(at), b'&' | b'*'));
    let lifetime = if reference > at && reader.at(reference) == b'\'' {
        reader.skip_spaces(reader.run(reference + 1, TYPE_BYTES_MAX, is_word))
    } else {
        reference
    };
    let end = reader.run(lifetime, TYPE_BYTES_MAX, is_word);
    let is_type = is_one_of(reader.slice(lifetime, end), TYPES) || matches!(reader.at(end), b'<' | b'[');
    let end = reader.run(end, TYPE_BYTES_MAX, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b'<' | b'>' | b'[' | b']' | b'\'' | b'&' | b'|' | b' ' | b'?' | b',' | b':')
    });
    let assigns = reader.at(end) == b'=' && !matches!(reader.at(end + 1), b'=' | b'>');
    (is_type && assigns && !reader.holds_marker(at, end)).then(|| reader.skip_spaces(end + 1))
}

/// Where the literal in `String::from("...")` begins, and how its end is found.
fn wrapped(reader: &TextReader<'_>, value: usize) -> Option<(usize, SecretExtent)> {
    let head = reader.run(value, TYPE_BYTES_MAX, |byte| is_word(byte) || byte == b':');
    let last = reader.slice(value, head).rsplit(['.', ':']).next().unwrap_or_default();
    let quote = reader.quote(head + 1).filter(|_| reader.at(head) == b'(' && is_one_of(last, WRAPPERS))?;
    Some((quote.after, SecretExtent::Quoted(quote)))
}

/// Where the text of a YAML block behind `|` or `>` begins, and by how many spaces it is indented. Numbers of lines and
/// signs of diffs before it are no part of it.
fn block_scalar(reader: &TextReader<'_>, value: usize) -> Option<(usize, usize)> {
    if !matches!(reader.at(value), b'|' | b'>') {
        return None;
    }
    let spaces = reader.skip_spaces(value + 1 + usize::from(matches!(reader.at(value + 1), b'-' | b'+')));
    let newline = reader.run(spaces, 1, |byte| byte == b'\r');
    let line = lines::behind_number(reader, newline + 1);
    let start = reader.run(line, 40, |byte| byte == b' ');
    (reader.at(newline) == b'\n' && start > line).then_some((start, start - line))
}

fn block_end(reader: &TextReader<'_>, start: usize, max: usize, indent: usize) -> usize {
    let limit = start.saturating_add(max).min(reader.len());
    let mut end = reader.run(start, max, |byte| byte != b'\n');
    while end < limit {
        let line = lines::behind_number(reader, end + 1);
        let next = reader.run(line, limit.saturating_sub(line), |byte| byte != b'\n');
        if next == line || reader.run(line, indent, |byte| byte == b' ') - line != indent {
            break;
        }
        end = next;
    }
    if reader.before(end, 1) == b'\r' { end - 1 } else { end }
}

/// The class that the name between two positions gives to its value. A long name is judged by its end.
pub(super) fn class_of(reader: &TextReader<'_>, start: usize, end: usize) -> Option<Class> {
    classify(reader.slice_down(start.max(end.saturating_sub(JUDGED_BYTES_MAX)), end))
}
