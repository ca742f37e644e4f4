//! What a handler is given: the request, decoded.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderName};

use crate::http::route::description::Description;
use crate::http::route::parameter::{About, Described, Parameter, ParameterKind, ParameterPlace};
use crate::http::route::problem::Problem;
use crate::http::route::query::Query;

/// A request that passed the guard and found its route.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// As sent, still percent-encoded.
    pub path: String,
    /// Empty unless the method is one with a body.
    pub body: Bytes,
    /// What its route tells of it.
    pub(in crate::http) description: &'static Description,
    pub(in crate::http) query: Query,
    pub(in crate::http) params: Vec<(&'static str, String)>,
    pub(in crate::http) headers: HeaderMap,
}

impl Request {
    /// The value of a parameter; `None` if it is not given and has no default.
    ///
    /// # Errors
    /// A bad parameter if its text is not one that it takes.
    pub fn given<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<Option<K::Value<'_>>, Problem> {
        self.check(parameter);
        let about = &parameter.about;
        let default = about.default.map(|text| (about.name, text));
        let Some((name, text)) = self.text(about).or(default) else { return Ok(None) };
        read(parameter, name, text).map(Some)
    }

    /// The value of a parameter that has a default, or without which there is no answer. What stands at `{name}` of the
    /// route's pattern is percent-decoded and may hold any character, `/` and `..` too.
    ///
    /// # Errors
    /// A bad parameter if its text is not one that it takes, a bad request if it is missing.
    pub fn value<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<K::Value<'_>, Problem> {
        let missing = || Problem::bad_request(format!("`{}` is required", parameter.about.name));
        self.given(parameter)?.ok_or_else(missing)
    }

    /// Every value of a parameter that may be given more than once.
    ///
    /// # Errors
    /// A bad parameter if one of its texts is not one that it takes.
    pub fn all<K: ParameterKind>(&self, parameter: &Parameter<K>) -> Result<Vec<K::Value<'_>>, Problem> {
        self.check(parameter);
        self.query.texts(&parameter.about).map(|(name, text)| read(parameter, name, text)).collect()
    }

    /// The text of a parameter, with the name by which it is given.
    fn text(&self, about: &About) -> Option<(&'static str, &str)> {
        match about.place {
            ParameterPlace::Path => {
                self.params.iter().find(|(name, _)| *name == about.name).map(|(name, text)| (*name, text.as_str()))
            }
            ParameterPlace::Query => about.names().find_map(|name| self.query.text(name).map(|text| (name, text))),
        }
    }

    /// What a handler reads must be what its route tells: a defect, which every test that asks the route finds.
    fn check<K: ParameterKind>(&self, parameter: &Parameter<K>) {
        let is_told = |told: &&dyn Described| *told.about() == parameter.about && told.schema() == parameter.schema();
        debug_assert!(self.description.parameters.iter().any(is_told), "{parameter:?} is not told of");
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

fn read<'r, K: ParameterKind>(parameter: &Parameter<K>, name: &str, text: &'r str) -> Result<K::Value<'r>, Problem> {
    parameter.kind.read(text).ok_or_else(|| Problem::bad_parameter(name, &parameter.kind.takes(), text))
}
