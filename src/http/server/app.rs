//! What the server serves: it knows an [`App`], and nothing of what the handlers read.

use std::sync::Arc;

use crate::http::route::routes::Route;
use crate::http::server::counters::RequestCounters;
use crate::http::server::readers::Readers;

/// All that a [`Server`](crate::http::server::listen::Server) needs to answer.
///
/// `C` is what every handler is given: the store, the configuration, whatever the routes read.
pub struct App<C: 'static> {
    pub context: C,
    /// Counters of answered requests. They are shared, so that the context can show them at `/metrics`.
    pub counters: Arc<RequestCounters>,
    /// The route table. The first row that matches wins, so fixed paths stand before patterns with `{name}`.
    pub routes: &'static [Route<C>],
    /// Names that a `Host` header may carry besides loopback and the address that was connected to; a port is ignored.
    pub allowed_hosts: Vec<String>,
    /// Who gets answers that quote conversations.
    pub readers: Readers,
}
