//! Times of rows, against a calendar that somebody else wrote.

use chrono::DateTime;
use tailspan::transcript::time::Timestamp;

fn theirs(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| Timestamp(time.timestamp_millis()))
}

#[test]
fn every_date_is_the_calendars_date() {
    for year in [0, 1, 4, 100, 400, 1582, 1600, 1899, 1900, 1969, 1970, 1999, 2000, 2023, 2024, 2026, 2100, 9999] {
        for month in 0..=13 {
            for day in 0..=32 {
                let text = format!("{year:04}-{month:02}-{day:02}T23:59:58.007Z");
                assert_eq!(Timestamp::parse(&text), theirs(&text), "{text}");
            }
        }
    }
}

#[test]
fn no_time_of_day_is_made_up() {
    for clock in ["24:00:00.000", "00:60:00.000", "00:00:61.000", "0a:00:00.000", "00:00:00.0:0", "-1:00:00.000"] {
        let text = format!("2026-11-24T{clock}Z");
        assert_eq!(Timestamp::parse(&text), theirs(&text), "{text}");
    }
    let offset = "2026-11-24T01:00:00.5+01:00";
    assert_eq!(Timestamp::parse(offset).unwrap().to_rfc3339(), "2026-11-24T00:00:00.500Z");
}
