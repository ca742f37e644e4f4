//! Hours, days, weeks and months in a time zone, as runs of quarter hours.
//!
//! Since 1973 offsets from UTC are multiples of a quarter hour, and clocks change at one. So every day, also one of 23 or 25
//! hours, is a whole number of quarter hours of UTC, and sums of quarter hours add up to it.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::transcript::time::Timestamp;

/// Length of a quarter hour in milliseconds.
pub const QUARTER_MS: i64 = 900_000;

/// A quarter hour, counted from 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Quarter(pub i32);

impl Quarter {
    /// The quarter hour in which a time lies. Times beyond the year 63000 or so lie in the last one.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let clamped = time.0.div_euclid(QUARTER_MS).clamp(i32::MIN.into(), i32::MAX.into());
        Self(i32::try_from(clamped).unwrap_or(i32::MAX))
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * QUARTER_MS)
    }
}

/// A length of time by which sums are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From one full hour of the local clock to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// An ISO 8601 week, from Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// Reads a day in the form `2026-11-22`; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text).map(Self)
    }

    /// Its place in the week, from 0 for Monday to 6.
    #[must_use]
    pub fn weekday(self) -> usize {
        usize::try_from(self.0.weekday().num_days_from_monday()).unwrap_or(0)
    }

    /// The day after it; `None` at the end of the calendar.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.succ_opt().map(Self)
    }

    /// The day so many days before it; `None` at the end of the calendar.
    #[must_use]
    pub fn before(self, days: u64) -> Option<Self> {
        self.0.checked_sub_days(Days::new(days)).map(Self)
    }

    /// How many days later it is than another; below 0 if it is earlier.
    #[must_use]
    pub fn since(self, other: Self) -> i64 {
        self.0.signed_duration_since(other.0).num_days()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone with a name of the IANA database, for example `Europe/Berlin`, in any case of its letters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Tz::from_str_insensitive(name).ok().map(Self)
    }

    /// Its name in the IANA database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Every name of the IANA database.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The first moment of a day; where midnight is left out, because clocks go forward, the first moment after it.
    /// `None` for a day that no calendar has.
    #[must_use]
    pub fn midnight(self, day: Day) -> Option<Timestamp> {
        self.first(day.0.and_time(NaiveTime::MIN))
    }

    /// The first moment at which the local clock shows `local` or later.
    fn first(self, local: NaiveDateTime) -> Option<Timestamp> {
        // Clocks never go forward by more than a day.
        let quarters = (0..=96).map(|quarters| local.checked_add_signed(TimeDelta::minutes(15 * quarters)));
        let found = quarters.flatten().find_map(|local| self.0.from_local_datetime(&local).earliest());
        found.map(|time| Timestamp(time.timestamp_millis()))
    }

    /// The day in which a time lies; `None` for a time that no calendar has.
    #[must_use]
    pub fn day(self, time: Timestamp) -> Option<Day> {
        self.local(time).map(|local| Day(local.date_naive()))
    }

    fn local(self, time: Timestamp) -> Option<DateTime<Tz>> {
        DateTime::<Utc>::from_timestamp_millis(time.0).map(|utc| utc.with_timezone(&self.0))
    }

    /// What a calendar and a clock on the wall show: `Tue 2026-11-24 09:12`. `None` for a time that no calendar has.
    #[must_use]
    pub fn shown(self, time: Timestamp) -> Option<String> {
        Some(self.local(time)?.format("%a %Y-%m-%d %H:%M").to_string())
    }

    /// The day and what a clock on the wall shows, to the second: `2026-11-24 09:12:33`. `None` for a time that no calendar
    /// has.
    #[must_use]
    pub fn clock(self, time: Timestamp) -> Option<String> {
        Some(self.local(time)?.format("%Y-%m-%d %H:%M:%S").to_string())
    }

    /// The period in which a time lies: its first moment, the first moment after it, and its name. `None` for a time
    /// that no calendar has.
    #[must_use]
    pub fn period(self, period: Period, time: Timestamp) -> Option<NamedPeriod> {
        let local = self.local(time)?;
        let date = local.date_naive();
        let days = |from: NaiveDate, until: NaiveDate, name: String| {
            Some(NamedPeriod { start: self.midnight(Day(from))?, end: self.midnight(Day(until))?, name })
        };
        match period {
            Period::Hour => {
                let offset = i64::from(local.offset().fix().local_minus_utc()) * 1000;
                let start = (time.0 + offset).div_euclid(HOUR_MS) * HOUR_MS - offset;
                // A change of the clock within the hour ends it.
                let (start, end) = self.same_offset(start, time.0, start + HOUR_MS, offset);
                let name = self.local(Timestamp(start))?.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                Some(NamedPeriod { start: Timestamp(start), end: Timestamp(end), name })
            }
            Period::Day => days(date, date.checked_add_days(Days::new(1))?, date.format("%Y-%m-%d").to_string()),
            Period::Week => {
                let monday = date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?;
                let week = date.iso_week();
                let name = format!("{:04}-W{:02}", week.year(), week.week());
                days(monday, monday.checked_add_days(Days::new(7))?, name)
            }
            Period::Month => {
                let first = date.with_day(1)?;
                let next = first.checked_add_months(chrono::Months::new(1))?;
                days(first, next, first.format("%Y-%m").to_string())
            }
        }
    }

    /// The part of `start..end` around `time` in which the offset from UTC is that of `time`.
    fn same_offset(self, start: i64, time: i64, end: i64, offset: i64) -> (i64, i64) {
        let has_it = |at: i64| {
            let local = self.local(Timestamp(at));
            local.is_some_and(|local| i64::from(local.offset().fix().local_minus_utc()) * 1000 == offset)
        };
        let quarters = |from: i64, until: i64| (from..until).step_by(usize::try_from(QUARTER_MS).unwrap_or(1));
        let begin = quarters(start, time + 1).find(|at| has_it(*at)).unwrap_or(start);
        let end = quarters(begin, end).find(|at| *at > time && !has_it(*at)).unwrap_or(end);
        (begin, end)
    }
}

/// One period of a zone, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPeriod {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// `2026-11-22` for a day, `2026-W47` for a week, `2026-11` for a month; an hour is named by its first moment in
    /// RFC 3339 with the offset of the zone.
    pub name: String,
}

/// Length of an hour in milliseconds.
const HOUR_MS: i64 = 4 * QUARTER_MS;
