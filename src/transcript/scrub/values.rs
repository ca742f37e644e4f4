//! Decides whether the value behind a telling name is a secret, or a reference, a type, a number or a sentence.
//!
//! ```text
//! kept      $VAR ${..} $(..) {{..}} <..> %s *** your-key   true none required string 32000   next_token() cfg.token
//! hidden    the rest behind a password or key; behind a token only what mixes letters and digits
//! ```
//!
//! In settings, command lines and queries (`NAME=value`, `--name value`, `?name=value`) a bare word is never code, so
//! only references, numbers and words of the first line are kept there.

use super::names::{Class, is_one_of, is_one_of_in_any_case, names_a_secret};

/// How many bytes of a value are judged. A longer value is judged by its beginning.
pub(super) const JUDGED_BYTES_MAX: usize = 256;

/// How a name and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinForm {
    /// `NAME=value` of an environment or a settings file.
    Setting,
    /// `--name value`, `--name=value`
    Flag,
    /// `?name=value`
    Query,
    /// `<name>value</name>`
    Element,
    /// Any other form: JSON, YAML, headers, code.
    Plain,
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct SecretClaim<'a> {
    pub(super) text: &'a str,
    pub(super) class: Class,
    pub(super) form: JoinForm,
    /// The value has no quotes.
    pub(super) bare: bool,
    /// Further words follow on the same line.
    pub(super) in_sentence: bool,
}

const KEPT: &str = "\
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 c_char c_int c_long const mut \
    true false yes no on off null nil none undefined nan empty required optional enabled disabled default string \
    str text bool boolean number int integer float bytes any unknown void object dict list array char varchar self \
    this inherit write read include omit same-origin basic bearer digest oauth oauth2 jwt sensitive hidden \
    redacted filtered masked n/a missing invalid valid expired wrong incorrect error ok set unset present absent \
    auth authentication scheme header header: prompt stdin secretstr secretstring";
const CODE_WORDS: &str = "await new async lambda function fn func if not yield match typeof mut";
const CODE_ROOTS: &str = "\
    self this config cfg settings process os env args opts options ctx context req request res response secrets \
    vars var data local module props params import super crate state user event input payload credentials body \
    form";
/// Words that follow a flag in a sentence about the flag.
const FLAG_WORDS: &str = "\
    option options flag flags argument arguments parameter switch is was and or to for with from if when in as \
    will should can on instead which that";
/// Small words that messages to people have and passphrases lack.
const MESSAGE_WORDS: &str = "a an the your must is are be to please enter at or not with for";
const FOLDERS: &str = "\
    home etc usr var tmp opt root users run mnt secrets app src data proc dev srv private workspace workspaces \
    work nix volumes library bin";

/// Extensions of files that hold keys or settings.
const EXTENSIONS: &str = "pem key json txt crt cer der pfx p12 p8 jks yaml yml env asc gpg pub conf cfg toml ini db";

/// True if the value, which holds no marker, is to be hidden.
pub(super) fn is_secret(claim: SecretClaim<'_>) -> bool {
    let SecretClaim { text, class, form, .. } = claim;
    let strict = matches!(form, JoinForm::Setting | JoinForm::Flag | JoinForm::Query);
    if text.trim().is_empty() || is_placeholder(text) || is_kept_word(text) {
        return false;
    }
    if form == JoinForm::Flag && is_about_flag(text) {
        return false;
    }
    if !strict && reads_as_text(claim) {
        return false;
    }
    if let Some(digits) = number_digits(text) {
        return match class {
            Class::Password => digits > 2,
            Class::Key | Class::Token | Class::Setting | Class::Query => strict && digits >= 6,
            _ => false,
        };
    }
    match class {
        Class::Password => true,
        Class::Key => !is_path(text),
        Class::Token | Class::Setting if strict => !is_path(text),
        Class::Setting => false,
        Class::Token | Class::Loose => looks_random(text) && !is_path(text),
        Class::Query => form == JoinForm::Query && text.len() >= 8,
        Class::Connection => !text.contains("://") && text.contains(['=', ':', '@']),
        Class::Authorization | Class::Cookie => false,
    }
}

/// True for help texts: `--password option`, `--password PASSWORD`.
fn is_about_flag(text: &str) -> bool {
    let is_capitals = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_one_of(text, FLAG_WORDS) || (is_capitals && names_a_secret(text))
}

/// True for a value without quotes that is code or part of a sentence, and for a quoted one that is a message.
fn reads_as_text(claim: SecretClaim<'_>) -> bool {
    let SecretClaim { text, bare, in_sentence, .. } = claim;
    if !bare {
        return is_lone_name(text) || is_message(text);
    }
    let is_letters = text.chars().all(char::is_alphabetic);
    is_code(text) || (is_letters && in_sentence)
}

/// True for a reference to a value (`$VAR`, `{{...}}`) and for a stand-in (`***`, `<password>`, `your-key`).
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let encloses = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    if let Some(name) = text.strip_prefix('$') {
        return name.starts_with(['{', '(', '[']) || is_variable(name);
    }
    if let Some(rest) = text.strip_prefix('%') {
        return rest.len() == 1 || rest.ends_with('%') || rest.starts_with(['(', '{']);
    }
    let is_word_in_brackets = || {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|inner| inner.chars().all(|char| char.is_alphabetic() || matches!(char, ' ' | '_' | '-')))
    };
    text.starts_with("{{")
        || text.starts_with("#{")
        || text.starts_with("op://")
        || encloses('{', '}')
        || is_blank_to_fill(text)
        || is_word_in_brackets()
        || text.chars().all(|char| matches!(char, '*' | 'x' | 'X' | '.' | '-' | '_' | '?' | '#' | '•' | '…' | '●'))
        || starts_with_your(text)
}

/// True for `<password>`, and for the first word of `<your password>`.
fn is_blank_to_fill(text: &str) -> bool {
    let inner = text.strip_prefix('<').unwrap_or_default();
    let is_word = inner.chars().all(|char| char.is_alphabetic() || matches!(char, '-' | '_'));
    !inner.is_empty() && (is_word || inner.ends_with('>'))
}

fn starts_with_your(text: &str) -> bool {
    let head = text.get(..5).unwrap_or_default();
    head.eq_ignore_ascii_case("your_") || head.eq_ignore_ascii_case("your-")
}

/// True if the text behind a `$` is the name of a variable. In `$ecret1` it is not: small letters with digits.
fn is_variable(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-' | b'>' | b'?');
    let head = name.split(['[', '(', ')', ',', ';', '}']).next().unwrap_or_default();
    let digits = head.bytes().any(|byte| byte.is_ascii_digit());
    let lower = head.bytes().any(|byte| byte.is_ascii_lowercase());
    !head.is_empty()
        && head.bytes().all(fits)
        && (!digits || !lower || names_a_secret(head))
        && (head.len() == 1 || !head.starts_with(|char: char| char.is_ascii_digit()))
}

fn is_kept_word(text: &str) -> bool {
    let text = text.trim_start_matches(['&', '*']).trim_end_matches(['?', '!', '*']);
    is_one_of_in_any_case(text, KEPT)
}

/// True for a label: `Password` behind `password`.
fn is_lone_name(text: &str) -> bool {
    let tail = text.get(1..).unwrap_or_default();
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !tail.bytes().any(|byte| byte.is_ascii_uppercase())
        && names_a_secret(text)
}

/// True for a sentence: it speaks of passwords, or has the small words that passphrases lack.
fn is_message(text: &str) -> bool {
    let words = || text.split_whitespace().map(|word| word.trim_matches(|char: char| !char.is_alphanumeric()));
    let small = || words().filter(|word| is_one_of_in_any_case(word, MESSAGE_WORDS)).count();
    words().nth(1).is_some() && (words().any(names_a_secret) || (words().nth(4).is_some() && small() >= 2))
}

/// True for a call, a path of names, a structure or an operator.
fn is_code(text: &str) -> bool {
    let text = text.trim_start_matches(['&', '*', '!', '@']);
    if text.starts_with(['{', '[', '(']) || !text.chars().any(char::is_alphanumeric) || is_one_of(text, CODE_WORDS) {
        return true;
    }
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | ':' | '?');
    let head_end = text.find(|char| !is_part(char)).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(head_end).unwrap_or((text, ""));
    if !head.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') {
        return false;
    }
    if rest.starts_with(['(', '[', '<', '{']) || rest.starts_with("->") || head.contains("::") || head.contains("?.") {
        return true;
    }
    let root = head.split('.').next().unwrap_or_default();
    rest.is_empty() && (names_a_secret(head) || (root.len() < head.len() && is_one_of(root, CODE_ROOTS)))
}

/// Number of digits of a text that is a number; `None` for other texts.
fn number_digits(text: &str) -> Option<usize> {
    let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b',' | b'-' | b'+' | b'%');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (digits > 0 && text.bytes().all(fits)).then_some(digits)
}

/// True for the path of a file, told by its folder or its extension. Random text that begins with `/` is no path.
fn is_path(text: &str) -> bool {
    let first = text.trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_drive = matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    let extension = text.rsplit_once('.').map_or("", |(_, extension)| extension);
    let has_extension = is_one_of(extension, EXTENSIONS) && !text.contains(char::is_whitespace);
    ["./", "../", "~/", "file:"].iter().any(|start| text.starts_with(start))
        || is_drive
        || has_extension
        || matches!(text, "/" | "~" | ".")
        || (text.starts_with('/') && (is_one_of_in_any_case(first, FOLDERS) || is_plain_path(text)))
}

/// True for lower-case text with at least two slashes, which base64 hardly ever is.
fn is_plain_path(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte);
    text.bytes().all(fits) && text.bytes().filter(|byte| *byte == b'/').count() > 1
}

/// True if the text has both letters and digits.
pub(super) fn mixes_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// True for text that nobody writes by hand: letters mixed with digits, or letters that often change their case.
fn looks_random(text: &str) -> bool {
    if text.len() < 8 || text.contains(char::is_whitespace) || text.contains("://") {
        return false;
    }
    let pairs = || text.bytes().zip(text.bytes().skip(1));
    let jumps = pairs().filter(|(one, two)| one.is_ascii_lowercase() != two.is_ascii_lowercase()).count();
    mixes_digits(text) || (text.len() >= 20 && jumps * 3 >= text.len())
}
