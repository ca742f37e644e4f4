//! Who gets answers that quote conversations: the user that this program runs as, root, and those who are named.
//!
//! Session files are for their owner alone, a port on loopback is everybody's. Root is let in because it reads the files
//! anyway.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use rustix::process::geteuid;

use crate::http::server::error::ServeError;

/// Users by name and number. Those that the system knows from elsewhere (LDAP) are named by their numbers.
const USERS: &str = "/etc/passwd";

/// Stands for whoever can reach the port.
const EVERYBODY: &str = "*";

const ROOT: u32 = 0;

/// Users who may read conversations, beside the program's own and root; none by default.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    everybody: bool,
    users: BTreeSet<u32>,
}

impl Readers {
    /// What is said where the system does not tell.
    pub(in crate::http) const REFUSAL_UNTOLD: &str = "this answer quotes conversations, and the system does not tell which user's \
        connection this is; ask from a program on the same machine, outside of containers with a network or users of \
        their own, or set `web.content_users = [\"*\"]` to let everybody read who can reach this port";

    /// The users of these names or numbers; `*` is everybody.
    ///
    /// # Errors
    /// [`ServeError::Users`] if the list of users cannot be read, [`ServeError::UnknownUser`] for a name that is not in
    /// it.
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

    /// What another user is told.
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

/// `name:password:number:...`, one user a line.
fn number_of(users: &str, name: &str) -> Option<u32> {
    let mut fields = users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    fields.nth(2)?.parse().ok()
}
