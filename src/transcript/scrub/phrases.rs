//! Secrets that are told by several words around them: `Unseal Key 1: ...`, a row of a file of cookies, `user:...@tcp(`.

use super::lines;
use super::reader::{SecretKey, TextReader, is_blank, is_quote, is_word};
use super::values::{is_placeholder, mixes_digits};

/// `password` in other languages.
const LABELS: &[&str] = &[
    "contraseña",
    "Contraseña",
    "CONTRASEÑA",
    "mot de passe",
    "Mot de passe",
    "MOT DE PASSE",
    "lösenord",
    "Lösenord",
    "hasło",
    "Hasło",
    "clave de acceso",
    "пароль",
    "Пароль",
    "ПАРОЛЬ",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
    "暗証番号",
    "şifre",
    "Şifre",
    "κωδικός",
    "סיסמה",
    "पासवर्ड",
    "كلمة المرور",
    "mật khẩu",
    "Mật khẩu",
];
/// Longest user and password of the forms here.
const PART_BYTES_MAX: usize = 96;

/// Where the value behind a word for password of another language begins, if a sign follows it.
pub(super) fn labelled(reader: &TextReader<'_>, at: usize) -> Option<usize> {
    let first = reader.at(at);
    if !matches!(first, b'c' | b'C' | b'm' | b'M' | b'l' | b'L' | b'h' | b'H' | 0xc5.. if first != 0xe2 && first != 0xef)
    {
        return None;
    }
    let is_label = |label: &&&str| label.as_bytes().first() == Some(&first) && reader.starts(at, label);
    let label = LABELS.iter().find(is_label)?;
    let quote = reader.run(at + label.len(), 3, |byte| is_quote(byte) || byte == b'*');
    let sign = reader.skip_spaces(quote);
    let end = match reader.at(sign) {
        b':' | b'=' => sign + 1,
        _ if reader.starts(sign, "：") => sign + "：".len(),
        _ => return None,
    };
    Some(reader.skip_spaces(reader.run(end, 3, |byte| byte == b'*')))
}

/// The secret that is told by the words that begin at `at`, the first of which ends at `end`.
pub(super) fn find(reader: &TextReader<'_>, at: usize, end: usize) -> Option<SecretKey> {
    match reader.at(at) {
        b'U' | b'R' if reader.starts(at, "Unseal Key ") || reader.starts(at, "Recovery Key ") => unseal(reader, end),
        b'T' | b'F' if reader.before(at, 1) == b'\t' => cookie_row(reader, at, end),
        b'P' if reader.starts(at, "Private-Lines: ") => putty(reader, end),
        b't' | b'o' if reader.starts(at, "thin:") || reader.starts(at, "oci8:") => oracle(reader, end + 1),
        _ => data_source(reader, at, end),
    }
}

/// The key behind `Unseal Key 1: `.
fn unseal(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    const KEY_BYTES_MIN: usize = 32;
    let number = reader.skip_spaces(reader.skip_spaces(end) + "Key".len());
    let colon = reader.run(number, 3, |byte| byte.is_ascii_digit());
    let secret = reader.skip_spaces(colon + 1);
    let end = reader.run(secret, PART_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    (reader.at(colon) == b':' && end - secret >= KEY_BYTES_MIN).then_some(SecretKey { secret, end })
}

/// The rows behind `Private-Lines: 4` of a key of PuTTY.
fn putty(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let digits = reader.run(end + 2, 4, |byte| byte.is_ascii_digit());
    let newline = reader.run(digits, 1, |byte| byte == b'\r');
    let row_end = |newline: usize| {
        let row = lines::behind_number(reader, newline + 1);
        let end = reader.run(row, PART_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        let next = reader.run(end, 1, |byte| byte == b'\r');
        (reader.at(newline) == b'\n' && end > row && matches!(reader.at(next), 0 | b'\n')).then_some((end, next))
    };
    let (mut end, mut next) = row_end(newline)?;
    let secret = lines::behind_number(reader, newline + 1);
    while let Some(row) = row_end(next) {
        (end, next) = row;
    }
    Some(SecretKey { secret, end })
}

/// The last of the seven columns of a row of cookies, as browsers and curl keep them.
fn cookie_row(reader: &TextReader<'_>, at: usize, end: usize) -> Option<SecretKey> {
    let is_flag = |at: usize| reader.starts(at, "TRUE\t") || reader.starts(at, "FALSE\t");
    let column = |from: usize| {
        let end = reader.run(from, PART_BYTES_MAX, is_plain);
        (end > from && reader.at(end) == b'\t').then_some(end + 1)
    };
    let secure = is_flag(at).then(|| column(end + 1)).flatten()?;
    let expiry = is_flag(secure).then(|| column(secure)).flatten()?;
    let name = column(expiry).filter(|_| reader.at(expiry).is_ascii_digit())?;
    let secret = column(name)?;
    let end = reader.run(secret, usize::MAX, |byte| !is_blank(byte) && !is_quote(byte));
    (end - secret >= 4 && !reader.holds_marker(secret, end)).then_some(SecretKey { secret, end })
}

/// The password of `jdbc:oracle:thin:scott/password@host`.
fn oracle(reader: &TextReader<'_>, user: usize) -> Option<SecretKey> {
    let slash = reader.run(user, PART_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'));
    let secret = slash + 1;
    let end = reader.run(secret, PART_BYTES_MAX, |byte| !is_blank(byte) && !is_quote(byte) && byte != b'@');
    let is_whole = reader.at(slash) == b'/' && reader.at(end) == b'@' && slash > user && end > secret;
    (is_whole && is_password(reader, secret, end)).then_some(SecretKey { secret, end })
}

/// The password of `user:password@tcp(host)`, where user begins a word.
fn data_source(reader: &TextReader<'_>, at: usize, user_end: usize) -> Option<SecretKey> {
    let before = reader.before(at, 1);
    if reader.at(user_end) != b':'
        || !(is_blank(before) || is_quote(before) || matches!(before, b'=' | b'+' | b'>' | 0x92))
    {
        return None;
    }
    let secret = user_end + 1;
    let end = reader.run(secret, PART_BYTES_MAX, |byte| !is_blank(byte) && !is_quote(byte) && byte != b'(');
    let (password, network) = reader.slice_down(secret, end).rsplit_once('@')?;
    let is_url = password.starts_with("//");
    let is_network =
        !is_url && reader.at(end) == b'(' && matches!(network, "tcp" | "tcp4" | "tcp6" | "unix" | "udp" | "");
    let end = secret + password.len();
    (is_network && end > secret && is_password(reader, secret, end)).then_some(SecretKey { secret, end })
}

/// True for the characters of names and paths, of which no other form of a secret is made.
pub(super) fn is_plain(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'/' | b'*' | b'~')
}

fn is_password(reader: &TextReader<'_>, secret: usize, end: usize) -> bool {
    !reader.holds_marker(secret, end) && !is_placeholder(reader.slice_down(secret, end))
}

/// The password of a line of a `.pgpass` file that is for every host: `*:*:*:user:password`.
pub(super) fn pgpass(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let before = reader.before(at, 1);
    if !reader.starts(at, "*:") || !(is_blank(before) || is_quote(before) || matches!(before, b'+' | b'>' | 0x92)) {
        return None;
    }
    let field = |from: usize| {
        let end = reader.run(from, PART_BYTES_MAX, is_plain);
        (end > from && reader.at(end) == b':').then_some(end + 1)
    };
    let port = reader.run(at + 2, 6, |byte| byte.is_ascii_digit() || byte == b'*');
    let secret = field(field((reader.at(port) == b':' && port > at + 2).then_some(port + 1)?)?)?;
    let end = reader.run(secret, PART_BYTES_MAX, |byte| !is_blank(byte) && !is_quote(byte) && byte != b':');
    (end > secret + 3 && is_password(reader, secret, end)).then_some(SecretKey { secret, end })
}

/// True for a password of a URL that holds `/`, `#` or `?`, which ought to be escaped there.
pub(super) fn is_unescaped(scheme_is_web: bool, password: &str) -> bool {
    !password.contains(['{', '$', '<', '>', '[', ' '])
        && !password.split(['/', '?', '#']).next().unwrap_or_default().bytes().all(|byte| byte.is_ascii_digit())
        && (!scheme_is_web || mixes_digits(password))
        && !is_placeholder(password)
}
