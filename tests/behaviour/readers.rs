//! Who gets what was said: the real program, asked by several users of one machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::http::{Reply, get};
use crate::support::privileges::{may_unshare, skip};

/// Users of the machine, by number: they need not have names.
const NOBODY: u32 = 65_534;
const BIN: u32 = 2;
const ROOT: u32 = 0;

/// A sidecar over one recorded session.
struct Side {
    daemon: Daemon,
    session: String,
    _folder: TempDir,
}

/// One recorded session, and a configuration with this list of users.
fn prepared(content_users: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/b_tools/projects");
    let copied = Command::new("cp").arg("-r").arg(recorded).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let config = folder.path().join("tailspan.toml");
    // Text leaves with spans, and still nobody else is told any here.
    fs::write(&config, format!("[web]\ncontent_users = {content_users}\n[traces]\ncontent = \"content\"\n")).unwrap();
    (folder, config)
}

impl Side {
    fn with(content_users: &str) -> Self {
        Self::within(&[], content_users)
    }

    /// Started by another program, which has to become it.
    fn within(wrapper: &[&str], content_users: &str) -> Self {
        let (folder, config) = prepared(content_users);
        Self::started("127.0.0.1:0", wrapper, folder, &config)
    }

    fn started(listen: &str, wrapper: &[&str], folder: TempDir, config: &Path) -> Self {
        let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
        let more = ["--config", config.to_str().unwrap()];
        let daemon = Daemon::start_on(listen, wrapper, &projects, &state, &more);
        daemon.metrics();
        let list = get(daemon.address, "/api/v1/analytics/sessions").json();
        let session = list["sessions"][0]["id"].as_str().unwrap().to_owned();
        Self { daemon, session, _folder: folder }
    }

    fn replay(&self) -> String {
        format!("/api/v1/analytics/sessions/{}/replay", self.session)
    }

    /// Status and everything that was answered to a question by this user.
    fn asked_by(&self, user: u32, path: &str) -> (u16, String) {
        let script = r#"exec 3<>"/dev/tcp/$0/$1" && printf 'GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n' "$2" \
            'Connection: close' >&3 && cat <&3"#;
        let (host, port) = (self.daemon.address.ip().to_string(), self.daemon.address.port().to_string());
        let mut command = as_user(user);
        let output = command.args(["bash", "-c", script, &host, &port, path]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer = String::from_utf8(output.stdout).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn assert_refused(&self, user: u32, reason: &str) {
        self.assert_refused_at(user, &self.replay(), reason);
    }

    fn assert_refused_at(&self, user: u32, path: &str, reason: &str) {
        let (status, answer) = self.asked_by(user, path);
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let problem: Value = serde_json::from_str(body).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason) && detail.contains("web.content_users"), "{detail}");
    }

    fn assert_told(&self, user: u32) {
        let (status, answer) = self.asked_by(user, &self.replay());
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("\"content\":[{\"type\":\"text\""), "{answer}");
    }
}

fn as_user(user: u32) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
    command
}

/// Whether a test may act as other users; says so where it may not.
fn may_be_others() -> bool {
    let worked = as_user(NOBODY).arg("true").output().is_ok_and(|output| output.status.success());
    if !worked {
        skip("only root may ask as other users, with `setpriv`");
    }
    worked
}

/// What was said in a session, as it stands in a replay.
fn texts(replay: &Reply) -> Vec<String> {
    let replay = replay.json();
    let pieces = replay["events"].as_array().unwrap().iter().filter_map(|event| event["content"].as_array()).flatten();
    let texts = pieces.filter_map(|piece| piece["text"].as_str()).filter(|text| text.len() > 20);
    texts.map(|text| serde_json::to_string(text).unwrap().trim_matches('"').to_owned()).collect()
}

#[test]
fn a_sidecar_tells_its_own_user_over_every_kind_of_address() {
    let side = Side::with("[]");
    let said = texts(&get(side.daemon.address, &side.replay()));
    assert!(said.len() > 3, "{said:?}");
    // A socket of IPv6 that talks IPv4.
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), side.daemon.address.port()));
    assert_eq!(texts(&get(mapped, &side.replay())), said);
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        skip("there is no IPv6");
        return;
    }
    let side = {
        let (folder, config) = prepared("[]");
        Side::started("[::1]:0", &[], folder, &config)
    };
    assert_eq!(texts(&get(side.daemon.address, &side.replay())), said);
}

#[test]
fn another_user_gets_everything_but_what_was_said() {
    if !may_be_others() {
        return;
    }
    let side = Side::with("[]");
    side.assert_told(ROOT);
    side.assert_refused(NOBODY, "that of user 65534");
    side.assert_refused(BIN, "that of user 2");
    let said = texts(&get(side.daemon.address, &side.replay()));
    for path in [
        "/",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/api/v1/analytics/sessions",
        &format!("/api/v1/analytics/sessions/{}", side.session),
        &format!("{}/outline", side.replay()),
        &format!("{}/turns/1", side.replay()),
        "/pages/replay.js",
        "/jaeger/api/services",
        "/jaeger/api/operations?service=claude-code",
    ] {
        let (status, answer) = side.asked_by(NOBODY, path);
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(said.iter().find(|text| answer.contains(*text)), None, "{path}");
    }
    for path in [format!("/sessions/{}", side.session), format!("/sessions/{}/images/0/0", side.session)] {
        side.assert_refused_at(NOBODY, &path, "that of user 65534");
    }
    // Spans hold what was said, as far as `traces.content` lets it out.
    for path in spans_of(&side.session) {
        side.assert_refused_at(NOBODY, &path, "that of user 65534");
        let (status, answer) = side.asked_by(ROOT, &path);
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let metrics = side.daemon.metrics();
    let refused = "http_requests_total{route=\"/api/v1/analytics/sessions/{id}/replay\",code=\"403\"} 2";
    assert!(metrics.contains(refused), "{metrics}");
}

#[test]
fn everybody_gets_spans_that_hold_no_text() {
    if !may_be_others() {
        return;
    }
    let (folder, config) = prepared("[]");
    fs::write(&config, "").unwrap();
    let side = Side::started("127.0.0.1:0", &[], folder, &config);
    let said = texts(&get(side.daemon.address, &side.replay()));
    for path in spans_of(&side.session) {
        let (status, answer) = side.asked_by(NOBODY, &path);
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(said.iter().find(|text| answer.contains(*text)), None, "{path}");
    }
}

/// Answers with spans.
fn spans_of(session: &str) -> [String; 4] {
    [
        "/jaeger/api/traces?service=claude-code".to_owned(),
        format!("/jaeger/api/traces/{session}"),
        format!("/jaeger/api/v3/traces/{session}"),
        "/jaeger/api/v3/trace-summaries?query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z"
            .to_owned(),
    ]
}

#[test]
fn a_user_who_hangs_up_is_not_taken_for_root() {
    if !may_be_others() {
        return;
    }
    let side = Side::with("[]");
    // The kernel says user 0 of a socket that nobody holds any more.
    let script = r#"for number in {1..20}; do exec 3<>"/dev/tcp/127.0.0.1/$0" && \
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$1" >&3 && exec 3>&-; done"#;
    let port = side.daemon.address.port().to_string();
    let status = as_user(NOBODY).args(["bash", "-c", script, &port, &side.replay()]).status().unwrap();
    assert!(status.success());
    let of_replays = |code: &str| {
        let metrics = side.daemon.metrics();
        let lines = metrics.lines().filter(|line| line.contains("http_requests_total{") && line.contains("/replay"));
        let line = lines.filter(|line| line.contains(code)).find_map(|line| line.rsplit(' ').next());
        line.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    side.daemon.until("all are answered", || (of_replays("403") + of_replays("200") == 20).then_some(()));
    assert_eq!(of_replays("200"), 0);
}

#[test]
fn another_connection_from_the_same_port_tells_nothing() {
    if !may_be_others() {
        return;
    }
    if Command::new("python3").arg("--version").output().is_err() {
        skip("there is no python3");
        return;
    }
    let side = Side::with("[]");
    // Root holds a connection to something else from the port from which a stranger asks.
    let script = r#"
import os, socket, sys
def connected(port, to):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port))
    one.connect(to)
    return one
other = socket.create_server(("127.0.0.1", 0), backlog=64)
held = [connected(0, other.getsockname()) for _ in range(16)]
os.setuid(65534)
for one in held:
    asking = connected(one.getsockname()[1], ("127.0.0.1", int(sys.argv[1])))
    asking.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % sys.argv[2].encode())
    print(asking.recv(12).decode())
"#;
    let port = side.daemon.address.port().to_string();
    let output = Command::new("python3").args(["-c", script, &port, &side.replay()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "HTTP/1.1 403\n".repeat(16));
}

#[test]
fn users_who_are_named_are_told() {
    if !may_be_others() {
        return;
    }
    let side = Side::with("[\"nobody\", \"1\"]");
    [ROOT, NOBODY, 1].iter().for_each(|user| side.assert_told(*user));
    side.assert_refused(BIN, "that of user 2");
    Side::with("[\"*\"]").assert_told(BIN);
}

#[test]
fn a_sidecar_of_another_user_tells_him_and_root() {
    if !may_be_others() {
        return;
    }
    let (folder, config) = prepared("[]");
    let all = Command::new("chown").args(["-R", "65534"]).arg(folder.path()).status().unwrap();
    assert!(all.success());
    // Where the program was built others may have no right to look.
    let program = folder.path().join("program");
    // Not written by this process: a child that another test starts meanwhile would hold it open, and it could not run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tailspan")).arg(&program).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&program, Some(NOBODY), None).unwrap();
    let become_him = format!("exec setpriv --reuid=65534 --regid=65534 --clear-groups {} \"$@\"", program.display());
    let side = Side::started("127.0.0.1:0", &["sh", "-c", &become_him], folder, &config);
    side.assert_told(NOBODY);
    side.assert_told(ROOT);
    side.assert_refused(BIN, "that of user 2: it is given to user 65534");
}

#[test]
fn where_the_system_does_not_tell_the_user_nobody_is_told() {
    // In a namespace whose only user has the number that stands for all others as well.
    let only_user = ["--user", "--map-user=65534", "--map-group=65534"];
    if !may_unshare(&only_user) || !may_be_others() {
        return;
    }
    let wrapper = [&["unshare"], &only_user[..]].concat();
    let side = Side::within(&wrapper, "[\"2\"]");
    side.assert_refused(BIN, "the system does not tell");
    side.assert_refused(ROOT, "the system does not tell");
    Side::within(&wrapper, "[\"*\"]").assert_told(BIN);
}

#[test]
fn a_user_whom_nobody_knows_is_refused_at_the_start() {
    let (folder, config) = prepared("[\"nobody\", \"nobdy\"]");
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let mut daemon =
        Daemon::spawn(&projects, &state, &["--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]);
    daemon.wait_for_log("`web.content_users` names `nobdy`, and there is no such user");
    assert_eq!(daemon.exit_code(), Some(2));
    assert!(!state.exists(), "it changes nothing");
}
