//! Limits the number of connections: each has a seat, and idle connections are closed when there are too few seats.
//!
//! A connection is busy from the head of a request until the last byte of its answer was written, and idle otherwise: a
//! client that has said nothing yet is idle too. While a new connection finds no free seat, the one that is idle
//! longest is asked to leave, so that clients that keep their connections open for later cannot keep a scraper out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All seats of a server.
pub(in crate::http) struct Seats {
    table: Mutex<SeatTable>,
    seats_max: usize,
    /// Notified when a seat became free or its connection idle.
    changed: Notify,
}

#[derive(Default)]
struct SeatTable {
    /// A counter that numbers seats and the moments at which they became idle.
    next: u64,
    taken: HashMap<u64, Taken>,
}

struct Taken {
    requests: usize,
    /// True while its client stays: it takes no seat from others then.
    stays: bool,
    idle_since: u64,
    asked: bool,
    bell: Arc<Notify>,
}

/// The seat of one connection. Dropping it makes the seat free.
pub(in crate::http) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    bell: Arc<Notify>,
}

/// Marks a connection as busy with one request until it is dropped.
pub(in crate::http) struct Busy {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    pub(in crate::http) fn new(seats_max: usize) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), seats_max, changed: Notify::new() })
    }

    /// Waits for the next free seat, and asks idle connections to leave until there is one. Only one caller may wait at
    /// a time.
    pub(in crate::http) async fn take(self: &Arc<Self>) -> Seat {
        loop {
            if let Some(seat) = self.try_take() {
                return seat;
            }
            self.changed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Seat> {
        let mut table = self.table();
        let stay = table.taken.values().filter(|taken| taken.stays).count();
        if table.taken.len() - stay >= self.seats_max {
            let idle = table.taken.values_mut().filter(|taken| taken.requests == 0 && !taken.asked);
            if let Some(longest) = idle.min_by_key(|taken| taken.idle_since) {
                longest.ask_to_leave();
            }
            return None;
        }
        let (number, bell) = (table.tick(), Arc::new(Notify::new()));
        let taken = Taken { requests: 0, stays: false, idle_since: number, asked: false, bell: Arc::clone(&bell) };
        table.taken.insert(number, taken);
        Some(Seat { seats: Arc::clone(self), number, bell })
    }

    /// Asks every connection to leave.
    pub(in crate::http) fn clear(&self) {
        self.table().taken.values_mut().for_each(Taken::ask_to_leave);
    }

    fn table(&self) -> MutexGuard<'_, SeatTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatTable {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Taken {
    fn ask_to_leave(&mut self) {
        self.asked = true;
        self.bell.notify_one();
    }
}

impl Seat {
    /// Marks the connection as busy with one more request.
    pub(in crate::http) fn busy(&self) -> Busy {
        if let Some(taken) = self.seats.table().taken.get_mut(&self.number) {
            taken.requests += 1;
        }
        Busy { seats: Arc::clone(&self.seats), number: self.number }
    }

    pub(in crate::http) fn is_idle(&self) -> bool {
        self.seats.table().taken.get(&self.number).is_none_or(|taken| taken.requests == 0)
    }

    /// Waits until this connection is asked to leave.
    pub(in crate::http) async fn asked_to_leave(&self) {
        self.bell.notified().await;
    }
}

impl Busy {
    /// Marks the connection as one whose client stays, until this is dropped. Its seat is free for another one.
    pub(in crate::http) fn stays(&self) {
        if let Some(taken) = self.seats.table().taken.get_mut(&self.number) {
            taken.stays = true;
        }
        self.seats.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().taken.remove(&self.number);
        self.seats.changed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut table = self.seats.table();
        let now = table.tick();
        if let Some(taken) = table.taken.get_mut(&self.number) {
            taken.requests -= 1;
            taken.stays = false;
            taken.idle_since = now;
        }
        drop(table);
        self.seats.changed.notify_one();
    }
}
