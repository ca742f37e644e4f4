//! The decoded request, which a handler is given.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderName};

use crate::http::route::arriving::Arriving;
use crate::http::route::description::Description;
use crate::http::route::parameter::{About, Described, Parameter, ParameterKind, ParameterPlace, Schema};
use crate::http::route::problem::Problem;
use crate::http::route::query::{Query, nearest};

/// A request that passed the guard and found its route.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// Empty unless the method is one with a body, and that of a route that takes it while it arrives.
    pub body: Bytes,
    /// What arrives of the body.
    pub(in crate::http) arriving: Arriving,
    /// The description of its route.
    pub(in crate::http) description: &'static Description,
    pub(in crate::http) query: Query,
    pub(in crate::http) params: Vec<(&'static str, String)>,
    pub(in crate::http) headers: HeaderMap,
}

impl Request {
    /// The value of a parameter; `None` if it is not given and has no default. Fails if the parameter does not take its
    /// text.
    pub fn given<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<Option<K::Value<'_>>, Problem> {
        self.check(parameter);
        let about = &parameter.about;
        let default = about.default.map(|text| (about.name, text));
        let Some((name, text)) = self.text(about).or(default) else { return Ok(None) };
        read(parameter, name, text).map(Some)
    }

    /// The value of a parameter that has a default or is required. The text at `{name}` of the route's pattern is
    /// percent-decoded and may hold any character, `/` and `..` too. Fails if the parameter does not take its text, or
    /// if it is missing.
    pub fn value<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<K::Value<'_>, Problem> {
        let missing = || Problem::bad_request(format!("`{}` is required", parameter.about.name));
        self.given(parameter)?.ok_or_else(missing)
    }

    /// Every value of a parameter that may be given more than once. Fails if the parameter does not take one of its
    /// texts.
    pub fn all<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<Vec<K::Value<'_>>, Problem> {
        self.check(parameter);
        self.query.texts(&parameter.about).map(|(name, text)| read(parameter, name, text)).collect()
    }

    /// The text of a parameter, with the name under which it is given.
    fn text(&self, about: &About) -> Option<(&'static str, &str)> {
        match about.place {
            ParameterPlace::Path => {
                self.params.iter().find(|(name, _)| *name == about.name).map(|(name, text)| (*name, text.as_str()))
            }
            ParameterPlace::Query => about.names().find_map(|name| self.query.text(name).map(|text| (name, text))),
        }
    }

    /// Panics in debug builds if the route does not describe the parameter, so that every test of the route finds this
    /// defect.
    fn check<K: ParameterKind>(&self, parameter: &Parameter<K>) {
        let is_told = |told: &&dyn Described| *told.about() == parameter.about && told.schema() == parameter.schema();
        debug_assert!(self.description.parameters.iter().any(is_told), "{parameter:?} is not told of");
    }

    /// The first value of a header; `None` if it is missing or not text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of the `Accept` header; `*/*` if there is none.
    #[must_use]
    pub fn accept(&self) -> &str {
        self.header(&ACCEPT).unwrap_or("*/*")
    }
}

fn read<'r, K: ParameterKind>(parameter: &Parameter<K>, name: &str, text: &'r str) -> Result<K::Value<'r>, Problem> {
    let refused = || {
        let words = match parameter.kind.schema() {
            Schema::OneOf(words) | Schema::ListOf { words, .. } => words,
            _ => Vec::new(),
        };
        Problem::bad_parameter(name, &parameter.kind.takes(), text).meant(nearest(text, &words))
    };
    parameter.kind.read(text).ok_or_else(refused)
}
