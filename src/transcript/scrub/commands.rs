//! Commands with short options that carry a password: `curl -u user:password`, `sshpass -p password`.
//!
//! A short option means nothing by itself, so the commands of a line are remembered until the line or the command ends.

use super::reader::{SecretKey, TextReader, is_blank, is_quote};
use super::values::{JUDGED_BYTES_MAX, is_placeholder};

const NETRC_LINES: u8 = 3;

/// Commands seen since the line began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Commands {
    curl: bool,
    sshpass: bool,
    mysql: bool,
    redis: bool,
    registry: bool,
    login: bool,
    /// Lines that an entry of a netrc file may still have: `machine host`, `login name`, `password value`.
    machine_lines: u8,
    netrc: bool,
    identified: bool,
}

impl Commands {
    pub(super) fn note(&mut self, word: &str) {
        match word {
            "curl" => self.curl = true,
            "sshpass" => self.sshpass = true,
            "mysql" | "mysqldump" | "mysqladmin" | "mysqlimport" | "mariadb" | "mariadb-dump" => self.mysql = true,
            "redis-cli" => self.redis = true,
            "docker" | "podman" | "helm" | "oras" | "crane" | "skopeo" | "buildah" | "nerdctl" | "az" | "oc" => {
                self.registry = true;
            }
            "login" => {
                self.login = self.registry;
                self.netrc = self.machine_lines > 0;
            }
            "machine" => self.machine_lines = NETRC_LINES,
            "IDENTIFIED" | "identified" => self.identified = true,
            _ => {}
        }
    }

    /// What is still known at the beginning of the next line: only that it may belong to an entry of a netrc file.
    pub(super) fn next_line(self) -> Self {
        let machine_lines = self.machine_lines.saturating_sub(1);
        Self { machine_lines, netrc: self.netrc && machine_lines > 0, ..Self::default() }
    }

    /// The password behind the word between two positions, if that word is an option of a command of this line.
    pub(super) fn password(self, reader: &TextReader<'_>, at: usize, end: usize) -> Option<SecretKey> {
        let is_option = reader.before(at, 1) == b'-' && is_blank(reader.before(at, 2));
        let is_long = reader.starts(at.saturating_sub(2), "--");
        let word = reader.slice(at, end.min(at + 16));
        match word {
            "u" | "U" if self.curl && is_option => behind_user(reader, end),
            "user" | "proxy-user" if self.curl && is_long => behind_user(reader, end),
            "p" if is_option && (self.sshpass || self.login) => behind(reader, end),
            "a" if is_option && self.redis => behind(reader, end),
            "password" if self.netrc => behind(reader, end),
            "BY" | "by" if self.identified && is_quoted(reader, end) => behind(reader, end),
            _ if is_option && word.starts_with('p') && (self.sshpass || self.mysql) => value(reader, at + 1),
            _ => None,
        }
    }
}

/// The `user:password` behind an option. The user is hidden too, as in URLs.
fn behind_user(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let joint = reader.run(end, 1, |byte| byte == b'=');
    let whole = value_bounds(reader, reader.skip_spaces(joint))?;
    let (user, password) = reader.slice(whole.secret, whole.end).split_once(':')?;
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_secret = !user.is_empty() && !password.is_empty() && !is_id(password) && !is_placeholder(password);
    (is_secret && is_password(reader, whole)).then_some(whole)
}

fn behind(reader: &TextReader<'_>, end: usize) -> Option<SecretKey> {
    let start = reader.skip_spaces(end);
    if start == end { None } else { value(reader, start) }
}

fn value(reader: &TextReader<'_>, start: usize) -> Option<SecretKey> {
    value_bounds(reader, start).filter(|whole| is_password(reader, *whole))
}

fn is_quoted(reader: &TextReader<'_>, end: usize) -> bool {
    reader.quote(reader.skip_spaces(end)).is_some_and(|quote| quote.mark == b'\'')
}

fn value_bounds(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let quote = reader.quote(at);
    let secret = quote.map_or(at, |quote| quote.after);
    let end = reader.run(secret, usize::MAX, |byte| match quote {
        Some(quote) => byte != quote.mark && byte != b'\n' && byte != b'\\',
        None => !is_blank(byte) && !is_quote(byte) && !matches!(byte, b';' | b'|' | b')'),
    });
    (end > secret && reader.at(secret) != b'-').then_some(SecretKey { secret, end })
}

fn is_password(reader: &TextReader<'_>, key: SecretKey) -> bool {
    let text = reader.slice_down(key.secret, key.end.min(key.secret + JUDGED_BYTES_MAX));
    !text.is_empty() && !reader.holds_marker(key.secret, key.end) && !is_placeholder(text)
}
