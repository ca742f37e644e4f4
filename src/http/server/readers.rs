//! The users who get answers that quote conversations: the user that this program runs as, root, and the configured
//! users.
//!
//! Only their owner can read session files, but everybody on the machine can reach a port on loopback. Root is allowed
//! because it can read the files anyway.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use rustix::process::geteuid;

use crate::http::server::error::ServeError;

/// The file with names and numbers of users. Users that the system knows from elsewhere (LDAP) are configured by
/// number.
const USERS: &str = "/etc/passwd";

/// Stands for whoever can reach the port.
const EVERYBODY: &str = "*";

const ROOT: u32 = 0;

/// Users who may read conversations, besides the one that the program runs as and root; none by default.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    everybody: bool,
    users: BTreeSet<u32>,
}

impl Readers {
    /// The refusal if the system does not tell whose connection it is.
    pub(in crate::http) const REFUSAL_UNTOLD: &str = "this answer quotes conversations, and the system does not tell which user's \
        connection this is; ask from a program on the same machine, outside of containers with a network or users of \
        their own, or set `web.content_users = [\"*\"]` to let everybody read who can reach this port";

    /// The users of these names or numbers; `*` is everybody. Fails with [`ServeError::Users`] if the list of users
    /// cannot be read, and with [`ServeError::UnknownUser`] for a name that is not in it.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ServeError> {
        let mut readers = Self::default();
        let mut listed = None;
        for name in names {
            if name == EVERYBODY {
                readers.everybody = true;
            } else if let Ok(number) = name.parse() {
                readers.users.insert(number);
            } else {
                let listed = match &listed {
                    Some(listed) => listed,
                    None => listed.insert(users()?),
                };
                let number = number_of(listed, name);
                readers.users.insert(number.ok_or_else(|| ServeError::UnknownUser { name: name.to_owned() })?);
            }
        }
        Ok(readers)
    }

    pub(in crate::http) const fn is_everybody(&self) -> bool {
        self.everybody
    }

    pub(in crate::http) fn has(&self, user: u32) -> bool {
        user == geteuid().as_raw() || user == ROOT || self.users.contains(&user)
    }

    /// The refusal for a user who may not read conversations.
    pub(in crate::http) fn refusal(&self, user: u32) -> String {
        let own = geteuid().as_raw();
        format!(
            "this answer quotes conversations, and the connection is that of user {user}: it is given to user {own}, as \
             which tailspan runs, to root, and to the users in `web.content_users` (of the program that connects: behind \
             a proxy, the proxy's)"
        )
    }
}

fn users() -> Result<String, ServeError> {
    match fs::read(USERS) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ServeError::Users { source }),
    }
}

/// The number of a user in the text of `/etc/passwd`, which has one user per line: `name:password:number:...`.
fn number_of(users: &str, name: &str) -> Option<u32> {
    let mut fields = users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    fields.nth(2)?.parse().ok()
}
