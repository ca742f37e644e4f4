//! Debian's Prometheus on loopback, with these rules: asked over its API, stopped, given a past, started again.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for anything: far beyond what is usual, so that only a hang ends it.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// One series of an answer: its labels and its values in time, without those that are no number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) labels: serde_json::Map<String, Value>,
    pub(crate) values: Vec<f64>,
}

impl Answer {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// As Prometheus would write it: `name{label="value"} 1`.
    pub(crate) fn shown(&self) -> String {
        let name = self.label("__name__");
        let labels = self.labels.iter().filter(|(key, _)| !["__name__", "job", "instance"].contains(&key.as_str()));
        let labels: Vec<_> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        let last = self.values.last().map_or_else(String::new, |value| format!("{}", (value * 1e4).round() / 1e4));
        format!("{name}{{{}}} {last}", labels.join(",")).replace("{}", "").trim().to_owned()
    }
}

/// Whether both programs are there; says so if not. In CI they must be.
pub(crate) fn installed() -> bool {
    for program in ["prometheus", "promtool"] {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if version.is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI needs {program}: apt-get install prometheus");
            println!("skipped: {program} is not installed");
            return false;
        }
    }
    true
}

impl Prometheus {
    /// Scrapes `target` as OpenMetrics each second and evaluates the rules as often.
    pub(crate) fn start(folder: &Path, target: SocketAddr, rules: &[PathBuf]) -> Self {
        let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n");
        let rules: Vec<_> = rules.iter().map(|path| format!("{:?}", path.display().to_string())).collect();
        writeln!(config, "rule_files: [{}]", rules.join(", ")).unwrap();
        writeln!(config, "scrape_configs:\n- job_name: tailspan\n  static_configs: [{{targets: ['{target}']}}]")
            .unwrap();
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { child: Self::spawn(folder, address), address, folder: folder.to_owned() }
    }

    fn spawn(folder: &Path, address: SocketAddr) -> Child {
        Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .unwrap()
    }

    /// Stops it, makes blocks of `openmetrics`, and starts it again.
    pub(crate) fn given_a_past(mut self, openmetrics: &str) -> Self {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap();
        let text = self.folder.join("past.txt");
        fs::write(&text, openmetrics).unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "--quiet", "--max-block-duration=240h", "openmetrics"])
            .arg(&text)
            .arg(self.folder.join("tsdb"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.child = Self::spawn(&self.folder, self.address);
        self
    }

    /// `data` of an answer of its API; what it said instead if it refused, or did not answer.
    pub(crate) fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let text: Vec<_> = parameters.iter().map(|(key, value)| format!("{key}={}", percent(value))).collect();
        let mut stream = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let body = text.join("&");
        let head = "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded";
        let request = if path.contains("query") {
            format!("POST {path} HTTP/1.0\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        } else {
            format!("GET {path}?{body} HTTP/1.0\r\nHost: localhost\r\n\r\n")
        };
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let mut answer: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer["error"].as_str().unwrap_or(body).to_owned()),
        }
    }

    /// Series of an expression at this moment.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Answer>, String> {
        self.api("/api/v1/query", &[("query", expression)]).map(|data| answers(&data))
    }

    /// Series of an expression over a time, in seconds since 1970.
    pub(crate) fn range(&self, expression: &str, start: f64, end: f64, step: f64) -> Result<Vec<Answer>, String> {
        let [start, end, step] = [start, end, step].map(|number| format!("{number:.3}"));
        let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        self.api("/api/v1/query_range", &parameters).map(|data| answers(&data))
    }

    /// The one value of an expression; `None` while there is none.
    pub(crate) fn number(&self, expression: &str) -> Option<f64> {
        self.query(expression).ok()?.first()?.values.first().copied()
    }

    /// Asks again until there is an answer.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let log = || fs::read_to_string(self.folder.join("prometheus.log")).unwrap();
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn answers(data: &Value) -> Vec<Answer> {
    let number = |pair: &Value| pair[1].as_str()?.parse::<f64>().ok().filter(|number| !number.is_nan());
    if data["resultType"] == "scalar" {
        return vec![Answer { labels: serde_json::Map::new(), values: number(&data["result"]).into_iter().collect() }];
    }
    let series = data["result"].as_array().into_iter().flatten().map(|series| {
        let values = series["values"].as_array().map_or_else(
            || number(&series["value"]).into_iter().collect(),
            |pairs| pairs.iter().filter_map(number).collect(),
        );
        Answer { labels: series["metric"].as_object().cloned().unwrap_or_default(), values }
    });
    series.filter(|answer| !answer.values.is_empty()).collect()
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}
