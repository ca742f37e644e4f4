//! The rows of a table out of the state, session by session: no more than one session is in memory.

use std::io;
use std::ops::ControlFlow;

use crate::http::api::analytics::cells::CellsNow;
use crate::http::api::sessions::latest_first;
use crate::ledger::session::reported;
use crate::ledger::unit::Unit;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::index::{SessionMatch, SessionQuestion};
use crate::views::analytics::reach::reached;
use crate::views::tables::around::{Asked, Names};
use crate::views::tables::column::Row;
use crate::views::tables::rows::SessionRows;
use crate::views::tables::sessions::SessionRow;
use crate::views::tables::table::Table;

/// Where rows go.
pub(super) trait TakeRows {
    /// Takes a row. Fails if what was written so far cannot be passed on.
    fn row(&mut self, row: &dyn Row) -> io::Result<()>;

    /// A moment between two sessions. Fails if nobody reads any more.
    fn pause(&mut self) -> io::Result<()>;
}

/// The rows of a table, which are not read yet.
pub(super) struct TableRows {
    pub(super) reader: StoreReader,
    pub(super) table: Table,
    pub(super) asked: Asked,
    /// The sessions in the order of their rows.
    pub(super) sessions: Vec<SessionId>,
}

/// The sessions that have rows of a table, in the order of their rows: in the table of sessions that of the list, and in
/// every other in order of time.
pub(super) fn sessions(
    cells: &CellsNow<'_>,
    table: Table,
    asked: &Asked,
    started: Window,
    now: Timestamp,
) -> Vec<SessionId> {
    let cube = cells.cube();
    if table == Table::Sessions {
        let question = SessionQuestion { filter: asked.filter.clone(), ..SessionQuestion::default() };
        let wanted = SessionMatch::of(question, &cube.names);
        let mut found: Vec<(i128, &SessionId)> = cube
            .sessions()
            .filter(|(id, one)| wanted.takes(&id.0, &one.entry, &one.cells.units))
            .filter(|(_, one)| started == Window::default() || one.entry.started.is_some_and(|at| started.has(at)))
            .map(|(id, one)| (latest_first(&one.entry, now), id))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        return found.into_iter().map(|(_, id)| id.clone()).collect();
    }
    let mut found: Vec<(Option<Timestamp>, &SessionId)> =
        reached(cube, &asked.filter).map(|(id, one)| (one.entry.started, id)).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id.clone()).collect()
}

impl TableRows {
    /// Gives every row to `take`, in order. Fails if the state cannot be read, or if a row cannot be taken.
    pub(super) fn each(&self, take: &mut dyn TakeRows) -> io::Result<()> {
        let mut names = Names::default();
        for session in &self.sessions {
            if self.table == Table::Sessions {
                self.session(session, take)?;
            } else {
                self.units(session, &mut names, take)?;
            }
            take.pause()?;
        }
        Ok(())
    }

    fn session(&self, id: &SessionId, take: &mut dyn TakeRows) -> io::Result<()> {
        let Some(session) = self.reader.session(id).map_err(io::Error::other)? else { return Ok(()) };
        let fork = session.fork.as_ref().map(|fork| self.reader.source(&fork.from));
        let source = fork.transpose().map_err(io::Error::other)?.flatten();
        let account = reported(&session, source.as_ref());
        take.row(&SessionRow::of(session, account, &self.asked.host))
    }

    fn units(&self, session: &SessionId, names: &mut Names, take: &mut dyn TakeRows) -> io::Result<()> {
        let mut members = Vec::new();
        let found = self.reader.each_member(session, |member| {
            members.push(member);
            ControlFlow::Continue(())
        });
        found.map_err(io::Error::other)?;
        let mut rows = SessionRows::of(self.table, &self.asked, &members, names);
        if rows.needs_origins() {
            let found = self.reader.each_unit_of(session, |unit| {
                rows.origin(&unit);
                Ok(ControlFlow::Continue(()))
            });
            found.map_err(io::Error::other)?;
        }
        let found = self.reader.each_unit_of(session, |unit| {
            self.unit(unit, &mut rows)?;
            Ok(ControlFlow::Continue(()))
        });
        found.map_err(io::Error::other)?;
        rows.give(|row| take.row(row))
    }

    fn unit(&self, mut unit: Unit, rows: &mut SessionRows<'_>) -> Result<(), StoreError> {
        if rows.needs_whole() && unit.sections.is_some() {
            unit = self.reader.joined(unit)?;
        }
        let Some(around) = rows.unit(&unit).filter(|_| unit.sections.is_some() && rows.needs_sections()) else {
            return Ok(());
        };
        self.reader.each_section(unit.key.id(), |section| {
            rows.parts(&around, &section.parts);
            ControlFlow::Continue(())
        })
    }
}
