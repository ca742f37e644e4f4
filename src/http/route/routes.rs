//! The route table: each row has a pattern, methods and a handler. It is searched from the top.

use http::Method;

use crate::http::route::answer::Answer;
use crate::http::route::description::{BodyForm, Description};
use crate::http::route::problem::Problem;
use crate::http::route::query::{Others, decode_percent};
use crate::http::route::request::Request;

/// Answers a request; runs on a blocking thread and may read files and the store.
pub type Handler<C> = fn(&C, &Request) -> Result<Answer, Problem>;

/// The route label of requests that no row of the table matched, or that were refused before the table was asked.
pub(in crate::http) const OTHER_ROUTE: &str = "other";

const GET_ONLY: &[Method] = &[Method::GET];
const POST_ONLY: &[Method] = &[Method::POST];

const fn never<C>(_: &C) -> bool {
    false
}

/// A row of the table.
pub struct Route<C: 'static> {
    /// A path whose `{name}` segments match any one segment. It is also the route label of the metrics.
    pub pattern: &'static str,
    /// The methods that are answered; GET includes HEAD.
    pub methods: &'static [Method],
    pub description: &'static Description,
    pub others: Others,
    pub work: Work,
    /// Whether answers carry an entity tag, by which a client that has the answer already gets "not modified".
    pub tagged: bool,
    /// Whether the handler may refuse with "not found".
    pub missing: bool,
    /// Whether the answer quotes a conversation. If so, only [`Readers`](crate::http::Readers) get it.
    pub quotes: fn(&C) -> bool,
    /// The body that it takes; `None` if it takes none, or any.
    pub body: Option<&'static BodyForm>,
    /// What the status "created" means, if the handler answers with it.
    pub makes: Option<&'static str>,
    /// Whether it answers with the address of another page, and with nothing else.
    pub leads: bool,
    /// Whether it keeps something for its clients, which may be gone when they come back.
    pub keeps: bool,
    /// The headers that it reads besides those of every route, each with its meaning.
    pub headers: &'static [(&'static str, &'static str)],
    pub handler: Handler<C>,
}

/// What a handler reads, which decides how many of its kind run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Memory only. Such a handler never waits for others, so that health and metrics answer while the store hangs.
    Memory,
    /// Files or the store. Such a handler waits if too many of them run.
    Store,
    /// Files or the store, with an answer that may be large. Few of these handlers run at once, and few requests wait.
    Large,
    /// Files or the store at its beginning, and then for as long as the client stays. It waits like [`Work::Store`], and takes
    /// no place from other requests.
    Feed,
    /// Files, while the body arrives, however long that takes. Such a handler never waits for others: one too many is refused.
    Intake,
}

impl<C> Route<C> {
    /// A page or probe: GET, any query, answered from memory.
    pub const fn fixed(pattern: &'static str, description: &'static Description, handler: Handler<C>) -> Self {
        Self { work: Work::Memory, others: Others::Unread, ..Self::get(pattern, description, handler) }
    }

    /// A question to the store: GET, with only the parameters in `description`.
    pub const fn get(pattern: &'static str, description: &'static Description, handler: Handler<C>) -> Self {
        let (others, work) = (Others::Refused, Work::Store);
        let (tagged, missing, keeps, leads) = (false, false, false, false);
        let (methods, quotes, body, makes) = (GET_ONLY, never as fn(&C) -> bool, None, None);
        Self {
            pattern,
            methods,
            description,
            others,
            work,
            tagged,
            missing,
            quotes,
            body,
            makes,
            leads,
            keeps,
            headers: &[],
            handler,
        }
    }

    /// A question to the store by another project's API: GET, with any query, of which only the parameters in
    /// `description` are read.
    pub const fn foreign(pattern: &'static str, description: &'static Description, handler: Handler<C>) -> Self {
        Self { others: Others::PassedOver, ..Self::get(pattern, description, handler) }
    }

    /// A request with a body that changes something: POST, with only the parameters in `description`.
    pub const fn post(
        pattern: &'static str,
        description: &'static Description,
        body: &'static BodyForm,
        handler: Handler<C>,
    ) -> Self {
        Self { methods: POST_ONLY, body: Some(body), ..Self::get(pattern, description, handler) }
    }

    /// A body that is kept while it arrives: POST, with only the parameters in `description`.
    pub const fn intake(
        pattern: &'static str,
        description: &'static Description,
        body: &'static BodyForm,
        headers: &'static [(&'static str, &'static str)],
        handler: Handler<C>,
    ) -> Self {
        Self { work: Work::Intake, headers, ..Self::post(pattern, description, body, handler) }
    }

    /// The same route, which makes something and keeps it for a while; `meaning` says what, in one sentence.
    #[must_use]
    pub const fn keeping(self, meaning: &'static str) -> Self {
        Self { makes: Some(meaning), keeps: true, ..self }
    }

    /// The same route, which answers with the address of another page.
    #[must_use]
    pub const fn leading(self) -> Self {
        Self { leads: true, ..self }
    }

    /// The same route for other methods.
    #[must_use]
    pub const fn by(self, methods: &'static [Method]) -> Self {
        Self { methods, ..self }
    }

    /// The same route, whose clients stay.
    #[must_use]
    pub const fn feeding(self) -> Self {
        Self { work: Work::Feed, ..self }
    }

    /// The same route, whose answers may be large.
    #[must_use]
    pub const fn large(self) -> Self {
        Self { work: Work::Large, ..self }
    }

    /// The same route, whose answers carry an entity tag.
    #[must_use]
    pub const fn tagged(self) -> Self {
        Self { tagged: true, ..self }
    }

    /// The same route, whose handler may answer "not found".
    #[must_use]
    pub const fn or_not_found(self) -> Self {
        Self { missing: true, ..self }
    }

    /// The same route, whose answers quote conversations.
    #[must_use]
    pub const fn quoting(self) -> Self {
        self.quoting_if(|_| true)
    }

    /// The same route, whose answers quote conversations under some settings.
    #[must_use]
    pub const fn quoting_if(self, quotes: fn(&C) -> bool) -> Self {
        Self { quotes, ..self }
    }

    /// Calls the handler.
    pub(in crate::http) fn answer(&self, context: &C, request: &Request) -> Result<Answer, Problem> {
        let answer = (self.handler)(context, request)?;
        debug_assert!(
            self.description.tells(answer.content_type()),
            "{} does not tell of its content type",
            self.pattern
        );
        Ok(answer)
    }

    fn takes(&self, method: &Method) -> bool {
        self.methods.contains(method) || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

/// The row that answers, and the texts at the `{name}` segments of its pattern.
pub(in crate::http) struct FoundRoute<C: 'static> {
    pub(in crate::http) route: &'static Route<C>,
    pub(in crate::http) params: Vec<(&'static str, String)>,
}

/// No row answers. The label is `other`, or the pattern of a row that matches the path but not the method.
pub(in crate::http) struct Missed {
    pub(in crate::http) label: &'static str,
    pub(in crate::http) problem: Problem,
}

pub(in crate::http) fn find<C>(
    routes: &'static [Route<C>],
    method: &Method,
    path: &str,
) -> Result<FoundRoute<C>, Missed> {
    let missed = |problem| Missed { label: OTHER_ROUTE, problem };
    let segments = decode_segments(path).map_err(missed)?;
    let mut allow: Vec<&str> = Vec::new();
    let mut label = None;
    for route in routes {
        let Some(params) = matched(route.pattern, &segments) else { continue };
        if route.takes(method) {
            return Ok(FoundRoute { route, params });
        }
        label = label.or(Some(route.pattern));
        for allowed in route.methods {
            allow.push(allowed.as_str());
            if *allowed == Method::GET {
                allow.push("HEAD");
            }
        }
    }
    match label {
        Some(label) => Err(Missed { label, problem: Problem::method_not_allowed(method, path, &allow.join(", ")) }),
        None => Err(missed(Problem::not_found(&format!("page at {path}")))),
    }
}

fn decode_segments(path: &str) -> Result<Vec<String>, Problem> {
    segments(path).map(decode_percent).collect()
}

/// The segments of a path. A slash at the end makes no difference.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    inner.strip_suffix('/').unwrap_or(inner).split('/')
}

fn matched(pattern: &'static str, given: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut given = given.iter();
    for part in segments(pattern) {
        let segment = given.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => params.push((name, segment.clone())),
            None if part == segment => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(params)
}
