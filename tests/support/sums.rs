//! What is kept of units and sessions so that nobody has to read all of them, held against all of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tailspan::ledger::gist::Gist;
use tailspan::ledger::known::Changed;
use tailspan::ledger::session::{Member, Session};
use tailspan::ledger::tally::Tally;
use tailspan::ledger::unit::{Unit, UnitId};
use tailspan::store::StoreReader;
use tailspan::views::analytics::cells::Cells;
use tailspan::views::analytics::session_cells::StoredUnit;
use tailspan::views::traces::tree::TurnOrder;

/// Every sum in the state is the sum of what it stands for.
pub(crate) fn check(reader: &StoreReader, said: &str) {
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    let mut units: BTreeMap<UnitId, Unit> = BTreeMap::new();
    for session in &sessions {
        units.extend(check_session(reader, session, said));
    }
    for unit in units.values() {
        check_below(unit, &units, said);
    }
}

/// Returns the units of the session, as they are stored.
fn check_session(reader: &StoreReader, session: &Session, said: &str) -> BTreeMap<UnitId, Unit> {
    let (mut members, mut units) = (Vec::new(), BTreeMap::new());
    reader
        .each_member(&session.id, |member| {
            members.push(member);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(members.is_sorted_by_key(|unit| (!unit.turn, unit.first)), "{said}: the turns first, in order");
    for member in &members {
        let unit = reader.unit(member.unit).unwrap().unwrap();
        assert_eq!(unit.session(), &session.id, "{said}: a unit is listed where it belongs");
        assert_eq!(*member, Member::of(&unit), "{said}");
        check_sections(reader, &unit, said);
        units.insert(member.unit, unit);
    }
    check_cells(reader, session, &units, said);
    let mut tally = Tally::default();
    units.values().for_each(|unit| tally.add(&unit.tally()));
    assert_eq!(session.tally, tally, "{said}: session {}", session.id);
    assert_eq!(session.spoken, units.values().filter(|unit| unit.spoken).count() as u64, "{said}");
    assert_eq!(session.resumes, units.values().filter(|unit| unit.resumes).count() as u64, "{said}");
    assert!(!session.is_loose, "{said}");
    let mut tight = session.clone();
    let context = |unit| Ok::<_, ()>(units.get(&unit).map(|unit: &Unit| unit.context.clone()));
    tight.tighten(&members, context).unwrap();
    assert_eq!(*session, tight, "{said}: how a session begins and ends");
    let (order, stored) = (TurnOrder::among(units.values()), reader.turn_order(&session.id).unwrap());
    for turn in units.values().filter(|unit| unit.is_turn()) {
        let (earlier, found) = (order.earlier(turn), reader.earlier(session, turn, &stored).unwrap());
        assert_eq!((found.turns, found.latest), (earlier.turns, earlier.latest), "{said}");
    }
    units
}

/// The stored cells are those of the parts that are stored.
fn check_cells(reader: &StoreReader, session: &Session, units: &BTreeMap<UnitId, Unit>, said: &str) {
    assert!(reader.version().has_all_cells, "{said}");
    let stored = reader.cells_of(&session.id).unwrap();
    assert_eq!(stored.len(), units.len(), "{said}");
    for StoredUnit { member, cells } in stored {
        let unit = &units[&member.unit];
        let mut own = vec![(None, Cells::of(&Changed::new(unit)))];
        reader
            .each_section(member.unit, |section| {
                own.push((Some(section.position), Cells::of_parts(&section.parts)));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(cells, own, "{said}: the cells of {:?}", unit.key);
    }
}

fn check_sections(reader: &StoreReader, unit: &Unit, said: &str) {
    let whole = reader.whole(unit.key.id()).unwrap().unwrap();
    let Some(sections) = &unit.sections else {
        return assert_eq!(whole, *unit, "{said}");
    };
    assert!(unit.parts.is_empty(), "{said}: all parts of a long unit lie in sections");
    let (mut count, mut ready, mut unsent) = (0, Vec::new(), Vec::new());
    reader
        .each_section(unit.key.id(), |section| {
            assert_eq!((section.of, section.position), (unit.key.id(), count), "{said}");
            let gist = Gist::of(&section.parts);
            ready.extend((gist.ready > 0).then_some(count));
            unsent.extend((gist.unsent > 0).then_some(count));
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(sections.count, count, "{said}");
    assert_eq!(sections.ready.iter().collect::<Vec<_>>(), ready, "{said}");
    assert_eq!(sections.unsent.iter().collect::<Vec<_>>(), unsent, "{said}");
    assert_eq!(sections.tally, Tally::of(&whole.parts), "{said}");
    compare(&sections.gist, &Gist::of(&whole.parts), said);
}

fn check_below(unit: &Unit, units: &BTreeMap<UnitId, Unit>, said: &str) {
    let mut below = Gist::default();
    for agent in units.values().filter(|agent| agent.leaves_with() == Some(unit.key.id())) {
        below.add(&agent.gist_with_below());
    }
    compare(unit.below.as_deref().unwrap_or(&Gist::default()), &below, said);
}

/// Times may be too late where that is said.
fn compare(kept: &Gist, found: &Gist, said: &str) {
    if kept.is_loose || found.is_loose {
        assert!(kept.latest >= found.latest, "{said}");
        let (latest, response, gave_up, is_loose) = (None, None, None, false);
        let sums = |gist: &Gist| Gist { latest, response, gave_up, is_loose, ..*gist };
        return assert_eq!(sums(kept), sums(found), "{said}");
    }
    assert_eq!(kept, found, "{said}");
}
