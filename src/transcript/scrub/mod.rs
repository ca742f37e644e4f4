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
//! value of a Secret of Kubernetes     data: {db: WGsyOWZq...}  data: {db: [REDACTED]}
//! rows of a key without its ends      MIIEowIBAAKC...          [REDACTED]
//! ```
//!
//! [`session`] hides in all texts of a session what was recognised in one of them.
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
mod cuts;
mod earlier;
mod encoded;
mod headers;
mod issuers;
mod keys;
mod known;
mod lengths;
mod lines;
mod manifests;
mod names;
mod pairs;
mod phrases;
mod reader;
mod rows;
mod scan;
pub mod session;
mod shapes;
mod unwrapped;
mod urls;
mod values;

use std::borrow::Cow;

use names::Class;
use reader::{MARKER, hide};

/// `text` with its secrets replaced by `[REDACTED]`.
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    let found = scan::find(text);
    hide(text, found.into_iter().map(|key| (key.secret, key.end)))
}

/// The value of something called `name`, for example of a member of a JSON object. It is hidden as a whole if the name
/// says that it is a secret; otherwise secrets inside it are hidden.
#[must_use]
pub fn scrub_named<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if scan::is_named_secret(name, value) { Cow::Borrowed(MARKER) } else { scrub(value) }
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
    scan::find_counted(text).1
}
