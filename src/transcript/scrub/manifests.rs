//! Secrets of Kubernetes: every value below `data` and `stringData` of an object of `kind: Secret`, whatever its name is.
//!
//! ```text
//! apiVersion: v1                      {"kind": "Secret",
//! data:                                "data": {"db": "WGsyOWZqM2tE..."}}
//!   db: WGsyOWZqM2tE...
//! kind: Secret
//! ```
//!
//! The kind may stand before or behind the data, in a list, behind numbers of lines and signs of diffs. In YAML objects are
//! told by their columns. Each line is read once for YAML and once for JSON.

use memchr::memmem;

use super::reader::{MARKER, SecretKey};

/// Shortest value that is hidden.
const VALUE_BYTES_MIN: usize = 2;

/// The secrets of a text, with those that `found` lacks.
pub(super) fn with_values(text: &str, found: Vec<SecretKey>) -> Vec<SecretKey> {
    let holds = |word: &str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if !holds("kind") || !holds("Secret") || !(holds("data") || holds("stringData")) {
        return found;
    }
    let mut values = Yaml::default().read(text);
    values.extend(json(text));
    values.retain(|(from, to)| {
        let value = text.get(*from..*to).unwrap_or_default();
        value.len() >= VALUE_BYTES_MIN && !value.contains(MARKER)
    });
    let mut all: Vec<SecretKey> = values.into_iter().map(|(secret, end)| SecretKey { secret, end }).collect();
    if all.is_empty() {
        return found;
    }
    all.extend(found);
    all.sort_unstable_by_key(|key| (key.secret, key.end));
    let mut joined: Vec<SecretKey> = Vec::with_capacity(all.len());
    for key in all {
        match joined.last_mut() {
            Some(last) if key.secret < last.end => last.end = last.end.max(key.end),
            _ => joined.push(key),
        }
    }
    joined
}

/// A value as beginning and end.
type Part = (usize, usize);

/// An object whose names stand in one column, or an object of JSON.
#[derive(Debug, Default)]
struct Object {
    column: usize,
    is_secret: bool,
    /// What stands now is below `data` or `stringData`.
    in_data: bool,
    /// The column of the names below `data`, once one was read.
    names: Option<usize>,
    values: Vec<Part>,
}

impl Object {
    fn end(self, values: &mut Vec<Part>) {
        if self.is_secret {
            values.extend(self.values);
        }
    }
}

/// Objects of YAML, the outer ones first.
#[derive(Debug, Default)]
struct Yaml {
    open: Vec<Object>,
    values: Vec<Part>,
}

impl Yaml {
    fn read(mut self, text: &str) -> Vec<Part> {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            self.line(line, start);
            start += line.len();
        }
        self.close(0);
        self.values
    }

    fn close(&mut self, column: usize) {
        while self.open.last().is_some_and(|object| object.column >= column) {
            if let Some(object) = self.open.pop() {
                object.end(&mut self.values);
            }
        }
    }

    fn line(&mut self, line: &str, start: usize) {
        let (numbers, mut column) = margin(line);
        let mut rest = line.get(numbers..).unwrap_or_default().trim_end();
        let before = rest.len();
        rest = rest.trim_start_matches(' ');
        column += before - rest.len();
        if rest.is_empty() || rest.starts_with('#') {
            return;
        }
        if rest.starts_with("---") {
            self.close(0);
            return;
        }
        let value_start = |value: &str| start + (value.as_ptr().addr() - line.as_ptr().addr());
        if let Some(object) = self.open.last_mut()
            && object.in_data
            && column > object.column
        {
            let names = *object.names.get_or_insert(column);
            let value = if column == names { rest.split_once(':').map_or(rest, |(_, value)| value) } else { rest };
            let value = value.trim_matches([' ', '\t', '"', '\'']);
            if !matches!(value, "" | "|" | ">" | "|-" | ">-" | "|+" | ">+" | "{}") {
                let from = value_start(value);
                object.values.push((from, from + value.len()));
            }
            return;
        }
        while let Some(item) = rest.strip_prefix("- ") {
            self.close(column + 1);
            column += 2 + (item.len() - item.trim_start().len());
            rest = item.trim_start();
            self.close(column);
        }
        self.close(column + 1);
        let Some((name, value)) = rest.split_once(':') else { return };
        if self.open.last().is_none_or(|object| object.column < column) {
            self.open.push(Object { column, ..Object::default() });
        }
        let Some(object) = self.open.last_mut() else { return };
        let value = value.trim().trim_matches(['"', '\'']);
        object.in_data = value.is_empty() && is_data(name.trim_matches(['"', '\'']));
        object.names = None;
        object.is_secret |= (name == "kind" || name.ends_with(">kind")) && value == "Secret";
    }
}

fn is_data(name: &str) -> bool {
    matches!(name, "data" | "stringData")
}

/// The bytes of the number before a line, and the column at which the text behind it begins: 1 for the sign of a diff.
fn margin(line: &str) -> (usize, usize) {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    let behind = line.get(spaces..).unwrap_or_default();
    let digits = behind.len() - behind.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let mark = behind.get(digits..).and_then(|rest| rest.chars().next());
    let numbers = match mark {
        Some(mark @ ('→' | '\t' | '|' | ':')) if digits > 0 => spaces + digits + mark.len_utf8(),
        _ => 0,
    };
    let rest = line.get(numbers..).unwrap_or_default();
    let is_removed = rest.starts_with('-') && !rest.starts_with("- ") && !rest.starts_with("---");
    let is_sign = rest.starts_with('+') || is_removed || rest.starts_with("-  ");
    (numbers + usize::from(is_sign), usize::from(is_sign))
}

/// The values of secrets in objects of JSON.
fn json(text: &str) -> Vec<Part> {
    let bytes = text.as_bytes();
    let mut open: Vec<Object> = Vec::new();
    let mut values = Vec::new();
    let mut name = "";
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => {
                // What is below `data` is held by the object around it.
                let in_data = is_data(name);
                open.push(Object { in_data, ..Object::default() });
                name = "";
            }
            b'}' => {
                if let Some(object) = open.pop() {
                    match open.last_mut() {
                        Some(outer) if object.in_data => outer.values.extend(object.values),
                        _ => object.end(&mut values),
                    }
                }
            }
            b',' => name = "",
            // JSON in a text of JSON, whose escapes are gone: no other quote stands before or behind a brace.
            b'"' if matches!(bytes.get(at), Some(b'{'))
                || at.checked_sub(2).and_then(|at| bytes.get(at)) == Some(&b'}') => {}
            b'"' => {
                let (to, is_closed) = string_end(bytes, at);
                let string = text.get(at..to).unwrap_or_default();
                let behind = bytes.get(to + 1..).unwrap_or_default().iter().take(8).find(|byte| **byte != b' ');
                if is_closed && behind == Some(&b':') {
                    name = string;
                } else if let Some(object) = open.last_mut().filter(|_| !name.is_empty()) {
                    object.is_secret |= name == "kind" && string == "Secret" && !object.in_data;
                    if object.in_data {
                        object.values.push((at, to));
                    }
                }
                at = if is_closed { to + 1 } else { to };
            }
            _ => {}
        }
    }
    while let Some(object) = open.pop() {
        match open.last_mut() {
            Some(outer) if object.in_data => outer.values.extend(object.values),
            _ => object.end(&mut values),
        }
    }
    values
}

/// Where a string ends that begins at `from`, and whether it is closed there; one that is cut ends with its line.
fn string_end(bytes: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    loop {
        match bytes.get(at) {
            Some(b'"') => return (at, true),
            Some(b'\n') => return (at, false),
            None => return (bytes.len(), false),
            Some(b'\\') if bytes.get(at + 1).is_some_and(|byte| *byte != b'\n') => at += 2,
            Some(_) => at += 1,
        }
    }
}
