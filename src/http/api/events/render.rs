//! Makes events of what the log names: from the facts as they are now, and from the session files for texts.
//!
//! What a session with up to [`REEL_EVENTS_MAX`] events tells is what its replay tells. Of a longer session, the place of an
//! event among the others and the gap before it are not worked out, because its units would all have to be read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::frame::{About, EventName, Frame, framed};
use crate::archive::Archive;
use crate::http::api::content::ContentPage;
use crate::http::api::reel::Reel;
use crate::http::api::replay::kept::Replays;
use crate::http::api::sessions::summary_of;
use crate::ledger::ended;
use crate::ledger::run::RunOutcome;
use crate::ledger::session::{Session, project_of};
use crate::ledger::unit::{Identity, Parts, Section, TurnEnd, Unit, UnitId};
use crate::store::{EventPlace, EventRef, StoreError, StoreReader, Told, ToldEvents};
use crate::transcript::ids::RowId;
use crate::transcript::shown::{shown, shown_name};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::reason::Reason;
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::moments::{self, Around, Moment, SoFar};
use crate::views::sessions::outline::Outline;
use crate::views::sessions::parts::turn_summary;
use crate::waiting::WaitFor;

/// Most bytes of each text of an event. All of it is told by the replay.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// Most bytes of the data of an event. Texts of a longer one are cut further.
const DATA_BYTES_MAX: usize = 64 << 10;

/// Events of a session up to which its replay is worked out for every event of it.
const REEL_EVENTS_MAX: u64 = 2_000;

/// Most levels of sub-agents.
const LEVELS_MAX: usize = 64;

/// Makes events of one row of the log.
pub(super) struct Renderer<'a> {
    reader: &'a StoreReader,
    archive: &'a Archive,
    replays: &'a Replays,
    sessions: HashMap<String, Option<Arc<SessionNow>>>,
    units: HashMap<UnitId, Option<Arc<Unit>>>,
}

/// A session as it is now.
struct SessionNow {
    session: Session,
    order: Order,
}

enum Order {
    /// All events.
    Reel(Arc<Reel>),
    /// Only which turn each unit belongs to.
    Turns(Box<Outline>),
}

/// What an event says, and what it is filtered by.
struct Said {
    name: EventName,
    about: About,
    data: Map<String, Value>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(reader: &'a StoreReader, archive: &'a Archive, replays: &'a Replays) -> Self {
        Self { reader, archive, replays, sessions: HashMap::new(), units: HashMap::new() }
    }

    /// The events of a row, each with its place in the log of this epoch. What cannot be told any more has no bytes.
    pub(super) fn frames(&mut self, epoch: u64, row: &ToldEvents) -> Vec<Arc<Frame>> {
        (row.first..).zip(&row.events).map(|(sequence, event)| Arc::new(self.frame(epoch, sequence, event))).collect()
    }

    fn frame(&mut self, epoch: u64, sequence: u64, event: &EventRef) -> Frame {
        let said = self.said(event).unwrap_or_else(|error| {
            tracing::warn!(%error, sequence, "an event cannot be told");
            None
        });
        let Some(Said { name, about, data }) = said else {
            let (name, about) = (EventName::Run, About::default());
            return Frame { sequence, at: event.at, name, about, bytes: bytes::Bytes::new() };
        };
        let bytes = framed(EventPlace { epoch, sequence }, name.word(), &Value::Object(data).to_string());
        Frame { sequence, at: event.at, name, about, bytes }
    }

    fn said(&mut self, event: &EventRef) -> Result<Option<Said>, StoreError> {
        match event.told {
            Told::Session => self.session_began(event),
            Told::Turn => self.turn_ended(event),
            Told::Run => self.run_changed(event),
            Told::Runaway => self.session_changed(event, "runaway", &Reason::ALL.map(Reason::word)),
            Told::Waiting => self.session_changed(event, "waiting", &WaitFor::ALL.map(WaitFor::word)),
            _ => self.happened(event),
        }
    }

    fn session_began(&self, event: &EventRef) -> Result<Option<Said>, StoreError> {
        let Some(session) = self.reader.session_numbered(event.unit)? else { return Ok(None) };
        let Ok(summary) = summary_of(self.reader, &session) else { return Ok(None) };
        let about = self.about_session(&session)?;
        let mut data = head(&about, "session", event.at);
        data.extend(fields(&summary));
        Ok(Some(Said { name: EventName::Session, about, data }))
    }

    /// A run that began or ended.
    fn run_changed(&self, event: &EventRef) -> Result<Option<Said>, StoreError> {
        let Some(run) = self.reader.run(RunId(RowId(event.unit.0)))? else { return Ok(None) };
        let has_ended = event.identity == 1;
        let about = About {
            session: run.sessions.last().map(|session| session.id.0.to_string()).unwrap_or_default(),
            project: run.sessions.last().and_then(|last| project_of(last.cwd.as_deref()?)).map(shown_name),
            workflow: run.workflow.as_deref().map(shown),
            ..About::default()
        };
        let mut data = head(&about, "run", event.at);
        let outcome = if has_ended { run.outcome() } else { RunOutcome::Running };
        let labels: BTreeMap<String, String> =
            run.labels.iter().map(|(name, value)| (shown(name), shown(value))).collect();
        let told = [
            ("run", json!(run.id.0.to_string())),
            ("state", json!(if has_ended { "ended" } else { "began" })),
            ("labels", json!(labels)),
            ("outcome", json!(outcome.name())),
            ("exit_reason", json!(run.exit_reason().filter(|_| has_ended).map(shown_name))),
            ("sessions", json!(run.sessions.iter().map(|session| session.id.0.to_string()).collect::<Vec<_>>())),
        ];
        data.extend(told.map(|(name, value)| (name.to_owned(), value)));
        Ok(Some(Said { name: EventName::Run, about, data }))
    }

    /// A session that began to do something, or ceased to; `words` name the reasons.
    fn session_changed(&self, event: &EventRef, kind: &str, words: &[&str]) -> Result<Option<Said>, StoreError> {
        let Some(session) = self.reader.session_numbered(event.unit)? else { return Ok(None) };
        let about = self.about_session(&session)?;
        let which = usize::try_from(event.identity / 2).unwrap_or(usize::MAX);
        let mut data = head(&about, kind, event.at);
        data.insert("state".to_owned(), json!(if event.identity % 2 == 1 { "ended" } else { "began" }));
        data.insert("reason".to_owned(), json!(words.get(which)));
        Ok(Some(Said { name: EventName::Session, about, data }))
    }

    fn turn_ended(&mut self, event: &EventRef) -> Result<Option<Said>, StoreError> {
        let Some(unit) = self.unit(event.unit)? else { return Ok(None) };
        let Some(now) = self.session(&unit)? else { return Ok(None) };
        let number = now.turn(unit.key.id());
        let Some(summary) = turn_summary(&unit, number.unwrap_or_default(), Vec::new) else { return Ok(None) };
        let end = ended::over(&unit);
        let about = self.about(&unit)?;
        let mut data = head(&about, "turn", event.at);
        data.extend(fields(&summary));
        // The parts of a turn are told one by one, and its place in the session under the name that other events use.
        for name in ["index", "critical_path", "subagents"] {
            data.remove(name);
        }
        let below = unit.gist_with_below().cost - unit.gist().cost;
        let told = [
            ("turn", json!(number)),
            ("subagents_cost_usd", below.to_string().into()),
            ("ended_at", end.at.to_rfc3339().into()),
            ("end", end.reason.into()),
            ("outcome", end.reason.into()),
            ("duration_seconds", json!(crate::transcript::time::seconds(end.at.since_ms(unit.started())))),
        ];
        data.extend(told.map(|(name, value)| (name.to_owned(), value)));
        Ok(Some(Said { name: EventName::Turn, about, data }))
    }

    /// Something that the replay tells too.
    fn happened(&mut self, event: &EventRef) -> Result<Option<Said>, StoreError> {
        let Some(home) = self.home(event)? else { return Ok(None) };
        let unit = Arc::clone(&home.unit);
        let Some(now) = self.session(&unit)? else { return Ok(None) };
        let chain = self.chain(&unit)?;
        let parent = chain.first().and_then(|above| above.agent.as_ref()).map(|agent| agent.id.shared());
        let depth = usize::from(unit.agent.is_some()) + chain.iter().filter(|above| above.agent.is_some()).count();
        let end = match event.told {
            Told::SubagentEnd => Some(self.end_of(&unit)?),
            _ => None,
        };
        let around = Around { unit: &unit, turn: now.turn(unit.key.id()), end, depth, parent: parent.as_ref() };
        let Some(moment) = home.moment(event, &around) else { return Ok(None) };
        let mut exact = now.exact(self.reader, &unit, &moment)?;
        if exact.is_none() && matches!(now.order, Order::Reel(_)) {
            // It changed while it was read: what is there now is told.
            self.sessions.remove(&*unit.session().0);
            exact = self.session(&unit)?.map(|now| now.exact(self.reader, &unit, &moment)).transpose()?.flatten();
        }
        let is_exact = exact.is_some();
        let told = exact.unwrap_or_else(|| moment.event(&around, 0, &mut now.so_far()));
        let mut about = self.about(&unit)?;
        let name = name_of(&told.detail);
        about.note(&told.detail);
        let mut data = self.data(&about, &told)?;
        if !is_exact {
            data.insert("index".to_owned(), Value::Null);
        }
        if name == EventName::Message {
            data.insert("provisional".to_owned(), json!(home.is_provisional(event)));
        }
        Ok(Some(Said { name, about, data }))
    }

    /// Where the fact is that an event tells. It may have moved since: into a section of its unit, or into another unit of its
    /// session, as when a sub-agent turns out to have run twice.
    fn home(&mut self, event: &EventRef) -> Result<Option<Home>, StoreError> {
        let Some(unit) = self.unit(event.unit)? else { return Ok(None) };
        if is_of_unit(event.told) || find(event, &unit.parts).is_some() {
            return Ok(Some(Home { unit, section: None }));
        }
        let section = match event.section {
            Some(position) => self.reader.section(event.unit, position)?,
            None => None,
        };
        if section.as_ref().is_some_and(|section| find(event, &section.parts).is_some()) {
            return Ok(Some(Home { unit, section }));
        }
        let mut home = None;
        let (id, session) = (unit.key.id(), unit.session().clone());
        self.reader.each_unit_of(&session, |unit| {
            let mut section = None;
            let mut is_here = unit.key.id() != id && find(event, &unit.parts).is_some();
            if !is_here && unit.sections.is_some() {
                self.reader.each_section(unit.key.id(), |one| {
                    is_here = find(event, &one.parts).is_some();
                    section = is_here.then_some(one);
                    if is_here { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
            }
            if !is_here {
                return Ok(ControlFlow::Continue(()));
            }
            home = Some(Home { unit: Arc::new(unit), section });
            Ok(ControlFlow::Break(()))
        })?;
        Ok(home)
    }

    /// The data of an event, with as much of its text as fits.
    fn data(&self, about: &About, told: &Event) -> Result<Map<String, Value>, StoreError> {
        let mut data = head(about, "", told.at);
        data.extend(fields(told));
        let mut piece_bytes = PIECE_BYTES_MAX;
        loop {
            let mut page = ContentPage::new(self.reader, self.archive).with_piece_bytes_max(piece_bytes);
            let content = fields(&page.content(told.source.as_ref())?);
            if piece_bytes < 256 || Value::Object(content.clone()).to_string().len() <= DATA_BYTES_MAX {
                data.extend(content);
                return Ok(data);
            }
            piece_bytes /= 8;
        }
    }

    fn unit(&mut self, id: UnitId) -> Result<Option<Arc<Unit>>, StoreError> {
        match self.units.entry(id) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(new) => Ok(new.insert(self.reader.unit(id)?.map(Arc::new)).clone()),
        }
    }

    /// The units above a sub-agent, the nearest first.
    fn chain(&mut self, unit: &Unit) -> Result<Vec<Arc<Unit>>, StoreError> {
        let mut chain: Vec<Arc<Unit>> = Vec::new();
        let mut above = unit.agent.as_ref().and_then(|agent| agent.parent);
        while let Some(id) = above.filter(|_| chain.len() < LEVELS_MAX) {
            let Some(next) = self.unit(id)? else { break };
            above = next.agent.as_ref().and_then(|agent| agent.parent);
            chain.push(next);
        }
        Ok(chain)
    }

    fn session(&mut self, unit: &Unit) -> Result<Option<Arc<SessionNow>>, StoreError> {
        let id = unit.session();
        if let Some(known) = self.sessions.get(&*id.0) {
            return Ok(known.clone());
        }
        let session = self.reader.session(id)?;
        let now = session.map(|session| SessionNow::of(session, self.reader, self.replays)).transpose()?.map(Arc::new);
        self.sessions.insert(id.0.to_string(), now.clone());
        Ok(now)
    }

    /// When and how a sub-agent ended that was told to have.
    fn end_of(&mut self, unit: &Unit) -> Result<TurnEnd, StoreError> {
        if let Some(end) = unit.end() {
            return Ok(end);
        }
        let above = match unit.agent.as_ref().and_then(|agent| agent.parent) {
            Some(parent) => self.unit(parent)?,
            None => None,
        };
        let of = ended::of_agent(unit, &|id| above.as_deref().filter(|above| above.key.id() == id));
        Ok(of.unwrap_or_else(|| ended::over(unit)))
    }

    /// What is told of a session as a whole: its workflow is that of the run that it is in, or was in last.
    fn about_session(&self, session: &Session) -> Result<About, StoreError> {
        let run = session.runs.last().map(|run| self.reader.run(*run)).transpose()?.flatten();
        let context = session.context();
        Ok(About {
            session: session.id.0.to_string(),
            project: session.project().map(shown_name),
            branch: session.branch().map(|branch| shown_name(&branch)),
            entrypoint: context.and_then(|context| context.entrypoint.as_deref()).map(shown_name),
            workflow: run.and_then(|run| run.workflow.as_deref().map(shown)),
            ..About::default()
        })
    }

    fn about(&mut self, unit: &Unit) -> Result<About, StoreError> {
        let chain = self.chain(unit)?;
        let top = chain.last().map_or(unit, |top| top);
        let text = |text: Option<&str>| text.map(shown_name);
        let of_run = unit.of_run.as_ref().or(top.of_run.as_ref());
        let agent = match &unit.agent {
            Some(agent) => agent.agent_type.as_deref().unwrap_or("unknown"),
            None => "main",
        };
        Ok(About {
            session: unit.session().0.to_string(),
            project: text(unit.context.cwd.as_deref().and_then(project_of)),
            branch: text(unit.context.branch.as_deref()),
            entrypoint: text(unit.context.entrypoint.as_deref()),
            origin: top.prompt.as_ref().map(|prompt| prompt.origin.name().to_owned()),
            agent: Some(shown_name(agent)),
            workflow: of_run.and_then(|of| of.workflow.as_deref()).map(shown),
            ..About::default()
        })
    }
}

impl SessionNow {
    fn of(session: Session, reader: &StoreReader, replays: &Replays) -> Result<Self, StoreError> {
        let tally = &session.tally;
        let calls: u64 = tally.tools.values().map(|tool| tool.calls).sum();
        let events = tally.messages() + 2 * calls + tally.turns + 2 * tally.subagents;
        let order = if events <= REEL_EVENTS_MAX {
            Order::Reel(replays.reel(reader, &session)?)
        } else {
            let mut members = Vec::new();
            reader.each_member(&session.id, |member| {
                members.push(member);
                ControlFlow::Continue(())
            })?;
            Order::Turns(Box::new(Outline::of(&members, 0)))
        };
        Ok(Self { session, order })
    }

    fn turn(&self, unit: UnitId) -> Option<usize> {
        match &self.order {
            Order::Reel(reel) => reel.outline.turn(unit),
            Order::Turns(outline) => outline.turn(unit),
        }
    }

    /// What the session has used, as far as that is known.
    fn so_far(&self) -> SoFar {
        SoFar { tokens: self.session.tally.tokens(), cost: self.session.tally.cost() }
    }

    /// The event as the replay tells it; `None` if the session is too long for that, or has changed meanwhile.
    fn exact(&self, reader: &StoreReader, unit: &Unit, moment: &Moment<'_>) -> Result<Option<Event>, StoreError> {
        let Order::Reel(reel) = &self.order else { return Ok(None) };
        let (id, kind, own) = (unit.key.id(), moment.kind(), moment.id());
        let from = reel.timeline.at(moment.at());
        let looks = (from..reel.timeline.len()).map_while(|position| Some((position, reel.timeline.look(position)?)));
        let same = looks.take_while(|(_, look)| look.at == moment.at());
        let alike: Vec<usize> =
            same.filter(|(_, look)| look.kind == kind && look.unit == id).map(|(position, _)| position).collect();
        let placed = reel.placed_events(reader, &alike)?.into_iter().find(|placed| *placed.key.id == *own);
        let Some(position) = placed.map(|placed| placed.event.index) else { return Ok(None) };
        let event = reel.events(reader, &[position])?.pop().map(|(event, _)| event);
        // Of units that changed meanwhile, another event may stand there.
        Ok(event.filter(|event| event.detail.kind() == kind && names(&event.detail, &own)))
    }
}

impl About {
    /// Adds what only the event itself knows.
    fn note(&mut self, detail: &Detail) {
        match detail {
            Detail::Message { model, .. } => self.model = Some(model.to_string()),
            Detail::ToolCall { tool, .. } => self.tool = Some(tool.to_string()),
            Detail::ToolResult { tool, .. } => self.tool = tool.as_ref().map(ToString::to_string),
            _ => {}
        }
    }
}

/// Whether a response, a call or a result has this id; true for everything else. The id of a response may have more behind it
/// than it is told with.
fn names(detail: &Detail, id: &str) -> bool {
    match detail {
        Detail::Message { message_id: own, .. } => id.starts_with(&**own),
        Detail::ToolCall { tool_call_id: own, .. } | Detail::ToolResult { tool_call_id: own, .. } => **own == *id,
        _ => true,
    }
}

/// What every event begins with.
fn head(about: &About, kind: &str, at: Timestamp) -> Map<String, Value> {
    let told = [
        ("kind", kind.into()),
        ("at", at.to_rfc3339().into()),
        ("session", json!(Some(&about.session).filter(|session| !session.is_empty()))),
        ("project", json!(about.project)),
        ("workflow", json!(about.workflow)),
    ];
    told.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
}

/// The fields of an object.
fn fields(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

const fn name_of(detail: &Detail) -> EventName {
    match detail {
        Detail::Message { .. } => EventName::Message,
        Detail::ToolCall { .. } => EventName::ToolCall,
        Detail::ToolResult { .. } => EventName::ToolResult,
        Detail::SubagentStart { .. } | Detail::SubagentEnd { .. } => EventName::Subagent,
        Detail::ApiError { .. } => EventName::ApiError,
        _ => EventName::Prompt,
    }
}

/// Where a fact is.
struct Home {
    unit: Arc<Unit>,
    /// The section that holds it; `None` for the unit itself.
    section: Option<Section>,
}

impl Home {
    /// Whether an event tells a response of which only a stream has told, and not yet how it ended: it is told by its beginning.
    fn is_provisional(&self, event: &EventRef) -> bool {
        let parts = self.section.as_ref().map_or(&self.unit.parts, |section| &section.parts);
        let mut told = parts.messages.iter().filter(|message| Identity::Message(&message.id).hash() == event.identity);
        told.any(|message| !message.in_file && message.stop.is_none())
    }

    fn moment<'m>(&'m self, event: &EventRef, around: &Around<'m>) -> Option<Moment<'m>> {
        let kind = match event.told {
            Told::Prompt => EventKind::Prompt,
            Told::SubagentStart => EventKind::SubagentStart,
            Told::SubagentEnd => EventKind::SubagentEnd,
            _ => return find(event, self.section.as_ref().map_or(&self.unit.parts, |section| &section.parts)),
        };
        moments::of_unit(around).find(|moment| moment.kind() == kind)
    }
}

/// Whether something is told of a unit as a whole.
const fn is_of_unit(told: Told) -> bool {
    matches!(told, Told::Prompt | Told::SubagentStart | Told::SubagentEnd)
}

/// The moment that an event tells, among those of some parts.
fn find<'p>(event: &EventRef, parts: &'p Parts) -> Option<Moment<'p>> {
    let (kind, hash): (EventKind, fn(&str) -> u64) = match event.told {
        Told::Message => (EventKind::Message, |id| Identity::Message(id).hash()),
        Told::ToolCall => (EventKind::ToolCall, |id| Identity::Call(id).hash()),
        Told::ToolResult => (EventKind::ToolResult, |id| Identity::Call(id).hash()),
        Told::ApiError => {
            let row = parts.rows.iter().find(|row| Identity::Row(row.id).hash() == event.identity)?;
            let id = row.id.to_string();
            return moments::of_parts(parts).find(|moment| moment.kind() == EventKind::ApiError && moment.id() == id);
        }
        _ => return None,
    };
    moments::of_parts(parts).find(|moment| moment.kind() == kind && hash(&moment.id()) == event.identity)
}
