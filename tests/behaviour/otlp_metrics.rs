//! Metrics that are pushed: the same names, labels and values as at `/metrics`, cumulative, from the real program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, metric, number_data_point};
use tailspan::config::{Config, Flags};

use crate::support::daemon::Daemon;
use crate::support::receiver::{Received, Receiver};
use crate::support::world::{copy_folder, files_below};

fn recording(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(scenario).join("projects")
}

/// Values and starts by `name{label="value"}`.
type Series = BTreeMap<String, f64>;

/// What a push says, in the words of the text format, and since when each counter counts, in seconds.
#[derive(Debug, Default)]
struct Said {
    values: Series,
    created: Series,
    /// `trace_id="..",span_id=".."`
    exemplars: BTreeSet<String>,
}

fn series(name: &str, attributes: &[KeyValue], more: Option<(&str, String)>) -> String {
    let mut labels: Vec<(String, String)> = attributes
        .iter()
        .map(|attribute| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            any_value::Value::StringValue(text) => (attribute.key.clone(), text.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    labels.extend(more.map(|(key, value)| (key.to_owned(), value)));
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

const CUMULATIVE: i32 = 2;

impl Said {
    fn note(&mut self, exemplars: &[Exemplar]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let ids = |exemplar: &Exemplar| {
            format!("trace_id=\"{}\",span_id=\"{}\"", hex(&exemplar.trace_id), hex(&exemplar.span_id))
        };
        self.exemplars.extend(exemplars.iter().map(ids));
    }

    fn take(&mut self, metric: &Metric) {
        let name = &metric.name;
        assert!(!name.ends_with("_total") && !metric.description.is_empty(), "{name}");
        match metric.data.as_ref().unwrap() {
            metric::Data::Gauge(gauge) => {
                for point in &gauge.data_points {
                    assert_eq!(point.start_time_unix_nano, 0, "{name}");
                    self.values.insert(series(name, &point.attributes, None), number(point.value));
                }
            }
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE, "{name}");
                for point in &sum.data_points {
                    let key = series(&format!("{name}_total"), &point.attributes, None);
                    self.created.insert(key.replacen("_total", "_created", 1), seconds(point.start_time_unix_nano));
                    self.values.insert(key, number(point.value));
                    self.note(&point.exemplars);
                }
            }
            metric::Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, CUMULATIVE, "{name}");
                for point in &histogram.data_points {
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    let mut below = 0;
                    for (place, count) in point.bucket_counts.iter().enumerate() {
                        below += count;
                        let bound = point.explicit_bounds.get(place).map_or("+Inf".to_owned(), f64::to_string);
                        let key = series(&format!("{name}_bucket"), &point.attributes, Some(("le", bound)));
                        self.values.insert(key, below as f64);
                    }
                    assert_eq!(below, point.count, "{name}");
                    self.note(&point.exemplars);
                    let own = |suffix: &str| series(&format!("{name}{suffix}"), &point.attributes, None);
                    self.values.insert(own("_count"), point.count as f64);
                    self.values.insert(own("_sum"), point.sum.unwrap());
                    self.created.insert(own("_created"), seconds(point.start_time_unix_nano));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn of(request: &Received) -> Self {
        let mut said = Self::default();
        request.metrics().iter().for_each(|metric| said.take(metric));
        said
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000_000) as f64 / 1000.0
}

fn number(value: Option<number_data_point::Value>) -> f64 {
    match value.unwrap() {
        number_data_point::Value::AsDouble(number) => number,
        number_data_point::Value::AsInt(number) => number as f64,
    }
}

/// What is about the moment or about who asked.
fn changes_by_itself(series: &str) -> bool {
    ["tailspan_http_requests_total", "tailspan_store_bytes", "process_"].iter().any(|start| series.starts_with(start))
}

/// The samples of a text exposition whose series `wanted` takes.
fn scraped(text: &str, wanted: impl Fn(&str) -> bool) -> Series {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let line = line.split(" # ").next().unwrap();
        let (series, value) = line.rsplit_once(' ').unwrap();
        wanted(series).then(|| (series.to_owned(), value.parse().unwrap()))
    });
    samples.collect()
}

/// Panics with what differs, which is less than all.
fn check_equal(ours: &Series, theirs: &Series) {
    let keys = ours.keys().chain(theirs.keys());
    let wrong: BTreeSet<String> = keys
        .filter(|key| ours.get(*key) != theirs.get(*key))
        .map(|key| format!("{key}: {:?} instead of {:?}", ours.get(key), theirs.get(key)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&recording(scenario), &folder.path().join("projects"));
        Self { folder }
    }

    /// Lets everything happen after the first start, so that counters count it.
    fn in_the_future(self) -> Self {
        for file in files_below(&self.folder.path().join("projects")) {
            let text = fs::read_to_string(&file).unwrap();
            fs::write(file, text.replace("2026-11-22T", "2096-11-22T")).unwrap();
        }
        self
    }

    fn start(&self, toml: &str) -> Daemon {
        let config = self.folder.path().join("tailspan.toml");
        fs::write(&config, toml).unwrap();
        let (projects, state) = (self.folder.path().join("projects"), self.folder.path().join("state"));
        Daemon::start(&projects, &state, &["--config", config.to_str().unwrap()])
    }
}

#[test]
fn pushed_metrics_are_those_that_are_scraped() {
    let receiver = Receiver::start();
    let place = Place::new("2.1.330/b_tools").in_the_future();
    let daemon = place.start(&format!(
        "[otlp]\nmetrics = true\nmetrics_interval = \"1s\"\nmetrics_endpoint = \"{}/v1/metrics\"\n\
         headers = {{ authorization = \"Bearer a\" }}\n",
        receiver.url()
    ));
    let turns = "tailspan_turn_duration_seconds_count";
    let text = daemon.until("the turn has ended", || {
        let text = daemon.metrics();
        (scraped(&text, |series| series == turns)[turns] == 1.0).then_some(text)
    });
    let seen = receiver.received().len();
    let push = daemon.until("a further push", || receiver.received().get(seen + 1).cloned());
    assert_eq!((push.path.as_str(), push.header("content-type")), ("/v1/metrics", "application/x-protobuf"));
    assert_eq!((push.header("content-encoding"), push.header("authorization")), ("gzip", "Bearer a"));
    let said = Said::of(&push);
    let pushed: Series = said
        .values
        .iter()
        .filter(|(key, _)| !changes_by_itself(key))
        .map(|(key, value)| (key.clone(), *value))
        .collect();
    let expected = scraped(&text, |series| !changes_by_itself(series));
    assert!(
        expected.len() > 300 && expected["tailspan_lifetime_tokens{model=\"claude-sonnet-4-5\",kind=\"output\"}"] > 0.0
    );
    check_equal(&pushed, &expected);
    let openmetrics = daemon.get_as("/metrics", "application/openmetrics-text; version=1.0.0");
    let created = scraped(&openmetrics, |series| series.contains("_created") && !changes_by_itself(series));
    let own: Series = said.created.into_iter().filter(|(key, _)| created.contains_key(key)).collect();
    assert!(own.len() > 50);
    check_equal(&own, &created);
    let shown = openmetrics.lines().filter_map(|line| line.split(" # {").nth(1)?.split('}').next());
    let shown: BTreeSet<String> = shown.map(str::to_owned).collect();
    assert!(shown.len() > 5, "{shown:?}");
    assert_eq!(said.exemplars, shown);
    let resource = push.resource();
    assert_eq!(resource["service.name"], "tailspan");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["service.instance.id"].len(), 36);
    // Nothing was pushed before all files were read.
    for push in receiver.received() {
        let said = Said::of(&push);
        assert_eq!(said.values["tailspan_initial_scan_complete"], 1.0);
    }
    daemon.stop();
}

#[test]
fn the_last_numbers_arrive_at_the_end_and_go_on_after_a_restart() {
    let receiver = Receiver::start();
    let place = Place::new("2.1.330/a_plain");
    let toml =
        format!("[otlp]\nmetrics = true\nmetrics_interval = \"1h\"\nmetrics_endpoint = \"{}\"\n", receiver.url());
    let mut starts = Vec::new();
    for (scenario, files) in [("2.1.330/c_parallel", 2.0), ("2.1.330/d_failing", 3.0)] {
        let daemon = place.start(&toml);
        daemon.metrics();
        copy_folder(&recording(scenario), &place.folder.path().join("projects"));
        daemon.until("the new file is counted", || {
            (scraped(&daemon.metrics(), |series| series == "tailspan_files_watched")["tailspan_files_watched"] == files)
                .then_some(())
        });
        let before = receiver.received().len();
        let lines = scraped(&daemon.metrics(), |series| series == "tailspan_lines_total");
        assert_eq!(daemon.stop(), Some(0));
        let pushes = receiver.received();
        assert_eq!(pushes.len(), before + 1, "one push at the end");
        let last = pushes.last().unwrap();
        assert_eq!(last.path, "/v1/metrics");
        let said = Said::of(last);
        assert_eq!(said.values["tailspan_lines_total"], lines["tailspan_lines_total"]);
        starts.push((said.created["tailspan_lines_created"], last.resource()["service.instance.id"].clone()));
    }
    assert_eq!(starts[0], starts[1], "counters and who counts are the same after a restart");
}

#[test]
fn a_refused_push_is_made_good_by_the_next() {
    let receiver = Receiver::start();
    receiver.answer([503, 400, 404]);
    receiver.answer_page("<html>Sign in</html>");
    let place = Place::new("2.1.330/a_plain");
    let toml =
        format!("[otlp]\nmetrics = true\nmetrics_interval = \"1s\"\nmetrics_endpoint = \"{}\"\n", receiver.url());
    let mut daemon = place.start(&toml);
    for said in [
        "cannot be pushed now (status 503)",
        "rejects metrics (status 400)",
        "refuses metrics from us (status 404)",
        "metrics are not taken: the endpoint answered 200 with text/html: that is no OTLP receiver",
    ] {
        daemon.wait_for_log(said);
    }
    daemon.wait_for_log("metrics are pushed again");
    let pushes = receiver.received();
    let all = |push: &Received| Said::of(push).values.len();
    assert!(pushes.len() >= 5 && all(&pushes[4]) == all(&pushes[0]));
    daemon.stop();
}

fn resolve(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailspan.toml");
    fs::write(&path, file).unwrap();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let env = variables.iter().copied().chain([("HOME", "/home/ada")]).collect();
    Config::resolve(&flags, &env).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn pushes_to(file: &str, variables: &[(&str, &str)]) -> String {
    resolve(file, variables).unwrap().push.unwrap().otlp.endpoint.to_string()
}

#[test]
fn where_metrics_go_follows_from_where_traces_go() {
    let on = "[otlp]\nmetrics = true\n";
    let with = |rest: &str| format!("{on}{rest}\n");
    assert!(resolve("[otlp]\nendpoint = \"http://a:4318\"\n", &[]).unwrap().push.is_none());
    assert_eq!(pushes_to(&with("endpoint = \"http://a:4318\""), &[]), "http://a:4318/v1/metrics");
    assert_eq!(pushes_to(&with("endpoint = \"http://a:4318/x/v1/traces\""), &[]), "http://a:4318/x/v1/metrics");
    let apart = with("endpoint = \"http://a:4318\"\nmetrics_endpoint = \"http://b:9/otlp\"");
    assert_eq!(pushes_to(&apart, &[]), "http://b:9/otlp/v1/metrics");
    let standard = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c/as/it/is")];
    assert_eq!(pushes_to(on, &standard), "http://c/as/it/is");
    assert_eq!(pushes_to(on, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d")]), "http://d/v1/metrics");
    assert_eq!(pushes_to(&with("metrics_endpoint = \"http://b\""), &standard), "http://b/v1/metrics");
    assert_eq!(
        pushes_to("", &[("TAILSPAN_OTLP_METRICS", "true"), ("TAILSPAN_OTLP_ENDPOINT", "http://e")]),
        "http://e/v1/metrics"
    );
    let error = resolve(on, &[]).unwrap_err();
    assert_eq!(
        error,
        "FILE, line 2: `otlp.metrics_endpoint` is missing, expected it or `otlp.endpoint`: there is nowhere to push \
         metrics to"
    );
    let error = resolve(&with("endpoint = \"http://a\"\nmetrics_interval = \"10ms\""), &[]).unwrap_err();
    assert!(error.contains("`otlp.metrics_interval` is \"10ms\", expected a duration from 1s to 1h"), "{error}");
}

#[test]
fn settings_of_pushes_come_from_keys_and_standard_variables() {
    let file = "[otlp]\nmetrics = true\nendpoint = \"http://a\"\nheaders = { key = \"secret\" }\n";
    let push = |file: &str, variables: &[(&str, &str)]| resolve(file, variables).unwrap().push.unwrap();
    assert_eq!(push(file, &[]).otlp.headers["key"], "secret");
    assert_eq!(push(file, &[]).interval.as_secs(), 60);
    // Headers are for the host that they were given for.
    let apart = format!("{file}metrics_endpoint = \"http://b\"\n");
    assert!(push(&apart, &[]).otlp.headers.is_empty());
    let plain = "[otlp]\nmetrics = true\nendpoint = \"http://a\"\n";
    let standard = push(
        plain,
        &[
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "k=v"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1500"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "t=v"),
        ],
    );
    assert_eq!((standard.otlp.headers["k"].to_str().unwrap(), standard.otlp.headers.len()), ("v", 1));
    assert_eq!((standard.otlp.timeout.as_millis(), standard.interval.as_secs()), (1500, 5));
    let delta = resolve(plain, &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")]).unwrap();
    assert!(delta.notices.iter().any(|notice| notice.contains("pushed metrics are cumulative")), "{:?}", delta.notices);
    let error = resolve(plain, &[("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")]).unwrap_err();
    assert!(error.contains("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") && error.contains("grpc"), "{error}");
    let error = resolve(plain, &[("OTEL_METRIC_EXPORT_INTERVAL", "often")]).unwrap_err();
    assert!(error.contains("OTEL_METRIC_EXPORT_INTERVAL"), "{error}");
    assert!(resolve(plain, &[("OTEL_SDK_DISABLED", "true")]).unwrap().push.is_none());
}
