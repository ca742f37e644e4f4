//! A question as it is typed.
//!
//! ```text
//! word         has this word, in any case, also within a longer one
//! "a phrase"   has exactly this, in any case; `\"` is a quote, `\\` a backslash
//! /pattern/    matches this regular expression, in the case that it has; /pattern/i in any case
//! -word        does not; also -"a phrase" and -/pattern/
//! ```
//!
//! A slash that no slash before a space answers begins a word, as in `/usr/bin`. So do two minus signs, as in `--release`.

use regex::{Regex, RegexBuilder};

use super::fold::fold;
use super::literal;

/// Longest question, in bytes.
pub const QUERY_BYTES_MAX: usize = 2000;

/// Most words, phrases and expressions of a question.
pub const TERMS_MAX: usize = 32;

/// Most memory of one compiled expression, in bytes.
const REGEX_BYTES_MAX: usize = 256 << 10;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// True if texts that have it do not match.
    pub(super) not: bool,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// Folded text.
    Text(Box<str>),
    /// An expression, and the folded texts that all of its matches have.
    Regex(Box<Regex>, Box<[Box<str>]>),
}

/// Why a question cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryMistake {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

impl Query {
    /// Reads a question. Fails with the place of the mistake.
    pub fn parse(text: &str) -> Result<Self, QueryMistake> {
        let mistake = |rest: &str, reason: String| QueryMistake { column: column(text, rest), reason };
        if text.len() > QUERY_BYTES_MAX {
            return Err(mistake(text, format!("a question has at most {QUERY_BYTES_MAX} bytes")));
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, after) = term(rest).map_err(|reason| mistake(rest, reason))?;
            if terms.len() == TERMS_MAX {
                return Err(mistake(rest, format!("a question has at most {TERMS_MAX} words")));
            }
            terms.push(term);
            rest = after.trim_start();
        }
        if terms.is_empty() {
            return Err(mistake(text, "there is no word in it".to_owned()));
        }
        Ok(Self { terms })
    }
}

fn column(text: &str, rest: &str) -> usize {
    text.chars().count() - rest.chars().count() + 1
}

/// The first condition, and what stands behind it.
fn term(text: &str) -> Result<(Term, &str), String> {
    let (not, body) = match text.strip_prefix('-') {
        Some(body) if !body.is_empty() && !body.starts_with(|c: char| c == '-' || c.is_whitespace()) => (true, body),
        _ => (false, text),
    };
    if let Some(body) = body.strip_prefix('"') {
        let (phrase, after) = phrase(body).ok_or("a phrase has no closing quote")?;
        if phrase.is_empty() {
            return Err("a phrase is empty".to_owned());
        }
        return Ok((Term { not, what: What::Text(fold(&phrase).into()) }, after));
    }
    if let Some((pattern, any_case, after)) = body.strip_prefix('/').and_then(expression) {
        let built = RegexBuilder::new(pattern).case_insensitive(any_case).size_limit(REGEX_BYTES_MAX).build();
        let regex = built.map_err(|error| reason_of(&error))?;
        let literals = literal::of(pattern, any_case);
        return Ok((Term { not, what: What::Regex(Box::new(regex), literals) }, after));
    }
    let end = body.find(char::is_whitespace).unwrap_or(body.len());
    let (word, after) = body.split_at(end);
    Ok((Term { not, what: What::Text(fold(word).into()) }, after))
}

/// The last line of what the compiler of expressions says, which tells the reason.
fn reason_of(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    format!("the expression cannot be used: {}", last.strip_prefix("error: ").unwrap_or(last))
}

/// A phrase up to its closing quote, and what stands behind that.
fn phrase(text: &str) -> Option<(String, &str)> {
    let mut phrase = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some((phrase, letters.as_str())),
            '\\' => {
                let next = letters.clone().next().filter(|next| matches!(next, '"' | '\\'));
                phrase.push(next.unwrap_or('\\'));
                if next.is_some() {
                    letters.next();
                }
            }
            other => phrase.push(other),
        }
    }
    None
}

/// An expression up to the slash that ends it, whether it is for any case, and what stands behind it. `None` if no slash
/// ends it.
fn expression(text: &str) -> Option<(&str, bool, &str)> {
    let is_end = |after: &str| after.chars().next().is_none_or(char::is_whitespace);
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == '/' && !escaped && at > 0 {
            let (pattern, after) = (text.get(..at)?, text.get(at + 1..)?);
            if is_end(after) {
                return Some((pattern, false, after));
            }
            if let Some(after) = after.strip_prefix('i').filter(|after| is_end(after)) {
                return Some((pattern, true, after));
            }
        }
        escaped = letter == '\\' && !escaped;
    }
    None
}
