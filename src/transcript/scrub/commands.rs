//! Commands with short options that carry a password: `curl -u user:password`, `sshpass -p password`.
//!
//! A short option means nothing by itself, so the commands of a line are remembered until the line or the command ends.

use super::phrases::is_plain;
use super::reader::{SecretKey, TextReader, is_blank, is_quote, is_space};
use super::values::{JUDGED_BYTES_MAX, is_placeholder, mixes_digits};

const NETRC_LINES: u8 = 3;

/// What was said on a line, one bit each.
type Said = u32;

const CURL: Said = 1;
const SSHPASS: Said = 1 << 1;
const MYSQL: Said = 1 << 2;
const REDIS: Said = 1 << 3;
const REGISTRY: Said = 1 << 4;
/// `-p password`
const LOGIN: Said = 1 << 5;
const NETRC: Said = 1 << 6;
const IDENTIFIED: Said = 1 << 7;
/// `login token`
const TOKEN_LOGIN: Said = 1 << 8;
const LDAP: Said = 1 << 9;
const IPMI: Said = 1 << 10;
/// `-U user%password`
const SAMBA: Said = 1 << 11;
const HTPASSWD: Said = 1 << 12;
const SECRET: Said = 1 << 13;
const SECRET_SET: Said = 1 << 14;
const PARAMETER: Said = 1 << 15;
const CONFIG: Said = 1 << 16;
/// A name and its value follow, with a space between.
const SETTER: Said = 1 << 17;
const LFTP: Said = 1 << 18;
const SNMP: Said = 1 << 19;
const KUBECTL: Said = 1 << 20;
const NET: Said = 1 << 21;
/// A name and its quoted value follow.
const DEFINE: Said = 1 << 22;

/// What a word says.
fn said_by(word: &str) -> Said {
    match word {
        "curl" => CURL,
        "sshpass" => SSHPASS,
        "mysql" | "mysqldump" | "mysqladmin" | "mysqlimport" | "mariadb" | "mariadb-dump" => MYSQL,
        "redis-cli" => REDIS,
        "docker" | "podman" | "helm" | "oras" | "crane" | "skopeo" | "buildah" | "nerdctl" | "az" | "oc" => REGISTRY,
        "twine" | "mongosh" | "mongo" | "mongodump" | "mongorestore" | "mongoexport" | "mongoimport" => LOGIN,
        "vault" | "cargo" => TOKEN_LOGIN,
        "ldapsearch" | "ldapadd" | "ldapmodify" | "ldapdelete" | "ldappasswd" | "ldapwhoami" => LDAP,
        "ipmitool" => IPMI,
        "smbclient" | "rpcclient" => SAMBA,
        "htpasswd" => HTPASSWD,
        "secret" | "secrets" => SECRET,
        "put-parameter" => PARAMETER,
        "config" | "configure" => CONFIG,
        "lftp" => LFTP,
        "snmpwalk" | "snmpget" | "snmpset" | "snmpbulkwalk" => SNMP,
        "kubectl" => KUBECTL,
        "net" => NET,
        "IDENTIFIED" | "identified" => IDENTIFIED,
        "setx" | "setenv" => SETTER,
        _ => 0,
    }
}

/// Commands seen since the line began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Commands {
    said: Said,
    /// Lines that an entry of a netrc file may still have: `machine host`, `login name`, `password value`.
    machine_lines: u8,
}

impl Commands {
    const fn is(self, said: Said) -> bool {
        self.said & said != 0
    }

    pub(super) fn note(&mut self, reader: &TextReader<'_>, at: usize, end: usize) {
        let word = reader.slice(at, end);
        self.said |= said_by(word);
        match word {
            "login" => {
                if self.is(REGISTRY) {
                    self.said |= LOGIN;
                }
                if self.machine_lines > 0 {
                    self.said |= NETRC;
                }
            }
            "machine" => self.machine_lines = NETRC_LINES,
            "default" if reader.starts(reader.skip_spaces(end), "login ") => self.machine_lines = NETRC_LINES,
            "set" if self.is(SECRET) => self.said |= SECRET_SET,
            "set" if self.is(CONFIG) || sets_variable(reader, end) => self.said |= SETTER,
            "ENV" if matches!(reader.before(at, 1), 0 | b'\n' | b'\t' | b'+' | b'"') || ends_number(reader, at) => {
                self.said |= SETTER;
            }
            "define" if reader.before(at, 1) == b'#' => self.said |= DEFINE,
            _ => {}
        }
    }

    /// What is still known at the beginning of the next line: only that it may belong to an entry of a netrc file.
    pub(super) fn next_line(self) -> Self {
        let machine_lines = self.machine_lines.saturating_sub(1);
        Self { machine_lines, said: if machine_lines > 0 { self.said & NETRC } else { 0 } }
    }

    /// True if a name and its value may follow with nothing but a space between them: `setx NAME value`.
    pub(super) const fn sets(self, quoted: bool) -> bool {
        self.is(SETTER) || (quoted && self.is(DEFINE))
    }

    /// The password behind the word between two positions, if that word is an option of a command of this line.
    pub(super) fn password(self, reader: &TextReader<'_>, at: usize, end: usize) -> Option<SecretKey> {
        let is_option = reader.before(at, 1) == b'-' && is_blank(reader.before(at, 2));
        let is_long = reader.starts(at.saturating_sub(2), "--");
        let word = reader.slice(at, end.min(at + 16));
        match word {
            "u" | "U" if self.is(CURL) && is_option => behind_user(reader, end),
            "user" | "proxy-user" if self.is(CURL) && is_long => behind_user(reader, end),
            "b" if self.is(CURL) && is_option => cookies(reader, end),
            "cookie" if self.is(CURL) && is_long => cookies(reader, end),
            "p" if is_option && self.is(SSHPASS | LOGIN) => behind(reader, end),
            "a" if is_option && self.is(REDIS) => behind(reader, end),
            "w" if is_option && self.is(LDAP) => behind(reader, end),
            "P" if is_option && self.is(IPMI) => behind(reader, end),
            "A" | "X" if is_option && self.is(SNMP) => behind(reader, end),
            "U" if is_option && self.is(SAMBA) => behind_joined(reader, end, '%'),
            "u" if is_option && self.is(LFTP) => behind_joined(reader, end, ','),
            "b" if is_option && self.is(SECRET_SET) => behind(reader, end),
            "body" if is_long && self.is(SECRET_SET) => behind(reader, end),
            "value" if is_long && self.is(PARAMETER) => behind(reader, end),
            "from-literal" if is_long && self.is(KUBECTL) && self.is(SECRET) => literal(reader, end),
            "password" if self.is(NETRC) => behind(reader, end),
            "login" if self.is(TOKEN_LOGIN) => behind(reader, end).filter(|key| looks_made(reader, *key)),
            "add-authtoken" => behind(reader, end).filter(|key| looks_made(reader, *key)),
            "user" if self.is(NET) => third(reader, end, 1),
            "echo" | "printf" => piped(reader, end),
            "password-stdin" | "with-token" if is_long => here(reader, end),
            "BY" | "by" if self.is(IDENTIFIED) && is_quoted(reader, end) => behind(reader, end),
            _ if is_option && self.is(HTPASSWD) && word.contains('b') => third(reader, end, 2),
            _ if is_option && self.is(CURL) && is_cluster(word) => behind_user(reader, end),
            _ if is_option && self.is(CURL) && word.starts_with('u') => user(reader, at + 1),
            _ if is_option && word.starts_with('p') && self.is(SSHPASS | MYSQL) => value(reader, at + 1),
            _ => None,
        }
    }
}

/// True for the short options of curl of which the last is that of a user: `-sSu`.
fn is_cluster(word: &str) -> bool {
    word.strip_suffix('u').is_some_and(|rest| rest.bytes().all(|byte| b"sSkfLvigGN#0".contains(&byte)))
}

/// True for `set -x` and `set -gx` of fish.
fn sets_variable(reader: &TextReader<'_>, end: usize) -> bool {
    let option = reader.skip_spaces(end);
    let after = reader.run(option + 1, 3, |byte| byte.is_ascii_alphabetic());
    reader.at(option) == b'-' && reader.before(after, 1) == b'x' && is_space(reader.at(after))
}

/// True behind the number of a line: `12→`.
fn ends_number(reader: &TextReader<'_>, at: usize) -> bool {
    reader.starts(at.saturating_sub("→".len()), "→")
}

/// The `user:password` behind an option. The user is hidden too, as in URLs.
fn behind_user(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let joint = reader.run(end, 1, |byte| byte == b'=');
    user(reader, reader.skip_spaces(joint))
}

fn user(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let whole = value_bounds(reader, at)?;
    let (user, password) = reader.slice(whole.secret, whole.end).split_once(':')?;
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_secret = !user.is_empty() && !password.is_empty() && !is_id(password) && !is_placeholder(password);
    (is_secret && is_password(reader, whole)).then_some(whole)
}

/// The password behind an option, a user and a sign: `-U ann%password`.
fn behind_joined(reader: &TextReader<'_>, end: usize, sign: char) -> Option<SecretKey> {
    let whole = behind(reader, end)?;
    let (user, password) = reader.slice(whole.secret, whole.end).split_once(sign)?;
    let secret = whole.secret + user.len() + 1;
    (!password.is_empty() && !is_placeholder(password)).then_some(SecretKey { secret, end: whole.end })
}

/// The cookies behind an option; without `=` it is the name of a file.
fn cookies(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let whole = behind(reader, end)?;
    let (_, cookie) = reader.slice(whole.secret, whole.end).split_once('=')?;
    (cookie.len() >= 4 && !is_placeholder(cookie)).then_some(whole)
}

/// The value of `=name=value`.
fn literal(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let name = (reader.at(end) == b'=').then_some(end + 1)?;
    let sign = reader.run(name, 64, is_plain);
    (reader.at(sign) == b'=').then(|| value(reader, sign + 1)).flatten()
}

/// The value behind so many other words.
fn third(reader: &TextReader<'_>, end: usize, words: usize) -> Option<SecretKey> {
    let mut at = end;
    for _ in 0..words {
        let word = reader.skip_spaces(at);
        at = reader.run(word, 64, is_plain);
        if at == word || reader.at(word) == b'-' || !is_space(reader.at(at)) {
            return None;
        }
    }
    behind(reader, at).filter(|key| looks_made(reader, *key))
}

/// What is given as input behind `<<<`.
fn here(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let sign = reader.skip_spaces(end);
    reader.starts(sign, "<<<").then(|| value(reader, reader.skip_spaces(sign + 3))).flatten()
}

/// What `echo` passes on to a command that reads a password from its input.
fn piped(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    const READERS: &[&str] = &[
        "--password-stdin",
        "--with-token",
        "chpasswd",
        "kinit",
        "sudo -S",
        "secret put",
        "secret set",
        "passwd --stdin",
        "cryptsetup",
        "vault login",
    ];
    const COMMAND_BYTES_MAX: usize = 96;
    let start = reader.skip_spaces(end);
    let skipped = ["-n ", "'%s' ", "'%s\\n' ", "\"%s\" ", "%s "].iter().find(|skipped| reader.starts(start, skipped));
    let option = start + skipped.map_or(0, |skipped| skipped.len());
    let whole = bounds_within(reader, option, JUDGED_BYTES_MAX)?;
    let pipe = reader.skip_spaces(reader.run(whole.end, 1, is_quote));
    if start == end || reader.at(pipe) != b'|' {
        return None;
    }
    let command_end = reader.run(pipe + 1, COMMAND_BYTES_MAX, |byte| !matches!(byte, b'\n' | b'|' | b';'));
    let command = reader.slice_down(pipe + 1, command_end);
    // No distance is measured across a marker, or a second run could decide otherwise.
    let is_whole = !reader.holds_marker(pipe, command_end);
    (is_whole && READERS.iter().any(|known| command.contains(known)) && is_password(reader, whole)).then_some(whole)
}

fn behind(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let start = reader.skip_spaces(end);
    if start == end { None } else { value(reader, start) }
}

fn value(reader: &TextReader<'_>, start: usize) -> Option<SecretKey> {
    value_bounds(reader, start).filter(|whole| is_password(reader, *whole))
}

/// True for a value that is no word of a sentence about the command.
fn looks_made(reader: &TextReader<'_>, key: SecretKey) -> bool {
    const MADE_BYTES_MIN: usize = 8;
    let text = reader.slice_down(key.secret, key.end.min(key.secret + JUDGED_BYTES_MAX));
    text.len() >= MADE_BYTES_MIN && mixes_digits(text) && !text.contains(['/', '=', '.', '('])
}

fn is_quoted(reader: &TextReader<'_>, end: usize) -> bool {
    reader.quote(reader.skip_spaces(end)).is_some_and(|quote| quote.mark == b'\'')
}

fn value_bounds(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    bounds_within(reader, at, usize::MAX)
}

fn bounds_within(reader: &TextReader<'_>, at: usize, max: usize) -> Option<SecretKey> {
    let quote = reader.quote(at);
    let secret = quote.map_or(at, |quote| quote.after);
    let end = reader.run(secret, max, |byte| match quote {
        Some(quote) => byte != quote.mark && byte != b'\n' && byte != b'\\',
        None => !is_blank(byte) && !is_quote(byte) && !matches!(byte, b';' | b'|' | b')'),
    });
    (end > secret && reader.at(secret) != b'-').then_some(SecretKey { secret, end })
}

fn is_password(reader: &TextReader<'_>, key: SecretKey) -> bool {
    let text = reader.slice_down(key.secret, key.end.min(key.secret + JUDGED_BYTES_MAX));
    !text.is_empty() && !reader.holds_marker(key.secret, key.end) && !is_placeholder(text)
}
