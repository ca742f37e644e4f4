//! The limits of the account as they are known, and what of them is still to be written: a handler cannot write the state, the
//! engine takes it from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::api::state::HasReader;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::Timestamp;
use crate::views::analytics::limits::forecast::{CONFIDENCE, LimitForecast, NoForecast, forecast};
use crate::views::analytics::limits::history::{LimitHistory, NotTaken, PRESENT, RowChanges, RowWrite};
use crate::views::analytics::limits::sample::LimitSample;

/// A forecast is made anew after so many milliseconds, or when more is used.
const TOLD_MS: i64 = 60_000;

/// A context that knows limits, whatever else it holds.
pub trait HasLimits: HasReader {
    /// The limits.
    fn limits(&self) -> &SharedLimits;
}

/// What is known of the limits, shared by all handlers and the thread that writes.
#[derive(Debug, Default)]
pub struct SharedLimits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    history: LimitHistory,
    /// Rows and present looks that the state does not have yet, by window and time.
    unwritten: BTreeMap<(Arc<str>, Timestamp), Option<LimitSample>>,
    /// The forecast of each window that was made last, with what it was made of.
    told: BTreeMap<Arc<str>, Told>,
}

#[derive(Debug)]
struct Told {
    of: (u32, Option<Timestamp>, i64),
    forecast: Result<LimitForecast, NoForecast>,
}

/// A window as it is known at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitNow {
    /// The last look at it.
    pub look: LimitSample,
    /// Whether it has begun anew since, so that nobody knows what is used.
    pub is_over: bool,
    /// When it will be full, or why that is not known.
    pub forecast: Result<LimitForecast, NoForecast>,
}

impl SharedLimits {
    /// What the state has. Fails if it cannot be read.
    pub fn loaded(reader: &StoreReader) -> Result<Self, StoreError> {
        let mut known = Known::default();
        reader.each_limit(
            |look, is_present| {
                if is_present { known.history.load_present(look) } else { known.history.load(look) }
            },
        )?;
        Ok(Self(Mutex::new(known)))
    }

    /// Takes a look. Fails if it is older than what is known, or of one window too many.
    pub fn take(&self, look: LimitSample) -> Result<(), NotTaken> {
        let Known { history, unwritten, told } = &mut *self.known();
        let RowChanges { removed, added } = history.take(look.clone())?;
        for LimitSample { window, at, .. } in removed {
            if history.rows(&window).is_empty() {
                told.remove(&window);
                unwritten.insert((Arc::clone(&window), PRESENT), None);
            }
            unwritten.insert((window, at), None);
        }
        unwritten.extend(added.map(|row| ((Arc::clone(&row.window), row.at), Some(row))));
        unwritten.insert((Arc::clone(&look.window), PRESENT), Some(look));
        Ok(())
    }

    /// Every window at a moment, in the order of their names.
    #[must_use]
    pub fn now(&self, now: Timestamp) -> Vec<LimitNow> {
        let looks: Vec<LimitSample> = self.known().history.present().cloned().collect();
        looks.into_iter().map(|look| self.window(look, now)).collect()
    }

    /// The rows of a window that are kept, the earliest first.
    pub(super) fn rows<T>(&self, take: impl FnOnce(&LimitHistory) -> T) -> T {
        take(&self.known().history)
    }

    fn window(&self, look: LimitSample, now: Timestamp) -> LimitNow {
        let of = (look.used_ppm, look.resets_at, now.0.div_euclid(TOLD_MS));
        let told = self.known().told.get(&look.window).filter(|told| told.of == of).map(|told| told.forecast);
        let forecast = told.unwrap_or_else(|| {
            // Nobody waits for the lock while a forecast is made.
            let looks = self.known().history.looks(&look.window);
            let forecast = forecast(&looks, now, CONFIDENCE);
            self.known().told.insert(Arc::clone(&look.window), Told { of, forecast });
            forecast
        });
        LimitNow { is_over: look.is_over(now), look, forecast }
    }

    /// What the state does not have yet; nothing is taken out.
    #[must_use]
    pub fn unwritten(&self) -> Vec<RowWrite> {
        self.known().unwritten.iter().map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    /// Says that these rows are in the state now.
    pub fn written(&self, rows: &[RowWrite]) {
        let mut known = self.known();
        for (key, row) in rows {
            if known.unwritten.get(key) == Some(row) {
                known.unwritten.remove(key);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A poisoned lock can be used: each look is put in as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
