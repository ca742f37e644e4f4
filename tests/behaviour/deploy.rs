//! What stands in `deploy/` and is printed in the documents works with this program, and with what it is for.
//!
//! Programs: promtool, systemd-analyze, nginx, node, python3 with what `tests/support/deploy_tools.sh` installs. Without
//! one of them a test is skipped, except where CI=true. No container is started: there is no engine for it here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use clap::Parser;
use tailspan::cli::args::Args;
use tailspan::config::{Config, Env};

use crate::support::daemon::{DEADLINE, Daemon};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap()
}

/// Where CI runs nothing may be skipped.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI needs more: {why}");
    println!("skipped: {why}");
}

/// Runs a program in the top folder; `None` if it is not installed.
fn run(program: &str, arguments: &[&str], variables: &[(&str, &Path)]) -> Option<Output> {
    let mut command = Command::new(program);
    command.current_dir(top()).args(arguments).envs(variables.iter().copied());
    match command.output() {
        Ok(output) => Some(output),
        Err(_) => {
            skip(&format!("{program} is not installed"));
            None
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs `tests/support/deploy.py`; what it prints, or `None` if it lacks a module.
fn checked(arguments: &[&str]) -> Option<String> {
    let own = top().join("target/deploy-tools/venv/bin/python");
    let python = if own.exists() { own.to_str().unwrap() } else { "python3" };
    let output = run(python, &[&["tests/support/deploy.py"], arguments].concat(), &[])?;
    if output.status.code() == Some(77) {
        skip(&text(&output));
        return None;
    }
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Files below `folder` whose names end with one of `endings`.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut pending = vec![top().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if endings.iter().any(|ending| path.to_str().unwrap().ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut all = files("docs", &[".md"]);
    all.extend(
        ["README.md", "CONTRIBUTING.md", "deploy/README.md", "deploy/warehouse/README.md"].map(|name| top().join(name)),
    );
    all
}

/// `TAILSPAN_NAME`s in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
    let rests = text.split("TAILSPAN_").skip(1);
    let names = rests.map(|rest| format!("TAILSPAN_{}", rest.chars().take_while(is_of_name).collect::<String>()));
    // `TAILSPAN_*` in prose.
    names.filter(|name| name != "TAILSPAN_").collect()
}

fn resolve(variables: &BTreeMap<String, String>) -> Result<Config, String> {
    let env: Env = variables.iter().chain([(&"HOME".to_owned(), &"/home/ada".to_owned())]).collect();
    let args = Args::try_parse_from(["tailspan", "run"]).unwrap();
    Config::resolve(&args.flags(), &env).map_err(|error| error.to_string())
}

#[test]
fn every_variable_that_is_named_exists() {
    let mut seen = 0;
    for path in files("deploy", &[""]).into_iter().chain(documents()) {
        for name in variables(&fs::read_to_string(&path).unwrap()) {
            // Empty counts as not set, so that only the name matters.
            let empty = BTreeMap::from([(name, String::new())]);
            if let Err(error) = resolve(&empty) {
                panic!("{}: {error}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} variables were found");
}

#[test]
fn every_environment_of_a_container_can_be_used() {
    let Some(printed) = checked(&["environments"]) else { return };
    let all: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&printed).unwrap();
    assert!(all.len() >= 5, "{printed}");
    for (place, variables) in &all {
        let config = resolve(variables).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:9719", "{place}");
        assert!(config.notices.is_empty(), "{place}: {:?}", config.notices);
    }
    let hosts = resolve(&all["hosts.env"]).unwrap();
    assert_eq!(hosts.projects.len(), 2);
    // Without a Collector of that name, spans would fill the outbox and stop the reading.
    let sent: Vec<&str> = all
        .iter()
        .filter(|(_, variables)| !resolve(variables).unwrap().otlp.is_empty())
        .map(|(place, _)| place.as_str())
        .collect();
    assert_eq!(sent, ["compose"], "only the full stack brings an endpoint");
}

/// Links between data sources go by uid, and dashboards are imported beside sources that somebody made from any document.
#[test]
fn data_sources_and_addresses_have_one_name_everywhere() {
    let value = |line: &str, key: &str| Some(line.trim().trim_start_matches("- ").strip_prefix(key)?.trim().to_owned());
    let named = |text: &str| {
        let mut found = BTreeMap::new();
        let mut name = None;
        for line in text.lines().map(|line| line.split(" #").next().unwrap()) {
            name = value(line, "name:").or(name);
            if let Some(uid) = value(line, "uid:") {
                found.insert(uid, name.clone().unwrap());
            }
        }
        found
    };
    let folder = "deploy/compose/grafana/datasources";
    let own: BTreeMap<_, _> =
        files(folder, &[".yaml"]).iter().flat_map(|path| named(&fs::read_to_string(path).unwrap())).collect();
    assert_eq!(own["tailspan-jaeger"], "Claude Code turns");
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("localhost:9719"), "{}: the address is 127.0.0.1:9719", path.display());
        for (uid, name) in named(&text) {
            assert_eq!(own.get(&uid), Some(&name), "{}: {uid}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} data sources were found");
}

/// Arguments of every `tailspan` command line in the blocks of a document, without what the shell does with them.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            let words: Vec<&str> = line.split(" #").next().unwrap_or_default().split_whitespace().collect();
            let words: Vec<&str> = words.into_iter().skip_while(|word| *word == "$" || word.contains("=")).collect();
            let arguments = match words.as_slice() {
                ["tailspan", rest @ ..] => rest,
                ["cargo", "run", "--release", "--", rest @ ..] => rest,
                [program, rest @ ..] if program.ends_with("/tailspan") => rest,
                _ => continue,
            };
            let end = arguments.iter().position(|word| ["|", "&", ">", "2>", "&&", "\\"].contains(word));
            found.push(arguments[..end.unwrap_or(arguments.len())].iter().map(|word| (*word).to_owned()).collect());
        }
    }
    found
}

fn check_arguments(place: &str, arguments: &[String]) {
    let parsed = Args::try_parse_from([&["tailspan".to_owned()], arguments].concat());
    if let Err(error) = parsed {
        // `--version` and `--help` are answers.
        assert_eq!(error.exit_code(), 0, "{place}: tailspan {}: {error}", arguments.join(" "));
    }
}

#[test]
fn every_command_line_that_is_printed_is_taken() {
    let mut seen = 0;
    for path in documents() {
        for arguments in command_lines(&fs::read_to_string(&path).unwrap()) {
            check_arguments(&path.display().to_string(), &arguments);
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} command lines were found");
    let unit = read("deploy/systemd/tailspan.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=%h/.local/bin/tailspan ")).unwrap();
    check_arguments("systemd", &start.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    assert!(read("deploy/launchd/tailspan.plist").contains("exec /usr/local/bin/tailspan run 2&gt;&gt;"));
    assert!(read("deploy/Dockerfile").ends_with("ENTRYPOINT [\"/usr/bin/tailspan\"]\nCMD [\"run\"]\n"));
}

/// Files without which `cargo build` refuses the package or the source, as paths from the top.
fn files_of_the_build() -> BTreeSet<String> {
    let mut needed =
        BTreeSet::from(["Cargo.toml", "Cargo.lock", "build.rs", "src/lib.rs", "src/main.rs"].map(str::to_owned));
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for (kind, folder) in [("bench", "benches"), ("bin", "src/bin"), ("test", "tests"), ("example", "examples")] {
        for target in manifest.get(kind).and_then(toml::Value::as_array).into_iter().flatten() {
            let usual = || format!("{folder}/{}.rs", target["name"].as_str().unwrap());
            needed.insert(target.get("path").and_then(toml::Value::as_str).map_or_else(usual, str::to_owned));
        }
    }
    for source in files("src", &[".rs"]) {
        let text = fs::read_to_string(&source).unwrap();
        for call in ["include_str!(\"", "include_bytes!(\""] {
            for rest in text.split(call).skip(1) {
                let named = source.parent().unwrap().join(rest.split('"').next().unwrap()).canonicalize().unwrap();
                needed.insert(named.strip_prefix(top()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    needed
}

/// A pattern of COPY or .dockerignore: a file, a folder with all that is in it, or `folder/*.ending`.
fn covers(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => path
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|name| !name.is_empty() && !name.contains('/')),
        None => path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

#[test]
fn the_image_is_built_from_all_that_cargo_asks_for() {
    let dockerfile = read("deploy/Dockerfile");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|rest| !rest.starts_with('-'));
    let copied: Vec<&str> = copies
        .flat_map(|rest| {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (to, from) = words.split_last().unwrap();
            for pattern in from {
                // It lands where it lay.
                let folder = pattern.rsplit_once('/').map_or("./", |(folder, _)| folder);
                assert!(to == pattern || to.trim_end_matches('/') == folder.trim_end_matches('/'), "COPY {rest}");
            }
            from.to_vec()
        })
        .collect();
    let ignore = read("deploy/Dockerfile.dockerignore");
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "nothing is sent but what is named");
    let needed = files_of_the_build();
    assert!(needed.contains("benches/micro.rs") && needed.contains("src/ledger/prices.json"), "{needed:?}");
    for path in needed {
        assert!(top().join(&path).is_file(), "{path}");
        assert!(copied.iter().any(|pattern| covers(pattern, &path)), "{path} is not copied into the image");
        assert!(sent.iter().any(|pattern| covers(pattern, &path)), "{path} is kept back by .dockerignore");
    }
}

#[test]
fn prometheus_takes_every_configuration() {
    for path in files("deploy/prometheus", &[".yml"]) {
        let Some(output) = run("promtool", &["check", "config", path.to_str().unwrap()], &[]) else { return };
        assert!(output.status.success(), "{}: {}", path.display(), text(&output));
    }
}

#[test]
fn systemd_takes_the_unit() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join(".local/bin");
    fs::create_dir_all(&bin).unwrap();
    // It looks whether the program exists.
    fs::copy(env!("CARGO_BIN_EXE_tailspan"), bin.join("tailspan")).unwrap();
    let variables = [("HOME", home.path()), ("XDG_RUNTIME_DIR", home.path())];
    let unit = "deploy/systemd/tailspan.service";
    let Some(output) = run("systemd-analyze", &["verify", "--user", unit], &variables) else { return };
    // An unknown key is only said, not refused.
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
    let security = ["security", "--offline=true", "--user", "--threshold=45", "--no-pager", unit];
    let output = run("systemd-analyze", &security, &variables).unwrap();
    assert!(output.status.success(), "more exposed than 4.5: {}", text(&output));
}

#[test]
fn launchd_can_read_the_property_list() {
    checked(&["plist"]);
}

#[test]
fn every_yaml_file_is_well_formed() {
    checked(&["yaml"]);
}

#[test]
fn compose_takes_both_stacks_and_what_they_mount_exists() {
    checked(&["compose"]);
}

#[test]
fn kubernetes_takes_every_manifest() {
    checked(&["kubernetes"]);
    let Some(objects) = checked(&["operator"]) else { return };
    check_operator(&objects);
}

/// Checks resources of the Prometheus operator (a JSON list) against its own types.
fn check_operator(objects: &str) {
    if !top().join("target/deploy-tools/node_modules").exists() {
        return skip("tests/support/deploy_tools.sh has not run");
    }
    let mut child = Command::new("node")
        .current_dir(top())
        .args(["tests/support/deploy_operator.mjs", "target/deploy-tools"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{}", text(&output));
}

#[test]
fn grafana_is_given_sources_that_lead_to_each_other() {
    checked(&["grafana"]);
}

#[test]
fn the_collector_and_tempo_are_fit_for_late_spans() {
    checked(&["pipelines"]);
}

const RULES: &str = "# Kept.\ngroups:\n- name: tailspan\n  rules:\n  - alert: Down\n    expr: |\n      up{job=\"tailspan\"}\n      \
                     == 0\n    annotations: { summary: \"down: {{ $labels.instance }}\" }\n";

#[test]
fn rules_and_dashboards_become_kubernetes_objects_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let sample = folder.path().join("dashboards");
    fs::create_dir_all(sample.join("rules")).unwrap();
    fs::write(sample.join("rules/tailspan-alerts.yaml"), RULES).unwrap();
    fs::write(sample.join("Overview.json"), "{\"title\": \"Überblick\",\n \"uid\": \"a\"}\n").unwrap();
    let own = top().join("dashboards");
    for source in [&sample, &own] {
        // Made elsewhere; the sample shows what happens to them.
        if !source.join("rules").exists() {
            continue;
        }
        let from = source.to_str().unwrap();
        let Some(output) = run("python3", &["deploy/kubernetes/generate.py", "--from", from], &[]) else { return };
        assert!(output.status.success(), "{}", text(&output));
        let made = folder.path().join("made.yaml");
        fs::write(&made, &output.stdout).unwrap();
        let Some(printed) = checked(&["generated", made.to_str().unwrap(), from]) else { return };
        assert!(printed.contains(".json") && printed.contains(".yaml"), "{printed}");
    }
    let empty = folder.path().to_str().unwrap();
    let output = run("python3", &["deploy/kubernetes/generate.py", "--from", empty], &[]).unwrap();
    assert!(!output.status.success(), "an empty folder is a mistake");
}

/// nginx with the configuration of the pods, on other ports.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(folder: &Path, upstream: SocketAddr) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = read("deploy/kubernetes/base/metrics-proxy.conf")
            .replace("127.0.0.1:9719", &upstream.to_string())
            .replace("listen 9720", &format!("listen {address}"))
            .replace("/tmp/", &format!("{}/", folder.display()));
        let config = folder.join("nginx.conf");
        fs::write(&config, text).unwrap();
        let child = Command::new("nginx")
            .args(["-c", config.to_str().unwrap(), "-e", "/dev/stderr", "-g", "daemon off;"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Self { child, address }),
            Err(_) => {
                skip("nginx is not installed");
                None
            }
        }
    }

    /// Status line and headers, and body, of a request as Prometheus sends it to the address of a pod.
    fn ask(&self, method: &str, path: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: 10.1.2.3:9720\r\nAccept: {accept}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned()))
    }

    fn status(&self, method: &str, path: &str) -> String {
        self.ask(method, path).unwrap().0.split_whitespace().nth(1).unwrap().to_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_pod_shows_its_metrics_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let projects = top().join("fixtures/recordings/2.1.330/b_tools/projects");
    let daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    daemon.metrics();
    let Some(proxy) = Proxy::start(folder.path(), daemon.address) else { return };
    let (head, body) = daemon.until("the proxy answers", || proxy.ask("GET", "/metrics"));
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
    assert!(body.contains("tailspan_lifetime_cost_usd") && body.ends_with("# EOF\n"), "{body}");
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(proxy.status("GET", path), "200", "{path}");
    }
    for path in ["/", "/api/v1/analytics/sessions", "/jaeger/api/services", "/metrics/..;/api/v1/analytics/sessions"] {
        assert_eq!(proxy.status("GET", path), "404", "{path}");
    }
    assert_eq!(proxy.status("POST", "/metrics"), "403");
    assert_eq!(daemon.stop(), Some(0));
}
