//! The errors that keep the server from serving.

use std::io;
use std::net::SocketAddr;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {hint}")]
    Bind { address: SocketAddr, hint: &'static str, source: io::Error },
    #[error("cannot hand the listener on {address} to the runtime")]
    Start { address: SocketAddr, source: io::Error },
    #[error("`web.content_users` names users, and the list of users (/etc/passwd) cannot be read")]
    Users { source: io::Error },
    #[error(
        "`web.content_users` names `{name}`, and there is no such user in /etc/passwd; a user that the system knows from \
         elsewhere is named by its number (`id -u {name}`)"
    )]
    UnknownUser { name: String },
}

impl ServeError {
    pub(in crate::http) fn bind(address: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; stop the other process or choose another port with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have the address; choose one that it has with --listen"
            }
            io::ErrorKind::PermissionDenied => "the port needs privileges; choose one above 1023 with --listen",
            _ => "choose another address with --listen",
        };
        Self::Bind { address, hint, source }
    }

    /// True if the configuration must be mended, so that a restart alone does not help.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::UnknownUser { .. })
    }
}
