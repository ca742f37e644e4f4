//! Answers a request without a connection, by route, query and handler alone. The guard and the network are left out.

use std::io::{self, Write};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Uri};

use crate::http::route::answer::Answer;
use crate::http::route::arriving::Arriving;
use crate::http::route::problem::Problem;
use crate::http::route::query::Query;
use crate::http::route::request::Request;
use crate::http::route::routes::{self, Route};

/// The status and body of a GET of `target`, which is a path with its query.
pub fn get<C>(routes: &'static [Route<C>], context: &C, target: &str) -> (u16, Vec<u8>) {
    ask(routes, context, &Method::GET, (target, Bytes::new())).unwrap_or_else(Answer::from).into_parts()
}

/// The status and body of a POST of `body` to `target`, a path with its query.
pub fn post<C>(routes: &'static [Route<C>], context: &C, target: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    ask(routes, context, &Method::POST, (target, body.into())).unwrap_or_else(Answer::from).into_parts()
}

/// Writes the body of the answer to a GET of `target` to `sink`, as it is made. Returns the status, and the body of what is no
/// answer. Fails if the body cannot be made or written.
pub fn write<C>(
    routes: &'static [Route<C>],
    context: &C,
    target: &str,
    sink: &mut dyn Write,
) -> io::Result<(u16, Vec<u8>)> {
    ask(routes, context, &Method::GET, (target, Bytes::new())).unwrap_or_else(Answer::from).write_to(sink)
}

fn ask<C>(
    routes: &'static [Route<C>],
    context: &C,
    method: &Method,
    (target, body): (&str, Bytes),
) -> Result<Answer, Problem> {
    let uri: Uri = target.parse().map_err(|_| Problem::bad_request("this is no address"))?;
    let found = routes::find(routes, method, uri.path()).map_err(|missed| missed.problem)?;
    let description = found.route.description;
    let query = Query::parse(uri.query(), found.route.others, description.parameters)?;
    let request = Request {
        method: method.clone(),
        path: uri.path().to_owned(),
        arriving: Arriving::of(body.clone()),
        body,
        description,
        query,
        params: found.params,
        headers: HeaderMap::new(),
    };
    found.route.answer(context, &request)
}
