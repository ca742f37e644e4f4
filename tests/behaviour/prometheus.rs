//! A real Prometheus scrapes the running sidecar, and is asked for the numbers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::daemon::{DEADLINE, Daemon, sum};

struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts Debian's `prometheus` on a free loopback port; `None` where it is not installed.
    fn start(folder: &Path, target: SocketAddr) -> Option<Self> {
        if Command::new("prometheus").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI needs prometheus: apt-get install prometheus");
            println!("skipped: prometheus is not installed");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: tailspan\n  \
             static_configs: [{{targets: ['{target}']}}]\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, address })
    }

    /// Value of an expression that gives one sample; `None` while there is none.
    fn query(&self, expression: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let path = format!(
            "/api/v1/query?query={}",
            expression
                .replace(' ', "%20")
                .replace('{', "%7B")
                .replace('}', "%7D")
                .replace('"', "%22")
                .replace('+', "%2B")
        );
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn prometheus_scrapes_what_scan_counts() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/b_tools/projects");
    let daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    let metrics = daemon.metrics();
    let Some(prometheus) = Prometheus::start(folder.path(), daemon.address) else { return };
    let up = || prometheus.query("up{job=\"tailspan\"}").filter(|up| *up == 1.0);
    daemon.until("Prometheus has scraped", up);
    let tokens = daemon.until("the tokens are there", || prometheus.query("sum(tailspan_lifetime_tokens)"));
    assert_eq!(tokens, 109_745.0, "what the API served");
    assert_eq!(prometheus.query("sum(tailspan_lifetime_cost_usd)"), Some(0.047_439));
    assert_eq!(prometheus.query("sum(tailspan_client_reported_cost_usd)"), Some(0.047_439));
    assert_eq!(prometheus.query("sum(tailspan_tokens_total)"), Some(0.0), "history is not counted as live");
    let series = metrics.lines().filter(|line| line.starts_with("tailspan_")).count();
    let scraped = prometheus.query("count({__name__=~\"tailspan_.+\"})").unwrap();
    // The first answer to a scrape adds its own series of `http_requests_total`.
    assert!(scraped >= series as f64, "{scraped} of {series} series");
    assert!(sum(&daemon.metrics(), "tailspan_http_requests_total") >= 2.0);
    assert_eq!(daemon.stop(), Some(0));
}
