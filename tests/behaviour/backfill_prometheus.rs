//! The file of `tailspan backfill`, made into blocks by the real promtool, in a real Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::history::{DAY, FIRST_DAY, backfill, days, printed, series};

const DEADLINE: Duration = Duration::from_secs(60);

/// A Prometheus that scrapes nothing.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one on the blocks of `text`; `None` where the programs are not installed.
    fn on(folder: &Path, text: &str) -> Option<Self> {
        for program in ["promtool", "prometheus"] {
            let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if run.is_err() {
                assert!(std::env::var_os("CI").is_none(), "CI needs {program}: apt-get install prometheus");
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        let (file, blocks, config) = (folder.join("history.om"), folder.join("blocks"), folder.join("prometheus.yml"));
        fs::write(&file, text).unwrap();
        fs::write(&config, "global: {}\n").unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h"])
            .args([&file, &blocks])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", blocks.display()))
            // Otherwise the blocks are deleted at once: they are older than 15 days.
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { child, address };
        let deadline = Instant::now() + DEADLINE;
        while prometheus.get("/-/ready").is_none_or(|answer| !answer.starts_with("HTTP/1.0 200")) {
            assert!(Instant::now() < deadline, "it is not ready");
            thread::park_timeout(Duration::from_millis(50));
        }
        Some(prometheus)
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// What an expression gives at a moment: value by the value of `label`.
    fn by(&self, label: &str, expression: &str, time: i64) -> BTreeMap<String, f64> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?time={time}&query={escaped}")).unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["status"], "success", "{expression}: {body}");
        let results = body["data"]["result"].as_array().unwrap().iter();
        let pair = |result: &Value| {
            let name = result["metric"][label].as_str().unwrap_or_default().to_owned();
            (name, result["value"][1].as_str().unwrap().parse().unwrap())
        };
        results.map(pair).collect()
    }

    /// The one value that an expression gives; `None` if it gives none.
    fn query(&self, expression: &str, time: i64) -> Option<f64> {
        self.by("", expression, time).into_values().next()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What `scan --sessions` says of one day.
#[derive(Debug, Default)]
struct Day {
    cost: f64,
    tokens: f64,
    sessions: f64,
    messages: f64,
    calls: f64,
    failed: f64,
    by_model: BTreeMap<String, f64>,
    by_project: BTreeMap<String, f64>,
}

/// Sums of the sessions that began on each day; none of them goes on at midnight.
fn scanned(projects: &Path) -> BTreeMap<i64, Day> {
    let json = printed(&["scan", projects.to_str().unwrap(), "--format", "json", "--sessions"]);
    let scan: Value = serde_json::from_str(&json).unwrap();
    let mut days: BTreeMap<i64, Day> = BTreeMap::new();
    for session in scan["session_list"].as_array().unwrap() {
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        assert_eq!(text("started_at")[..10], text("ended_at")[..10], "a session of one day");
        let number = text("started_at")[8..10].parse::<i64>().unwrap() - 10;
        let day = days.entry(FIRST_DAY + number * DAY).or_default();
        let tokens: f64 = session["tokens"].as_object().unwrap().values().map(|count| count.as_f64().unwrap()).sum();
        let cost: f64 = text("cost_usd").parse().unwrap();
        let model = session["models"][0].as_str().unwrap().to_owned();
        let bash = |name: &str| session["tools"]["Bash"][name].as_f64().unwrap();
        day.cost += cost;
        day.tokens += tokens;
        day.sessions += 1.0;
        day.messages += session["messages"].as_f64().unwrap();
        day.calls += bash("calls");
        day.failed += bash("failed");
        *day.by_model.entry(model).or_default() += cost;
        *day.by_project.entry(text("project")).or_default() += tokens;
    }
    days
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9 * other.abs().max(1.0)
}

#[test]
fn increase_per_day_is_what_scan_sums_up() {
    let world = tempfile::tempdir().unwrap();
    let projects = world.path().join("projects");
    days(&projects);
    let expected = scanned(&projects);
    assert!(expected.len() == 11 && expected.values().all(|day| day.cost > 0.0), "{expected:?}");
    let text = backfill(&projects, &["--until", "2025-06-24"]);
    let Some(prometheus) = Prometheus::on(world.path(), &text) else { return };
    let nothing = Day::default();
    for day in (0..14).map(|day| FIRST_DAY + day * DAY) {
        let end = day + DAY;
        let want = expected.get(&day).unwrap_or(&nothing);
        let sums = [
            ("cost_usd_total", want.cost),
            ("tokens_total", want.tokens),
            ("sessions_started_total", want.sessions),
            ("turns_total", want.sessions),
            ("api_requests_total", want.messages),
            ("tool_calls_total", want.calls),
            ("tool_failures_total", want.failed),
            ("tool_duration_seconds_count", want.calls),
            ("turn_cost_usd_sum", want.cost),
        ];
        for (name, want) in sums {
            let own = prometheus.query(&format!("sum(increase(tailspan_{name}[1d]))"), end);
            assert!(close(own.unwrap(), want), "{name} of {day}: {own:?}, not {want}");
            // No estimate of Prometheus's in it: the counter at both ends of the day.
            let plain = format!("sum(tailspan_{name}) - (sum(tailspan_{name} offset 1d) or vector(0))");
            assert!(close(prometheus.query(&plain, end).unwrap(), want), "{name} of {day}, by difference");
        }
        for (label, name, want) in
            [("model", "cost_usd_total", &want.by_model), ("project", "project_tokens_total", &want.by_project)]
        {
            let own = prometheus.by(label, &format!("sum by ({label}) (increase(tailspan_{name}[1d])) > 0"), end);
            assert_eq!(own.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{day}");
            assert!(own.iter().all(|(key, value)| close(*value, want[key])), "{day}: {own:?}, not {want:?}");
        }
    }
    let total: f64 = expected.values().map(|day| day.cost).sum();
    let all = prometheus.query("sum(increase(tailspan_cost_usd_total[14d]))", FIRST_DAY + 14 * DAY);
    assert!(close(all.unwrap(), total));
    let targets =
        prometheus.by("instance", "count by (instance) (tailspan_turns_total{job=\"tailspan\"})", FIRST_DAY + DAY);
    assert_eq!(targets.into_keys().collect::<Vec<_>>(), ["127.0.0.1:9719"]);
    let quantile = "histogram_quantile(0.5, sum by (le) (increase(tailspan_turn_cost_usd_bucket[14d])))";
    assert!((0.01..0.1).contains(&prometheus.query(quantile, FIRST_DAY + 14 * DAY).unwrap()));
    assert_eq!(prometheus.query("sum(resets(tailspan_cost_usd_total[14d]))", FIRST_DAY + 14 * DAY), Some(0.0));
    // While somebody works, a number is there at every moment.
    let busy = FIRST_DAY + 8 * 3600;
    assert!((0..3600).step_by(7).all(|second| prometheus.query("sum(tailspan_turns_total)", busy + second).is_some()));
}

#[test]
fn increase_goes_on_over_the_first_start() {
    let world = tempfile::tempdir().unwrap();
    let (projects, state) = (world.path().join("projects"), world.path().join("state"));
    days(&projects);
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("epoch.json"), r#"{"first_start": "2025-06-20T10:30:00.000Z", "exported_until": null}"#)
        .unwrap();
    let arguments = ["--state", state.to_str().unwrap(), "--instance", "box:9719", "--job", "claude"];
    let text = printed(&[&["backfill", projects.to_str().unwrap()], &arguments[..]].concat());
    // What a sidecar that was scraped afterwards showed of one series: beyond all history before its first scrape.
    let name = "tailspan_tokens_total{job=\"claude\",instance=\"box:9719\",\
                model=\"claude-sonnet-4-5\",kind=\"cache_read\",agent=\"main\"}";
    let start = FIRST_DAY + 10 * DAY + 37_800;
    let live = [(60, 1e9), (DAY - 37_800 - 60, 2e9), (DAY - 37_800, 3e9)];
    let live: String = live.iter().map(|(second, value)| format!("{name} {value} {}\n", start + second)).collect();
    let Some(prometheus) = Prometheus::on(world.path(), &text.replace("# EOF\n", &(live + "# EOF\n"))) else { return };
    let (end, own) = (FIRST_DAY + 11 * DAY, &name["tailspan_tokens_total".len()..]);
    let query = |expression: &str, time: i64| prometheus.query(&expression.replace('$', own), time).unwrap();
    let (history, at_midnight) = (query("tailspan_tokens_total$", start), query("tailspan_tokens_total$", end - DAY));
    assert!(history > at_midnight && at_midnight > 0.0, "the day of the first start has history too");
    let both = query("increase(tailspan_tokens_total$[11d])", end);
    assert!(close(both, history + 3e9), "{both} is not the {history} before the first start and what came after");
    assert!(close(query("increase(tailspan_tokens_total$[1d])", end), history - at_midnight + 3e9));
}

/// The windows of panels: ten minutes for lines, half an hour for the columns of heatmaps.
const WINDOWS: [i64; 2] = [600, 1800];

#[test]
fn a_window_shorter_than_an_hour_shows_what_a_histogram_gained() {
    let world = tempfile::tempdir().unwrap();
    let projects = world.path().join("projects");
    days(&projects);
    let expected = scanned(&projects);
    let Some(prometheus) = Prometheus::on(world.path(), &backfill(&projects, &["--until", "2025-06-24"])) else {
        return;
    };
    for window in WINDOWS {
        for (day, want) in expected.iter().take(3) {
            let ends = (1..=DAY / window).map(|part| day + part * window);
            let gained = ends.filter_map(|end| {
                let in_seconds = format!("sum(increase(tailspan_tool_duration_seconds_count[{window}s]))");
                prometheus.query(&in_seconds, end)
            });
            let gained: f64 = gained.sum();
            assert!(close(gained, want.calls), "{window} s, {day}: {gained} calls, not {}", want.calls);
        }
    }
}

#[test]
fn a_column_of_a_heatmap_is_right_where_windows_leave_out_their_first_moment() {
    let world = tempfile::tempdir().unwrap();
    days(world.path());
    let expected = scanned(world.path());
    let all = series(&backfill(world.path(), &["--until", "2025-06-24"]));
    let calls: Vec<_> =
        all.iter().filter(|(name, _)| name.starts_with("tailspan_tool_duration_seconds_count")).collect();
    assert!(!calls.is_empty());
    for (day, want) in expected {
        let ends = (1..=DAY / 1800).map(|part| day + part * 1800);
        let columns = ends.filter_map(|end| calls.iter().find_map(|(_, all)| increase_of_prometheus_3(all, end, 1800)));
        let gained: f64 = columns.sum();
        assert!((gained - want.calls).abs() <= 1e-3 * want.calls, "{day}: {gained} calls, not {}", want.calls);
    }
}

/// `increase()` of Prometheus 3: the sample at the beginning of the window is not in it.
/// Source: prometheus, `promql/functions.go`, `extrapolatedRate`.
fn increase_of_prometheus_3(samples: &[(i64, f64)], end: i64, range: i64) -> Option<f64> {
    let inside: Vec<_> = samples.iter().filter(|(time, _)| (end - range + 1..=end).contains(time)).collect();
    let (first, last) = (inside.first()?, inside.last()?);
    if inside.len() < 2 {
        return None;
    }
    let gained = last.1 - first.1;
    let sampled = (last.0 - first.0) as f64;
    let usual = sampled / (inside.len() - 1) as f64;
    let limited = |gap: f64| if gap >= usual * 1.1 { usual / 2.0 } else { gap };
    let mut before = limited((first.0 - (end - range)) as f64);
    if gained > 0.0 && first.1 >= 0.0 {
        before = before.min(sampled * first.1 / gained);
    }
    Some(gained * (sampled + before + limited((end - last.0) as f64)) / sampled)
}

#[test]
fn a_day_is_right_where_windows_leave_out_their_first_moment() {
    let world = tempfile::tempdir().unwrap();
    days(world.path());
    let expected = scanned(world.path());
    let all = series(&backfill(world.path(), &["--until", "2025-06-24"]));
    let costs: Vec<_> = all.iter().filter(|(name, _)| name.starts_with("tailspan_cost_usd_total")).collect();
    for day in (0..14).map(|day| FIRST_DAY + day * DAY) {
        let own: f64 = costs.iter().filter_map(|(_, all)| increase_of_prometheus_3(all, day + DAY, DAY)).sum();
        let want = expected.get(&day).map_or(0.0, |day| day.cost);
        assert!((own - want).abs() <= 2e-5 * want, "{day}: {own}, not {want}");
    }
}
