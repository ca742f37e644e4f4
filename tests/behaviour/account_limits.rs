//! Limits of the account: what a status line tells is kept, shown in metrics and answers, and said in words.

use serde_json::{Value, json};
use tailspan::http::api::limits::kept::{LimitNow, SharedLimits};
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::limits::forecast::{CONFIDENCE, NoForecast, forecast};
use tailspan::views::analytics::limits::history::{LimitHistory, NotTaken, PRESENT};
use tailspan::views::analytics::limits::sample::{LimitSample, samples, short_name, told as told_of};
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::http::{Reply, assert_problem, get, request};
use crate::support::reports::tailspan;

/// Where nobody answers.
const NOBODY: &str = "127.0.0.1:9";

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2026-11-30T10:00:00Z, a Monday.
const TEN: Timestamp = Timestamp(1_796_032_800_000);

fn at(minutes: i64) -> Timestamp {
    Timestamp(TEN.0 + minutes * MINUTE)
}

/// A look at the five hours that end at 15:00, so many minutes after ten.
fn look(minutes: i64, percent: u32) -> LimitSample {
    let resets_at = Some(Timestamp(TEN.0 + 5 * HOUR));
    LimitSample { window: "five_hour".into(), used_ppm: percent * 10_000, resets_at, at: at(minutes) }
}

/// What all windows of a scrape look like, for other tests of scrapes.
pub(crate) fn shown() -> Vec<LimitNow> {
    let full = forecast(&(0..40).map(|step| look(step * 4, step as u32 * 2)).collect::<Vec<_>>(), at(156), CONFIDENCE);
    vec![LimitNow { look: look(156, 78), is_over: false, forecast: full }]
}

/// The windows that a text tells at ten: name, millionths, reset.
fn read(told: Value) -> Vec<(String, u32, Option<String>)> {
    let all = samples(&json!({ "rate_limits": told }), TEN).into_iter();
    all.map(|look| (look.window.to_string(), look.used_ppm, look.resets_at.map(Timestamp::to_rfc3339))).collect()
}

#[test]
fn windows_are_read_in_every_form_that_clients_have_written() {
    let three = "2026-11-30T15:00:00.000Z".to_owned();
    let five = |used, reset: Option<&String>| vec![("five_hour".to_owned(), used, reset.cloned())];
    let reset = TEN.0 / 1000 + 5 * 3600;
    assert_eq!(read(json!({"five_hour": {"used_percentage": 23.5, "resets_at": reset}})), five(235_000, Some(&three)));
    assert_eq!(
        read(json!({"five_hour": {"used_percentage": "62%", "resets_at": reset.to_string()}})),
        five(620_000, Some(&three))
    );
    assert_eq!(
        read(json!({"five_hour": {"used_percentage": 0, "resets_at": "2026-11-30T15:00:00Z"}})),
        five(0, Some(&three))
    );
    assert_eq!(
        read(json!({"five_hour": {"used_percentage": 7, "resets_at": reset * 1000}})),
        five(70_000, Some(&three))
    );
    assert_eq!(read(json!({"five_hour": {"used_percentage": 7}})), five(70_000, None));
    assert_eq!(read(json!({"five_hour": {"used_percentage": 7, "resets_at": null, "more": []}})), five(70_000, None));
    // Version 2.1.118 wrote the time of the reset where the percentage belongs.
    for nothing in [
        json!({"five_hour": {"used_percentage": 1_776_950_400, "resets_at": 1_776_950_400}}),
        json!({"five_hour": {"used_percentage": null}}),
        json!({"five_hour": {"used_percentage": -1}}),
        json!({"five_hour": {"used_percentage": "NaN"}}),
        json!({"five_hour": 5}),
        json!({"five_hour": null}),
        // It has begun anew since, or will in a year.
        json!({"five_hour": {"used_percentage": 5, "resets_at": TEN.0 / 1000}}),
        json!({"five_hour": {"used_percentage": 5, "resets_at": "2027-11-30T15:00:00Z"}}),
        json!({"five_hour": {"used_percentage": 5, "resets_at": "soon"}}),
        json!({"Five Hour": {"used_percentage": 5}}),
        json!([1, 2]),
        json!({}),
    ] {
        assert_eq!(read(nothing.clone()), [], "{nothing}");
    }
    let others = json!({"seven_day": {"used_percentage": 41.2}, "seven_day_opus": {"used_percentage": 3}});
    assert_eq!(read(others).len(), 2);
    let many: Value = (0..30).map(|nth| (format!("window_{nth}"), json!({"used_percentage": 1}))).collect();
    assert_eq!(read(many).len(), 8);
    assert_eq!(["five_hour", "seven_day", "seven_day_opus", "other"].map(short_name), ["5h", "7d", "7d opus", "other"]);
}

#[test]
fn what_an_idle_session_tells_takes_nothing_back() {
    let mut history = LimitHistory::default();
    let mut take = |look: LimitSample| history.take(look).is_ok();
    assert!(take(look(0, 20)) && take(look(1, 35)));
    // Another session goes on telling what was true before, and a third what is true of the run before.
    assert!(!take(look(2, 20)));
    assert!(!take(LimitSample { resets_at: Some(at(60)), ..look(3, 90) }));
    assert!(!take(look(0, 50)), "it was told before what is known");
    assert!(take(look(4, 35)) && take(look(5, 36)));
    // The reset may be told a second later, and the next run begins low.
    assert!(take(LimitSample { resets_at: Some(Timestamp(TEN.0 + 5 * HOUR + 1000)), ..look(6, 36) }));
    assert!(take(LimitSample { resets_at: Some(at(620)), ..look(320, 1) }));
    let present: Vec<_> = history.present().map(|look| (look.used_ppm, look.at)).collect();
    assert_eq!(present, [(10_000, at(320))]);
    // Without resets, whatever comes last counts.
    let mut history = LimitHistory::default();
    let bare = |minutes, percent| LimitSample { resets_at: None, ..look(minutes, percent) };
    assert!(history.take(bare(0, 80)).is_ok() && history.take(bare(1, 3)).is_ok());
}

#[test]
fn rows_are_thinned_and_what_is_removed_is_told() {
    let (mut history, mut rows, mut written) = (LimitHistory::default(), Vec::new(), 0);
    // Two hours of a status line that is drawn every ten seconds: half an hour more and more, then the same.
    for second in (0..7200).step_by(10) {
        let percent = (second / 60).min(30);
        let look = LimitSample { at: Timestamp(TEN.0 + i64::from(second) * 1000), ..look(0, percent as u32) };
        let changes = history.take(look).unwrap();
        for row in &changes.removed {
            let place = rows.iter().position(|known| known == row).expect("it was a row");
            rows.remove(place);
        }
        written += changes.added.iter().len();
        rows.extend(changes.added);
    }
    assert_eq!(history.rows("five_hour"), rows);
    assert!(written < 130 && (35..60).contains(&rows.len()), "{written} {}", rows.len());
    // What was loaded from them is what is known.
    let mut loaded = LimitHistory::default();
    rows.iter().rev().cloned().for_each(|row| loaded.load(row));
    assert_eq!(loaded.rows("five_hour"), rows);
    // After 90 days a row is gone.
    let late = LimitSample { resets_at: None, at: Timestamp(TEN.0 + 91 * 24 * HOUR), ..look(0, 1) };
    assert_eq!(history.take(late).unwrap().removed.len(), rows.len());
}

#[test]
fn an_even_pace_is_full_when_it_says_and_what_nobody_knows_is_not_told() {
    // Three days of the same five hours, two percent every four minutes for two hours and a half.
    let mut looks = Vec::new();
    for day in 0..3 {
        let begin = day * 24 * 60;
        looks.extend(
            (0..40).map(|step| LimitSample {
                resets_at: Some(at(begin + 300)),
                ..look(begin + step * 4, step as u32 * 2)
            }),
        );
    }
    let today: Vec<LimitSample> =
        looks.iter().take(80).cloned().chain(looks.iter().skip(80).take(26).cloned()).collect();
    let now = today.last().unwrap().at;
    let told = forecast(&today, now, CONFIDENCE).unwrap();
    // Half is used after a hundred minutes. At that pace the rest takes as long, but nobody went on for so long before.
    let [low, middle, high] = told.used_at_reset;
    assert!(0.5 <= low && (0.7..1.1).contains(&middle) && high > 1.0, "{told:?}");
    let ahead = told.earliest.unwrap().0 - now.0;
    assert!((20 * MINUTE..125 * MINUTE).contains(&ahead) && told.latest.is_none(), "{told:?}");
    let fail = |looks: &[LimitSample], now| forecast(looks, now, CONFIDENCE).unwrap_err();
    assert_eq!(fail(&today, at(2 * 1440 + 301)), NoForecast::Over);
    assert_eq!(fail(&today, Timestamp(now.0 + 20 * MINUTE)), NoForecast::Old(20 * 60_000));
    assert_eq!(fail(&[], now), NoForecast::FewLooks(0));
    assert_eq!(fail(&[look(0, 10)], TEN), NoForecast::FewLooks(1));
    assert_eq!(fail(&[LimitSample { resets_at: None, ..look(0, 10) }], TEN), NoForecast::Endless);
    let some = LimitSample { window: "some".into(), ..look(0, 10) };
    assert_eq!(fail(std::slice::from_ref(&some), TEN), NoForecast::Lengthless);
    assert_eq!(fail(std::slice::from_ref(&some), at(300)), NoForecast::Over);
    assert_eq!(fail(&[LimitSample { resets_at: None, ..some }], TEN), NoForecast::Endless);
    for reason in [NoForecast::Over, NoForecast::Endless, NoForecast::Lengthless, NoForecast::FewLooks(1)] {
        assert!(!reason.reason().is_empty());
    }
    assert_eq!(NoForecast::Old(1_200_000).reason(), "the last look is 20m 0s old");
    // What is full is full since it was first seen.
    let full = forecast(&[look(0, 90), look(7, 100), look(12, 100)], at(12), CONFIDENCE).unwrap();
    assert_eq!((full.full_at, full.earliest, full.latest), (Some(at(7)), Some(at(7)), Some(at(7))));
}

#[test]
fn a_window_that_has_begun_anew_has_no_ratio_until_it_is_told() {
    let limits = SharedLimits::default();
    assert_eq!(limits.take(look(0, 62)), Ok(()));
    let known = |now| limits.now(now).remove(0);
    assert!(!known(at(299)).is_over && known(at(300)).is_over);
    assert_eq!(known(at(300)).forecast, Err(NoForecast::Over));
    assert_eq!(limits.take(LimitSample { resets_at: Some(at(700)), ..look(400, 2) }), Ok(()));
    assert_eq!((known(at(400)).is_over, known(at(400)).look.used_ppm), (false, 20_000));
}

/// A sidecar without sessions.
struct Side {
    daemon: Daemon,
    folder: TempDir,
}

impl Side {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("projects")).unwrap();
        Self { daemon: Self::daemon(&folder), folder }
    }

    fn daemon(folder: &TempDir) -> Daemon {
        let daemon = Daemon::start(&folder.path().join("projects"), &folder.path().join("state"), &[]);
        daemon.metrics();
        daemon
    }

    fn tell(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        request(self.daemon.address, "POST", "/api/v1/limits", headers, body.as_bytes())
    }

    fn limits(&self, query: &str) -> Value {
        get(self.daemon.address, &format!("/api/v1/analytics/limits{query}")).json()
    }
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// What a client tells that has used 62 % of a window which ends in so many seconds.
fn told(ends_in: i64, percent: f64) -> (Value, i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let reset = i64::try_from(now).unwrap() + ends_in;
    (
        json!({"session_id": "a1", "model": {"id": "claude-opus-4-5", "display_name": "Opus"}, "rate_limits": {
        "five_hour": {"used_percentage": percent, "resets_at": reset}}}),
        reset,
    )
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn a_status_line_hands_limits_over_and_they_live_through_a_kill() {
    let side = Side::start();
    assert_eq!(side.limits("")["windows"], json!([]));
    let (client, reset) = told(9000, 62.0);
    let address = side.daemon.address.to_string();
    let line = |format: &str, input: &str| {
        let more = ["statusline", "--listen", &address, "--patience", "10s", "--format", format];
        tailspan(&more, &[], input).text.trim_end().to_owned()
    };
    // The line does not show limits, and hands them over all the same.
    assert_eq!(line("{model}", &client.to_string()), "Opus");
    let metrics = side.daemon.metrics();
    let series = |name: &str| value(&metrics, &format!("tailspan_limit_{name}{{window=\"five_hour\"}} "));
    assert_eq!(series("used_ratio"), Some(0.62));
    assert_eq!(series("reset_timestamp_seconds"), Some(reset as f64));
    assert!(series("sample_timestamp_seconds").is_some_and(|at| at < reset as f64 && at > reset as f64 - 9100.0));
    // Nothing is known of earlier looks, so nobody knows when it is full.
    assert_eq!(series("full_timestamp_seconds"), None);
    // A session that is not told any limits yet shows what the sidecar knows.
    let clock = Timestamp(reset * 1000).to_rfc3339()[11..16].to_owned();
    assert_eq!(line("{limit} | {limit_7d}", "{}"), format!("5h 62% until {clock}"));
    assert_eq!(line("{limit_5h}", &told(9000, 63.4).0.to_string()), format!("5h 63% until {clock}"));
    let kept = side.limits("");
    assert_eq!(kept["history"].as_array().unwrap().len(), 2, "{kept}");
    // The end writes what is not written yet; a kill comes after the next look at the files at the earliest.
    assert_eq!(side.daemon.stop(), Some(0));
    let mut daemon = Side::daemon(&side.folder);
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let side = Side { daemon: Side::daemon(&side.folder), folder: side.folder };
    let again = side.limits("?window=five_hour&window=other");
    assert_eq!((&again["windows"][0]["used_ratio"], &again["history"]), (&json!(0.634), &kept["history"]));
    assert_eq!(side.limits("?limit=1")["history"].as_array().unwrap().len(), 1);
    assert_eq!(side.limits("?limit=1")["history_omitted"], 1);
    assert_eq!(side.limits("?since=2020-01-01&until=2020-01-02")["history"], json!([]));
    assert_eq!(side.limits("?window=seven_day")["windows"], json!([]));
}

#[test]
fn what_may_not_be_told_is_refused() {
    let side = Side::start();
    let (client, _) = told(9000, 10.0);
    let body = client.to_string();
    assert_problem(&side.tell(&[], &body), 415, "application/json");
    assert_problem(&side.tell(&[("Content-Type", "text/plain")], &body), 415, "application/json");
    let foreign = [JSON[0], ("Origin", "https://evil.example")];
    assert_problem(&side.tell(&foreign, &body), 403, "another site");
    assert_problem(&side.tell(&JSON, "[1"), 400, "the body cannot be read");
    assert_problem(&side.tell(&JSON, "{\"rate_limits\": 5}"), 400, "the body cannot be read");
    assert_problem(&side.tell(&JSON, &format!("{{\"x\": \"{}\"}}", "y".repeat(70_000))), 413, "");
    assert_eq!(side.limits("")["windows"], json!([]));
    // What cannot be read of it is left out, and what is older is not taken.
    assert_eq!(side.tell(&JSON, "{}").json()["accepted"], 0);
    let unread = side.tell(&JSON, "{\"rate_limits\": {\"five_hour\": [], \"seven_day\": {}}}").json();
    assert_eq!(
        (&unread["accepted"], &unread["refused"]["seven_day"]),
        (&json!(0), &json!("`used_percentage` is no percentage"))
    );
    assert_eq!(side.tell(&JSON, &body).json()["accepted"], 1);
    let older = side.tell(&JSON, &told(9000, 9.0).0.to_string()).json();
    assert_eq!(
        (&older["accepted"], &older["refused"]["five_hour"]),
        (&json!(0), &json!("it is older than what is known"))
    );
    // The same answer again is known by its tag.
    let first = get(side.daemon.address, "/api/v1/analytics/limits");
    let tag = [("If-None-Match", first.header("etag").unwrap())];
    let again = request(side.daemon.address, "GET", "/api/v1/analytics/limits", &tag, b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(side.tell(&JSON, &told(9000, 11.0).0.to_string()).json()["accepted"], 1);
    assert_eq!(request(side.daemon.address, "GET", "/api/v1/analytics/limits", &tag, b"").status, 200);
}

#[test]
fn every_window_that_does_not_count_is_named_with_its_reason() {
    let side = Side::start();
    let one = json!({"used_percentage": 1});
    let tell = |windows: Value| side.tell(&JSON, &json!({ "rate_limits": windows }).to_string());
    let long = "x".repeat(41);
    let told =
        tell(json!({"Five Hour": one, "": one, (&long): one, (long + "y"): one, "five_hour": one, "six": {}})).json();
    let name = "the name of a window is 1 to 40 small letters, digits and `_`";
    let (cut, percentage) = ("x".repeat(40) + "…", "`used_percentage` is no percentage");
    assert_eq!(told["refused"], json!({"Five Hour": name, "": name, (cut): name, "six": percentage}));
    assert_eq!((&told["accepted"], &told["refused_omitted"]), (&json!(1), &json!(1)));
    // Seven others find room beside it, and two do not.
    let told = tell((0..9).map(|nth| (format!("window_{nth}"), one.clone())).collect()).json();
    let full = "as many windows as are kept are known already";
    assert_eq!(told["refused"], json!({"window_7": full, "window_8": full}));
    assert_eq!((&told["accepted"], &told["refused_omitted"]), (&json!(7), &json!(0)));
    // However much is told, the answer stays small, and says first what is wrong with the windows that clients have.
    let mut many: Value = (0..4000).map(|nth| (format!("É{nth}"), json!(0))).collect();
    many["seven_day"] = json!(0);
    let told = tell(many);
    let size = told.body.len();
    let told = told.json();
    assert_eq!((told["refused"].as_object().unwrap().len(), &told["refused_omitted"]), (16, &json!(3985)));
    assert!(told["refused"]["seven_day"].is_string() && size < 6000, "{size}: {told}");
}

#[test]
fn a_window_of_an_unknown_length_says_so_and_a_late_reset_is_told_with_its_date() {
    let side = Side::start();
    let address = side.daemon.address.to_string();
    let days = |days: i64| told(days * 86_400 + 600, 62.0).0["rate_limits"]["five_hour"].clone();
    let windows = json!({"monthly": days(20), "seven_day": days(6), "seven_day_opus": days(5)});
    assert_eq!(side.tell(&JSON, &json!({ "rate_limits": windows }).to_string()).json()["accepted"], 3);
    let monthly = &side.limits("?window=monthly")["windows"][0];
    assert_eq!(monthly["forecast_reason"], "the length of the window is not known");
    let report = tailspan(&["report", "today", "--listen", &address], &[], "").text;
    for (name, window, has_date) in
        [("monthly", "monthly", true), ("7d", "seven_day", true), ("7d opus", "seven_day_opus", false)]
    {
        let reset = &windows[window]["resets_at"].as_i64().unwrap();
        let text = Timestamp(reset * 1000).to_rfc3339();
        let (date, clock) = (&text[..10], &text[11..16]);
        let line =
            report.lines().find(|line| line.contains(&format!(" {name}: "))).unwrap_or_else(|| panic!("{report}"));
        let at = line.split("begins anew at ").nth(1).unwrap().split(';').next().unwrap();
        assert_eq!(at == format!("{date} {clock}"), has_date, "{line}");
        assert!(has_date || at[3..] == format!(" {clock}"), "{line}");
    }
}

#[test]
fn a_restart_knows_when_the_same_was_told_last() {
    let side = Side::start();
    let (client, _) = told(9000, 62.0);
    let first = side.tell(&JSON, &client.to_string()).json()["windows"][0]["sampled_at"].clone();
    let mut last = first.clone();
    while last == first {
        last = side.tell(&JSON, &client.to_string()).json()["windows"][0]["sampled_at"].clone();
    }
    let history = side.limits("")["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 1, "what tells the same is no row of its own");
    assert_eq!(side.daemon.stop(), Some(0));
    let side = Side { daemon: Side::daemon(&side.folder), folder: side.folder };
    let again = side.limits("");
    assert_eq!((&again["windows"][0]["sampled_at"], &again["history"]), (&last, &history));
    // It need not wait for an end: the next look at the files writes it.
    let limits = SharedLimits::default();
    assert_eq!((limits.take(look(0, 62)), limits.take(look(1, 62))), (Ok(()), Ok(())));
    let present = |look: LimitSample| ((look.window.clone(), PRESENT), Some(look));
    assert_eq!(limits.unwritten().last(), Some(&present(look(1, 62))));
    limits.written(&limits.unwritten());
    assert_eq!((limits.take(look(2, 62)), limits.unwritten()), (Ok(()), vec![present(look(2, 62))]));
}

#[test]
fn the_report_of_today_says_what_is_used_of_limits() {
    let side = Side::start();
    let (client, reset) = told(9000, 62.0);
    assert_eq!(side.tell(&JSON, &client.to_string()).status, 200);
    let address = side.daemon.address.to_string();
    let printed = tailspan(&["report", "today", "--listen", &address], &[], "");
    let clock = &Timestamp(reset * 1000).to_rfc3339()[11..16];
    let line = printed.text.lines().find(|line| line.contains("5h: ")).unwrap_or_else(|| panic!("{}", printed.text));
    assert!(line.contains(&format!("5h: 62% used, begins anew at {clock}; no forecast: ")), "{line}");
}

#[test]
fn only_a_window_that_is_full_is_said_to_be() {
    let side = Side::start();
    let address = side.daemon.address.to_string();
    for (percent, used, is_full) in [(99.99, ">99%", false), (100.0, "100%", true), (150.0, "150%", true)] {
        let (client, reset) = told(9000, percent);
        let clock = &Timestamp(reset * 1000).to_rfc3339()[11..16];
        let line = tailspan(&["statusline", "--format", "{limit}", "--listen", NOBODY], &[], &client.to_string()).text;
        let full = if is_full { " full" } else { "" };
        assert_eq!(line.trim_end(), format!("5h {used}{full} until {clock}"));
        assert_eq!(side.tell(&JSON, &client.to_string()).status, 200);
        let report = tailspan(&["report", "today", "--listen", &address], &[], "").text;
        let begins = if is_full { "full until it begins anew" } else { "begins anew" };
        assert!(report.contains(&format!("5h: {used} used, {begins} at {clock}")), "{report}");
    }
}

#[test]
fn a_look_from_a_clock_that_was_ahead_or_of_an_impossible_reset_stands_in_nobodys_way() {
    let mut history = LimitHistory::default();
    let bare = |minutes, percent| LimitSample { resets_at: None, ..look(minutes, percent) };
    assert!(history.take(bare(0, 10)).is_ok() && history.take(bare(60 * 24 * 30, 20)).is_ok());
    // The clock is set right: what was told a month ahead goes.
    let changes = history.take(bare(6, 30)).unwrap();
    assert_eq!((changes.removed, changes.added), (vec![bare(60 * 24 * 30, 20)], Some(bare(6, 30))));
    assert_eq!(history.rows("five_hour"), [bare(0, 10), bare(6, 30)]);
    assert!(history.take(bare(2, 40)).is_err(), "a little ahead is no wrong clock");
    // Kept by an earlier version: five hours that end in a month.
    let mut history = LimitHistory::default();
    history.load(LimitSample { resets_at: Some(at(60 * 24 * 30)), ..look(0, 90) });
    assert!(history.take(look(1, 20)).is_ok());
    // Such a reset is not taken any more, and the answer says why.
    let told = |name: &str, hours: i64| {
        let window = json!({"used_percentage": 5, "resets_at": (TEN.0 + hours * HOUR) / 1000});
        json!({"rate_limits": {name: window}})
    };
    for (name, longest) in [("five_hour", 6), ("seven_day", 24 * 7 + 1), ("other", 24 * 32)] {
        assert_eq!(samples(&told(name, longest), TEN).len(), 1, "{name}");
        assert_eq!(samples(&told(name, longest + 1), TEN), [], "{name}");
        let reason = "`resets_at` lies further ahead than the window is long";
        assert_eq!(told_of(&told(name, longest + 1), TEN), [(name, Err(reason))]);
    }
    assert_eq!(told_of(&told("five_hour", 0), TEN), [("five_hour", Err("`resets_at` has passed"))]);
}

#[test]
fn there_is_always_room_for_the_windows_that_clients_have() {
    let mut history = LimitHistory::default();
    let of = |window: &str, minutes| LimitSample { window: window.into(), ..look(minutes, 5) };
    (0..8).for_each(|nth| assert!(history.take(of(&format!("window_{nth}"), nth)).is_ok()));
    assert_eq!(history.take(of("another", 9)), Err(NotTaken::NoRoom), "the others were told just now");
    for (name, oldest) in [("five_hour", 0), ("seven_day", 1)] {
        let changes = history.take(of(name, 10)).unwrap();
        assert_eq!(changes.removed, [of(&format!("window_{oldest}"), oldest)]);
    }
    assert!(history.take(of("another", 60 * 24 * 8)).is_ok(), "nobody told of one for a week");
    let names: Vec<&str> = history.present().map(|look| &*look.window).collect();
    let windows: Vec<String> = (3..8).map(|nth| format!("window_{nth}")).collect();
    assert_eq!(names[..3], ["another", "five_hour", "seven_day"]);
    assert_eq!(names[3..], windows);
    // However many come at once.
    let mut many: Value = (0..30).map(|nth| (format!("a_{nth}"), json!({"used_percentage": 1}))).collect();
    many["seven_day"] = json!({"used_percentage": 1});
    assert_eq!(read(many)[0].0, "seven_day");
}
