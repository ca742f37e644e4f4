//! The time that a report is about: words like `7d` or `tuesday` as moments.

use crate::config;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::{Day, NamedPeriod, Period, Zone};

/// What a time may be, for messages.
const EXPECTED: &str = "expected a day (today, yesterday, tuesday, 2026-11-24), week, month, 2026-11, a length of time \
                        back from now (24h, 7d, 2w), an RFC 3339 time, or all";

/// A time from `since`, up to and without `until`; without an end it lasts until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Range {
    pub(in crate::cli) since: Option<Timestamp>,
    pub(in crate::cli) until: Option<Timestamp>,
}

/// The present: what words like `today` mean.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Present {
    pub(in crate::cli) now: Timestamp,
    pub(in crate::cli) zone: Zone,
}

impl Range {
    /// Its first moment, and the first one after it.
    pub(in crate::cli) const fn bounds(self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.since, self.until)
    }

    /// The range of `--since` and `--until`, or of `--on`; `since` is the default of the former. The error says which
    /// of them is wrong, and what was expected.
    pub(in crate::cli) fn of(
        present: Present,
        since: (Option<&str>, &str),
        until: Option<&str>,
        on: Option<&str>,
    ) -> Result<Self, String> {
        let read = |flag: &str, word: &str| {
            present.span(word).ok_or_else(|| format!("{flag} is {}: {EXPECTED}", config_quoted(word)))
        };
        let range = if let Some(word) = on {
            let Self { since, until } = read("--on", word)?;
            Self { since, until }
        } else {
            let (given, default) = since;
            // A range that ends before the default begins has no beginning, unless one is given.
            let until =
                until.map(|word| read("--until", word)).transpose()?.and_then(|range| range.until.or(range.since));
            let since = read("--since", given.unwrap_or(default))?.since;
            let is_empty = since.zip(until).is_some_and(|(since, until)| since >= until);
            Self { since: since.filter(|_| given.is_some() || !is_empty), until }
        };
        if range.since.is_some_and(|since| range.until.unwrap_or(present.now) <= since) {
            return Err("the time that is asked for has no moment in it: it ends before it begins".to_owned());
        }
        Ok(range)
    }

    /// The same length of time before it; `None` if it has no beginning.
    pub(in crate::cli::report) fn before(self, now: Timestamp) -> Option<Self> {
        let since = self.since?;
        let length =
            self.until.unwrap_or(now).min(now.max(since)).0.checked_sub(since.0).filter(|length| *length > 0)?;
        Some(Self { since: Some(Timestamp(since.0.checked_sub(length)?)), until: Some(since) })
    }

    /// The range in words: `Mon 2026-11-23 to Sun 2026-11-29`.
    pub(in crate::cli::report) fn words(self, present: Present) -> String {
        let Present { now, zone } = present;
        let Some(since) = self.since else {
            return self.until.map_or_else(|| "all time".to_owned(), |until| format!("until {}", present.clock(until)));
        };
        let midnight = |time: Timestamp| zone.period(Period::Day, time).is_some_and(|day| day.start == time);
        let end = self.until.unwrap_or(now);
        if midnight(since) && (self.until.is_none() || midnight(end)) {
            // The last day that belongs to it.
            let (first, last) = (present.day(since), present.day(Timestamp(end.0.saturating_sub(1))));
            return if first == last { first } else { format!("{first} to {last}") };
        }
        format!("{} to {}", present.clock(since), present.clock(end))
    }
}

/// Text of the user in quotes, for a message.
fn config_quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

impl Present {
    /// `Tue 2026-11-24`.
    pub(in crate::cli) fn day(self, time: Timestamp) -> String {
        let text = self.clock(time);
        text.rsplit_once(' ').map_or_else(|| text.clone(), |(day, _)| day.to_owned())
    }

    /// `Tue 2026-11-24 09:12`.
    pub(in crate::cli) fn clock(self, time: Timestamp) -> String {
        self.zone.shown(time).unwrap_or_else(|| time.to_rfc3339())
    }

    /// `Tue 11-24 09:12`; with the year if it is not this year.
    pub(in crate::cli) fn moment(self, time: Timestamp) -> String {
        let (text, now) = (self.clock(time), self.clock(self.now));
        let year = |text: &str| text.split([' ', '-']).nth(1).map(str::to_owned);
        match year(&text).filter(|own| year(&now).as_ref() == Some(own)) {
            Some(own) => text.replacen(&format!("{own}-"), "", 1),
            None => text,
        }
    }

    /// `09:12`.
    pub(in crate::cli) fn hour(self, time: Timestamp) -> String {
        let text = self.clock(time);
        text.rsplit_once(' ').map_or_else(|| text.clone(), |(_, hour)| hour.to_owned())
    }

    /// What a word means; `None` if it means nothing.
    fn span(self, word: &str) -> Option<Range> {
        let word = word.trim().to_ascii_lowercase();
        let within = |period, time| self.zone.period(period, time).map(whole);
        match word.as_str() {
            "all" => Some(Range { since: None, until: None }),
            "now" => Some(Range { since: Some(self.now), until: None }),
            "today" => within(Period::Day, self.now),
            "yesterday" => self.days_back(1).map(whole),
            "week" => within(Period::Week, self.now),
            "month" => within(Period::Month, self.now),
            _ => self.weekday(&word).or_else(|| self.length(&word)).or_else(|| self.date(&word)),
        }
    }

    /// The day so many days before today.
    fn days_back(self, count: u32) -> Option<NamedPeriod> {
        let mut day = self.zone.period(Period::Day, self.now)?;
        for _ in 0..count {
            day = self.zone.period(Period::Day, Timestamp(day.start.0.checked_sub(1)?))?;
        }
        Some(day)
    }

    /// The last day of that name before today: `tuesday` or `tue`.
    fn weekday(self, word: &str) -> Option<Range> {
        const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let name = NAMES.iter().find(|name| **name == word || name.get(..3) == Some(word))?;
        (1..=7).filter_map(|back| self.days_back(back)).find_map(|day| {
            let shown = self.day(day.start).to_ascii_lowercase();
            (shown.get(..3) == name.get(..3)).then(|| whole(day))
        })
    }

    /// A length of time back from now: hours and minutes to the moment, days and weeks as whole days with today as the
    /// last one.
    fn length(self, word: &str) -> Option<Range> {
        let days = |count: Option<u32>| {
            let count = count.filter(|count| (1..=4000).contains(count))?;
            Some(Range { since: Some(self.days_back(count - 1)?.start), until: None })
        };
        if let Some(count) = word.strip_suffix('d').and_then(|count| count.parse().ok()) {
            return days(Some(count));
        }
        if let Some(count) = word.strip_suffix('w').and_then(|count| count.parse::<u32>().ok()) {
            return days(count.checked_mul(7));
        }
        let milliseconds = i64::try_from(config::duration(word)?.as_millis()).ok().filter(|length| *length > 0)?;
        Some(Range { since: Some(Timestamp(self.now.0.checked_sub(milliseconds)?)), until: None })
    }

    /// A month, a day or a moment.
    fn date(self, word: &str) -> Option<Range> {
        if let Some(day) = Day::parse(word) {
            return Some(Range {
                since: Some(self.zone.midnight(day)?),
                until: Some(self.zone.midnight(day.next()?)?),
            });
        }
        if let Some(first) = Day::parse(&format!("{word}-01")) {
            return self.zone.period(Period::Month, self.zone.midnight(first)?).map(whole);
        }
        let time = Timestamp::parse(&word.to_ascii_uppercase())?;
        Some(Range { since: Some(time), until: None })
    }
}

fn whole(period: NamedPeriod) -> Range {
    Range { since: Some(period.start), until: Some(period.end) }
}
