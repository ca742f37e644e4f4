//! Answers a request: checks its head, finds its route, reads its body, and runs its handler.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::http::route::answer::{Answer, AnswerBody, accepts_gzip};
use crate::http::route::arriving::{Arrived, Arriving};
use crate::http::route::description::BodyForm;
use crate::http::route::problem::Problem;
use crate::http::route::query::Query;
use crate::http::route::refusal_page;
use crate::http::route::request::Request;
use crate::http::route::routes::{self, FoundRoute, OTHER_ROUTE, Route, Work};
use crate::http::server::app::App;
use crate::http::server::body::{Made, Outgoing, Pieces, STREAM_BYTES};
use crate::http::server::feeder::Feeder;
use crate::http::server::guard;
use crate::http::server::limits::ServerLimits;
use crate::http::server::owner::Link;
use crate::http::server::seats::Busy;
use crate::http::server::slots::{Slot, Slots};

/// Answers requests of all connections.
pub(in crate::http) struct Dispatch<C: 'static> {
    app: Arc<App<C>>,
    limits: ServerLimits,
    slots: Slots,
    body_slots: Arc<Semaphore>,
    feeder: Feeder,
}

/// An answer, and the slots that it holds until it is written.
type Held = (Response<Made>, [Slot; 2]);

impl<C: Send + Sync + 'static> Dispatch<C> {
    /// Bodies that go on end once `stop` holds `true`.
    pub(in crate::http) fn new(app: Arc<App<C>>, limits: ServerLimits, stop: watch::Receiver<bool>) -> Self {
        let body_slots = Arc::new(Semaphore::new(limits.bodies_max));
        Self { app, limits, slots: Slots::new(limits), body_slots, feeder: Feeder::new(stop) }
    }

    /// Answers a request that came over `link`, which is `busy` until the answer is written.
    pub(in crate::http) async fn respond(
        &self,
        request: http::Request<Incoming>,
        link: &Arc<Link>,
        busy: Busy,
    ) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        let mut label = OTHER_ROUTE;
        let person = refusal_page::is_wanted(head.uri.path(), &head.headers).then(|| head.uri.path().to_owned());
        let outcome = match self.admit(&head, link, &mut label) {
            Ok((found, query)) => self.answer(found, query, (head, body), (link, &busy)).await,
            Err(problem) => Err(problem),
        };
        let (response, held) = outcome.unwrap_or_else(|problem| refused(problem, person.as_deref()));
        self.app.counters.record(label, response.status().as_u16());
        response.map(|body| Outgoing::new(body, (busy, held)))
    }

    /// Checks all that can be checked before the body is read, and finds the route. `label` becomes the route label of
    /// the request counter.
    fn admit(&self, head: &Parts, link: &Link, label: &mut &'static str) -> Result<(FoundRoute<C>, Query), Problem> {
        guard::check(head, link.local.ip(), &self.app.allowed_hosts)?;
        let found = routes::find(self.app.routes, &head.method, head.uri.path()).map_err(|missed| {
            *label = missed.label;
            missed.problem
        })?;
        *label = found.route.pattern;
        let query = Query::parse(head.uri.query(), found.route.others, found.route.description.parameters)?;
        Ok((found, query))
    }

    async fn answer(
        &self,
        found: FoundRoute<C>,
        query: Query,
        (head, body): (Parts, Incoming),
        (link, busy): (&Arc<Link>, &Busy),
    ) -> Result<Held, Problem> {
        if found.route.work == Work::Intake {
            return self.take_in(found, query, (head, body), link).await;
        }
        let slot = self.slots.request(found.route.work)?;
        if found.route.work == Work::Feed {
            // A client that stays must not keep others from asking, and many come at once after a restart.
            busy.stays();
        }
        let (body, body_slot) = match head.method {
            Method::GET | Method::HEAD => (Bytes::new(), None),
            _ => {
                let (body, slot) = self.read_body(&head, body, found.route.body).await?;
                (body, Some(slot))
            }
        };
        let request = Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            arriving: Arriving::of(Bytes::new()),
            body,
            description: found.route.description,
            query,
            params: found.params,
            headers: head.headers,
        };
        let (answer, room) = self.handle(found.route, request, Arc::clone(link), body_slot).await?;
        Ok((answer, [slot, room]))
    }

    /// Gives a body to its handler while it arrives, however long that takes. The handler has a thread and a slot as long as
    /// the body arrives; if its client goes, the handler is told so.
    async fn take_in(
        &self,
        found: FoundRoute<C>,
        query: Query,
        (head, body): (Parts, Incoming),
        link: &Arc<Link>,
    ) -> Result<Held, Problem> {
        let route = found.route;
        if let Some(takes) = route.body {
            check_form(&head, takes)?;
        }
        let slot = self.slots.handler(route.work).await?;
        let (sender, arriving) = Arriving::channel();
        let request = Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            arriving,
            body: Bytes::new(),
            description: route.description,
            query,
            params: found.params,
            headers: head.headers,
        };
        let app = Arc::clone(&self.app);
        let mut handler = spawn_blocking(move || {
            let _slot = slot;
            route.answer(&app.context, &request)
        });
        let made = tokio::select! {
            made = &mut handler => made,
            // The handler ends soon after the body, but the disk may be slow.
            () = pass_on(body, sender) => timeout(self.limits.answer_timeout, handler)
                .await
                .map_err(|_| Problem::unavailable("what was sent could not be kept in time"))?,
        };
        let answer = made.map_err(|error| {
            tracing::error!(route = route.pattern, %error, "a handler failed");
            Problem::internal("the handler failed; the log says why")
        })??;
        let (response, room) = self.ready(route, answer, None, (false, link)).await?;
        Ok((response, [None, room]))
    }

    async fn read_body(
        &self,
        head: &Parts,
        body: Incoming,
        takes: Option<&BodyForm>,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
        let mut bytes_max = self.limits.body_bytes_max;
        if let Some(takes) = takes {
            check_form(head, takes)?;
            bytes_max = bytes_max.min(takes.bytes_max);
        }
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Problem::body_too_large(bytes_max));
        }
        let send_timeout = self.limits.send_timeout;
        let Ok(Ok(slot)) = timeout(send_timeout, Arc::clone(&self.body_slots).acquire_owned()).await else {
            return Err(Problem::unavailable("too many requests with a body at once"));
        };
        match timeout(send_timeout, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(collected)) => Ok((collected.to_bytes(), slot)),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::body_too_large(bytes_max)),
            Ok(Err(error)) => Err(Problem::bad_request(format!("the body cannot be read: {error}"))),
            Err(_) => Err(Problem::body_too_slow(send_timeout.as_secs_f64())),
        }
    }

    /// Runs the handler on a blocking thread, and waits for its whole answer or the first piece of a stream, and for
    /// room for it. All of this may take no longer than an answer may take.
    ///
    /// A thread cannot be stopped: a handler that takes too long keeps its slots until it ends, so that no more
    /// handlers than the limit ever run. A handler whose answer is a stream keeps them until the last piece is written.
    async fn handle(
        &self,
        route: &'static Route<C>,
        request: Request,
        link: Arc<Link>,
        body_slot: Slot,
    ) -> Result<(Response<Made>, Slot), Problem> {
        let answer_timeout = self.limits.answer_timeout;
        let failed = |error: JoinError| {
            tracing::error!(route = route.pattern, %error, "a handler failed");
            Problem::internal("the handler failed; the log says why")
        };
        let ends = Arc::clone(&link);
        let work = async {
            if (route.quotes)(&self.app.context) {
                // This is checked before the request waits for a slot, so that users who are refused take none.
                let app = Arc::clone(&self.app);
                spawn_blocking(move || link.check(&app.readers)).await.map_err(failed)??;
            }
            let handler_slot = self.slots.handler(route.work).await?;
            let app = Arc::clone(&self.app);
            let head_only = request.method == Method::HEAD;
            let made = spawn_blocking(move || {
                let (slot, _body_slot) = (handler_slot, body_slot);
                let gzip = accepts_gzip(&request.headers);
                let answer = route.answer(&app.context, &request)?.encoded(gzip);
                Ok((answer, slot))
            });
            let (answer, slot) = made.await.map_err(failed)??;
            self.ready(route, answer, slot, (head_only, &ends)).await
        };
        timeout(answer_timeout, work).await.unwrap_or_else(|_| {
            tracing::warn!(route = route.pattern, ?answer_timeout, "a handler took too long");
            let seconds = answer_timeout.as_secs_f64();
            Err(Problem::unavailable(format!("there was no answer within {seconds} s")))
        })
    }
    /// Waits until there is room for an answer, and for the first piece of a stream.
    async fn ready(
        &self,
        route: &'static Route<C>,
        answer: Answer,
        slot: Slot,
        (head_only, link): (bool, &Arc<Link>),
    ) -> Result<(Response<Made>, Slot), Problem> {
        let (head, body) = answer.into_response().into_parts();
        let (made, room) = match body {
            AnswerBody::Whole(bytes) => {
                let room = self.slots.room(route.work, bytes.capacity()).await;
                // The handler's slot is held until there is room, so that no further answer is made before.
                drop(slot);
                (Made::Whole(bytes), room)
            }
            AnswerBody::Stream(_) | AnswerBody::Feed(_) if head_only => {
                (Made::Pieces(Box::new(Pieces::unwritten(route.pattern, self.limits.answer_timeout))), None)
            }
            AnswerBody::Stream(stream) => {
                let room = self.slots.room(route.work, STREAM_BYTES).await;
                let pieces = Pieces::start(stream, slot, route.pattern, self.limits.answer_timeout).await?;
                (Made::Pieces(Box::new(pieces)), room)
            }
            AnswerBody::Feed(feed) => {
                drop(slot);
                (Made::Fed(self.feeder.start(feed, link)), None)
            }
        };
        Ok((Response::from_parts(head, made), room))
    }
}

/// Passes on what arrives of a body, until its end or until its handler has ended. A body that breaks off has no end.
async fn pass_on(mut body: Incoming, sender: mpsc::Sender<Arrived>) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return };
        let Ok(piece) = frame.into_data() else { continue };
        if sender.send(Arrived::Piece(piece)).await.is_err() {
            return;
        }
    }
    // A handler that has ended already needs no end.
    drop(sender.send(Arrived::End).await);
}

/// Checks that the body of a request is said to be of the form that its route takes.
fn check_form(head: &Parts, takes: &BodyForm) -> Result<(), Problem> {
    let content_type = takes.form.content_type;
    // A page on another site can send a body without being asked only if it is of one of a few types.
    if !is_of_type(head, content_type) {
        return Err(Problem::unsupported_type(content_type));
    }
    if is_encoded(head) { Err(Problem::unsupported_encoding()) } else { Ok(()) }
}

/// Whether the body of a request is said to be compressed, or to be encoded otherwise.
fn is_encoded(head: &Parts) -> bool {
    let is_plain = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    let mut given = head.headers.get_all(CONTENT_ENCODING).iter();
    !given.all(|value| value.to_str().is_ok_and(|codings| codings.split(',').all(is_plain)))
}

/// Whether the body of a request is said to be of a content type, whatever parameters that has.
fn is_of_type(head: &Parts, content_type: &str) -> bool {
    let given = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(content_type)
}

/// A problem as JSON, or as a page for a person who asked for `person`.
fn refused(problem: Problem, person: Option<&str>) -> Held {
    let answer = person.map(|path| refusal_page::page(&problem, path));
    let response = answer.unwrap_or_else(|| problem.into()).into_response().map(|body| match body {
        AnswerBody::Whole(bytes) => Made::Whole(bytes),
        AnswerBody::Stream(_) | AnswerBody::Feed(_) => unreachable!("a problem is held in memory"),
    });
    (response, [None, None])
}
