//! A client of the event stream that goes away at any moment, and comes back with the last id that it has got.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use tailspan::archive::Archive;
use tailspan::http::api::events::hub::Events;
use tailspan::http::api::events::{EVENTS, HasEvents, events};
use tailspan::http::{HasReader, Route, get, write};
use tailspan::store::StoreReader;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::finish::SpanRules;

use super::world::Dice;

/// What the handler of the stream is given.
pub(crate) struct Stream {
    reader: StoreReader,
    events: Events,
}

static ROUTES: &[Route<Stream>] = &[Route::get("/api/v1/events", &EVENTS, events)];

impl HasReader for Stream {
    fn reader(&self) -> &StoreReader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn span_rules(&self) -> &SpanRules {
        const { &SpanRules::DEFAULT }
    }
}

impl HasEvents for Stream {
    fn events(&self) -> &Events {
        &self.events
    }

    fn clock(&self) -> fn() -> Timestamp {
        || Timestamp(0)
    }
}

impl Stream {
    pub(crate) fn of(reader: StoreReader) -> Self {
        let events = Events::new(reader.clone(), Archive::default(), Duration::from_secs(15));
        Self { reader, events }
    }

    /// Hands what is there to a sink, while the client is there.
    pub(crate) fn hand_to(&self, sink: &mut dyn Write) {
        write(ROUTES, self, "/api/v1/events?follow=false", sink).unwrap();
    }

    /// What is there behind an id: id, name and data of each event.
    pub(crate) fn read(&self, query: &str) -> Vec<(String, String, Value)> {
        let (status, body) = get(ROUTES, self, &format!("/api/v1/events?follow=false&{query}"));
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        let field = |event: &str, name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let told = body.split_terminator("\n\n").filter(|event| !event.starts_with("retry:"));
        told.map(|event| {
            let data = serde_json::from_str(&field(event, "data")).unwrap_or_else(|_| panic!("no JSON: {event}"));
            (field(event, "id"), field(event, "event"), data)
        })
        .collect()
    }
}

/// A client, and what it was told.
#[derive(Default)]
pub(crate) struct Follower {
    pub(crate) last: Option<String>,
    /// How often each thing was told, by its kind and its id.
    pub(crate) told: BTreeMap<(String, String), usize>,
    /// How often it was told that something is not kept.
    pub(crate) resyncs: usize,
    place: (u64, u64),
}

/// What an event is about.
pub(crate) fn key_of(event: &Value) -> (String, String) {
    let kind = event["kind"].as_str().unwrap();
    let name = match kind {
        "message" => "message_id",
        "tool_call" | "tool_result" => "tool_call_id",
        "subagent_start" | "subagent_end" => "agent",
        "turn" => "prompt_uuid",
        "session" => "session",
        _ => "uuid",
    };
    (kind.to_owned(), event[name].as_str().unwrap_or_default().to_owned())
}

impl Follower {
    /// Comes, and takes some of what is there, or all.
    pub(crate) fn come(&mut self, stream: &Stream, dice: &mut Dice, all: bool) {
        let query = self.last.as_ref().map(|id| format!("last_event_id={id}")).unwrap_or_default();
        let there = stream.read(&query);
        let taken = if all { there.len() } else { dice.below(there.len() + 1) };
        for (id, name, data) in there.into_iter().take(taken) {
            let (epoch, sequence) = id.split_once('-').unwrap();
            let place = (epoch.parse().unwrap(), sequence.parse().unwrap());
            match name.as_str() {
                "heartbeat" => assert!(place >= self.place, "{place:?} after {:?}", self.place),
                "resync" => self.resyncs += 1,
                _ => {
                    assert!(place > self.place, "{place:?} after {:?}", self.place);
                    *self.told.entry(key_of(&data)).or_default() += 1;
                }
            }
            (self.place, self.last) = (place, Some(id));
        }
    }
}
