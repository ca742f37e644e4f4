//! Rust source as words, without comments and without what stands in strings: prose may name what code may not.

/// A name, a sign, `::`, or `""` for a literal text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Word<'_> {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

pub(crate) fn words(text: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, word) = next(rest, first);
        let (taken, behind) = rest.split_at(length);
        if let Some(text) = word {
            found.push(Word { text, line });
        }
        line += taken.matches('\n').count();
        rest = behind;
    }
    found
}

/// How many bytes the next piece of source takes, and its word if it is one.
fn next(rest: &str, first: char) -> (usize, Option<&str>) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), None)
    } else if rest.starts_with("/*") {
        (block_comment(rest), None)
    } else if let Some(length) = literal(rest) {
        (length, Some("\"\""))
    } else if rest.starts_with("::") {
        (2, Some("::"))
    } else if let Some(raw) = rest.strip_prefix("r#") {
        let name = name(raw);
        (2 + name.len(), Some(name))
    } else if first.is_alphanumeric() || first == '_' {
        let name = name(rest);
        (name.len(), Some(name))
    } else if first == '\'' {
        // A lifetime: characters are literals.
        (1 + name(&rest[1..]).len(), None)
    } else if first.is_whitespace() {
        (first.len_utf8(), None)
    } else {
        (first.len_utf8(), Some(&rest[..first.len_utf8()]))
    }
}

fn name(rest: &str) -> &str {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    &rest[..end]
}

/// Comments of Rust stand in one another.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().unwrap().len_utf8();
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string, a raw string, bytes or a character that begins here.
fn literal(rest: &str) -> Option<usize> {
    let quote = rest.find(|c| !matches!(c, 'b' | 'c' | 'r' | '#'))?;
    let (before, text) = rest.split_at(quote);
    if !text.starts_with(['"', '\'']) {
        return None;
    }
    let letters = before.trim_end_matches('#');
    let hashes = before.len() - letters.len();
    if text.starts_with('\'') {
        return (matches!(before, "" | "b")).then(|| character(text)).flatten().map(|length| quote + length);
    }
    match letters {
        "r" | "br" | "cr" => {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = text[1..].find(&end).unwrap_or(text.len() - 1 - end.len());
            Some(quote + 1 + inside + end.len())
        }
        "" | "b" | "c" if hashes == 0 => Some(quote + 1 + escaped(&text[1..], '"')),
        _ => None,
    }
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inside = text[1..].chars();
    let first = inside.next()?;
    if first == '\\' {
        Some(1 + escaped(&text[1..], '\''))
    } else {
        (inside.next() == Some('\'')).then(|| 2 + first.len_utf8())
    }
}

/// The length up to the quote that ends, which is not behind a backslash.
fn escaped(inside: &str, quote: char) -> usize {
    let mut behind_backslash = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if behind_backslash => behind_backslash = false,
            '\\' => behind_backslash = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    inside.len()
}
