//! What a handler is given: the request, decoded.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderName};

use crate::http::route::query::Query;

/// A request that passed the guard and found its route.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// As sent, still percent-encoded.
    pub path: String,
    pub query: Query,
    /// Empty unless the method is one with a body.
    pub body: Bytes,
    pub(in crate::http) params: Vec<(&'static str, String)>,
    pub(in crate::http) headers: HeaderMap,
}

impl Request {
    /// What stands at `{name}` of the route's pattern, percent-decoded; may hold any character, `/` and `..` too.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| *known == name);
        debug_assert!(found.is_some(), "a handler reads only the parts that its pattern names");
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A header's first value, if it is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the client wants to read; `*/*` if it does not say.
    #[must_use]
    pub fn accept(&self) -> &str {
        self.header(&ACCEPT).unwrap_or("*/*")
    }
}
