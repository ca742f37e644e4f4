//! A file, an environment and flags in; a configuration or a message out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tailspan::cli::args::{Args, Command};
use tailspan::config::{
    ClientTls, Compression, Config, ConfigError, Env, Flags, HistorySince, LogFormat, ProjectLabel, ScanFormat,
    SetPlaces, Tls, known_keys,
};
use tailspan::ledger::prices::Rate;
use tailspan::transcript::time::Timestamp;

const HOME: (&str, &str) = ("HOME", "/home/ada");
const EXAMPLE: &str = include_str!("../../deploy/tailspan.toml");

/// Resolves `file` (if not empty), the variables and the arguments after `tailspan`. In messages, the file is `FILE`.
fn resolve(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tailspan.toml");
    let arguments = if arguments.is_empty() { &["run"] } else { arguments };
    let args = Args::try_parse_from(["tailspan"].iter().chain(arguments)).map_err(|error| error.to_string())?;
    let mut flags = args.flags();
    if !file.is_empty() {
        std::fs::write(&path, file).unwrap();
        flags.config = Some(path.clone());
    }
    let env: Env = variables.iter().copied().chain([HOME]).collect();
    Config::resolve(&flags, &env).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn config(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Config {
    resolve(file, variables, arguments).unwrap()
}

/// Checks the whole message, because the message is what the user has.
fn check_refused(file: &str, variables: &[(&str, &str)], arguments: &[&str], message: &str) {
    assert_eq!(resolve(file, variables, arguments).err().as_deref(), Some(message), "{file}{variables:?}{arguments:?}");
}

fn endpoint(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Option<String> {
    config(file, variables, arguments).otlp.first().map(|otlp| otlp.endpoint.to_string())
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = config("", &[], &[]);
    assert!(config.projects.is_empty() && config.otlp.is_empty() && config.notices.is_empty());
    assert_eq!(config.state().unwrap(), Path::new("/home/ada/.local/state/tailspan"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:9719");
    assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Text));
    assert_eq!((config.traces.idle, config.traces.settle), (Duration::from_secs(1_800), Duration::from_secs(1)));
    assert_eq!(config.traces.history_since, HistorySince::Epoch);
    assert_eq!((config.metrics.series_max, config.metrics.projects_max), (500, 50));
    assert_eq!(config.metrics.project_label, ProjectLabel::Name);
    assert!(
        config.metrics.mcp_servers.is_empty() && config.web.hosts.is_empty() && config.web.content_users.is_empty()
    );
    assert_eq!((config.outbox.bytes_max, config.scan.rescan), (268_435_456, Duration::from_secs(3)));
    assert_eq!((config.scan.format, config.scan.sessions), (ScanFormat::Table, false));
    assert!(config.prices.overrides.is_empty() && config.resource.is_empty());
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let file = "listen = \"127.0.0.1:1\"\nlog_format = \"json\"\nprojects = [\"/file\"]\nstate = \"~/file\"\n\
                traces.history_since = \"all\"\nscan.format = \"json\"\n";
    let variables = [
        ("TAILSPAN_LISTEN", "127.0.0.1:2"),
        ("TAILSPAN_LOG_FORMAT", "text"),
        ("TAILSPAN_PROJECTS", "/a:/b,~/c"),
        ("TAILSPAN_STATE", "/variable"),
        ("TAILSPAN_TRACES_HISTORY_SINCE", "2026-11-01T00:00:00Z"),
    ];
    let from_file = config(file, &[], &[]);
    assert_eq!((from_file.listen.port(), from_file.log_format), (1, LogFormat::Json));
    assert_eq!(from_file.projects, [PathBuf::from("/file")]);
    assert_eq!(from_file.state().unwrap(), Path::new("/home/ada/file"));
    assert_eq!(from_file.traces.history_since, HistorySince::All);

    let from_variables = config(file, &variables, &[]);
    assert_eq!((from_variables.listen.port(), from_variables.log_format), (2, LogFormat::Text));
    assert_eq!(from_variables.projects, ["/a", "/b", "/home/ada/c"].map(PathBuf::from));
    assert_eq!(from_variables.state().unwrap(), Path::new("/variable"));
    let november = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
    assert_eq!(from_variables.traces.history_since, HistorySince::Time(november));

    let arguments = "run --listen [::1]:3 --log-format json --projects /x --projects /y --state /flag \
                     --traces-history-since all";
    let from_flags = config(file, &variables, &arguments.split_whitespace().collect::<Vec<_>>());
    assert_eq!((from_flags.listen.to_string().as_str(), from_flags.log_format), ("[::1]:3", LogFormat::Json));
    assert_eq!(from_flags.projects, ["/x", "/y"].map(PathBuf::from));
    assert_eq!(from_flags.state().unwrap(), Path::new("/flag"));
    assert_eq!(from_flags.traces.history_since, HistorySince::All);
}

#[test]
fn every_layer_of_the_endpoint() {
    let file = "otlp.endpoint = \"http://file\"";
    let variable = ("TAILSPAN_OTLP_ENDPOINT", "http://variable");
    let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4318/base/");
    let for_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/as/is");
    let flag = ["run", "--otlp-endpoint", "http://flag:4318/v1/traces"];
    let all = [variable, standard, for_traces];
    assert_eq!(endpoint("", &[standard], &[]).unwrap(), "http://standard:4318/base/v1/traces");
    assert_eq!(endpoint("", &[standard, for_traces], &[]).unwrap(), "http://traces/as/is");
    assert_eq!(endpoint(file, &[standard, for_traces], &[]).unwrap(), "http://file/v1/traces");
    assert_eq!(endpoint(file, &all, &[]).unwrap(), "http://variable/v1/traces");
    assert_eq!(endpoint(file, &all, &flag).unwrap(), "http://flag:4318/v1/traces");
    // Empty is not set, and a command that sends nothing has no endpoint.
    assert_eq!(endpoint("", &[("TAILSPAN_OTLP_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")], &[]), None);
    assert_eq!(endpoint(file, &all, &["scan"]), None);
}

#[test]
fn standard_variables_fill_what_our_keys_leave_open() {
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=all"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer%20abc%3D, x-tenant=a%2Cb"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_SERVICE_NAME", "my-claude"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=R%26D,,note=a%3Db"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
    ];
    let from_standard = config("", &standard, &[]);
    let otlp = &from_standard.otlp[0];
    assert_eq!((otlp.timeout, otlp.compression), (Duration::from_millis(2_500), Compression::None));
    assert_eq!(
        (&otlp.headers["authorization"], &otlp.headers["x-tenant"]),
        (&"Bearer abc=".parse().unwrap(), &"a,b".parse().unwrap())
    );
    assert!(!format!("{otlp:?}").contains("Bearer"), "a header value is a secret");
    let resource: Vec<_> = from_standard.resource.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(resource, ["note=a=b", "service.name=my-claude", "team=R&D"]);
    assert_eq!(
        from_standard.notices,
        ["environment variable OTEL_EXPORTER_OTLP_CERTIFICATE: `otlp.ca` has no effect: no endpoint is https"]
    );

    let file = "[otlp]\ntimeout = \"1m30s\"\ncompression = \"gzip\"\nheaders = { x-tenant = \"c\" }\n";
    let otlp = config(file, &standard, &[]).otlp.remove(0);
    assert_eq!((otlp.timeout, otlp.compression), (Duration::from_secs(90), Compression::Gzip));
    assert_eq!((otlp.headers.len(), &otlp.headers["x-tenant"]), (1, &"c".parse().unwrap()));
    let otlp = config(file, &[&standard[..], &[("TAILSPAN_OTLP_HEADERS", "y=%20d")]].concat(), &[]).otlp.remove(0);
    assert_eq!((otlp.headers.len(), &otlp.headers["y"]), (1, &" d".parse().unwrap()));
}

#[test]
fn the_standard_switch_turns_export_off_and_says_so() {
    let variables = [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let config = config("", &variables, &["run", "--otlp-endpoint", "http://127.0.0.1:4318"]);
    assert!(config.otlp.is_empty());
    assert_eq!(config.notices, ["OTEL_SDK_DISABLED is true: nothing is exported, although there is an OTLP endpoint"]);
}

#[test]
fn another_transport_is_refused_where_it_would_be_used() {
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")];
    let message = "environment variable OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\", but this version sends OTLP as \
                   http/protobuf only; set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf and an OTLP/HTTP endpoint \
                   (usually port 4318), or OTEL_SDK_DISABLED=true to switch export off";
    check_refused("", &grpc, &[], message);
    check_refused("otlp.endpoint = \"http://a\"", &grpc[..1], &[], message);
    // Set for Claude Code itself, these are none of our business.
    assert!(config("", &grpc[..1], &[]).otlp.is_empty());
    assert!(config("", &grpc, &["scan"]).otlp.is_empty());
    let scan = config("", &[("OTEL_RESOURCE_ATTRIBUTES", "broken")], &["scan"]);
    assert!(scan.notices[0].contains("OTEL_RESOURCE_ATTRIBUTES"), "{:?}", scan.notices);
}

#[test]
fn certificates_come_from_keys_and_standard_variables() {
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/all.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/traces.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/client.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/client.key"),
    ];
    let tls = |file: &str, variables: &[(&str, &str)]| {
        let config = config(file, variables, &[]);
        assert!(config.notices.is_empty(), "{:?}", config.notices);
        let Tls { ca, client } = config.otlp[0].tls.clone();
        (ca, client.map(|ClientTls { certificate, key }| (certificate, key)))
    };
    let client = |certificate: &str, key: &str| Some((PathBuf::from(certificate), PathBuf::from(key)));
    assert_eq!(tls("", &standard[..1]), (None, None));
    assert_eq!(tls("", &standard), (Some("/traces.pem".into()), client("/client.pem", "/client.key")));
    let file = "[otlp]\nca = \"~/ca.pem\"\nkey = \"own.key\"\n";
    assert_eq!(tls(file, &standard), (Some("/home/ada/ca.pem".into()), client("/client.pem", "own.key")));

    let key = "expected a PEM file with the private key of `certificate`";
    let endpoint = "otlp.endpoint = \"https://a\"\n";
    check_refused(
        &format!("{endpoint}otlp.certificate = \"/c\""),
        &[],
        &[],
        &format!("FILE, line 2: `otlp.key` is missing, {key}"),
    );
    let certificate = "expected a PEM file with the client certificate for `key`";
    let message = format!("environment variable TAILSPAN_OTLP_KEY: `otlp.certificate` is missing, {certificate}");
    check_refused(endpoint, &[("TAILSPAN_OTLP_KEY", "/k")], &[], &message);
}

#[test]
fn only_loopback_addresses_are_served() {
    for (text, address) in [
        ("localhost:80", "127.0.0.1:80"),
        ("127.9.9.9:0", "127.9.9.9:0"),
        ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80"),
    ] {
        assert_eq!(config("", &[("TAILSPAN_LISTEN", text)], &[]).listen.to_string(), address);
    }
    let why = "which is not a loopback address; listening elsewhere needs authentication, which this version does not \
               have yet: use 127.0.0.1, [::1] or localhost";
    for text in ["0.0.0.0:9719", "[::]:9719", ":9719", "192.168.1.2:80", "example.com:80", "[::ffff:10.0.0.1]:80"] {
        check_refused("", &[], &["run", "--listen", text], &format!("--listen: `listen` is {text:?}, {why}"));
    }
    let form = "expected a loopback address with a port, like \"127.0.0.1:9719\"";
    for text in ["127.0.0.1", "9719", "localhost:70000", "http://localhost:1"] {
        let message = format!("environment variable TAILSPAN_LISTEN: `listen` is {text:?}, {form}");
        check_refused("", &[("TAILSPAN_LISTEN", text)], &[], &message);
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    for (file, line, key, nearest) in [
        ("lisen = \"a\"", 1, "lisen", "listen"),
        ("\n[trace]\nidle = \"1m\"", 3, "trace.idle", "traces.idle"),
        ("[traces]\n\nhistory_sinc = \"all\"", 3, "traces.history_sinc", "traces.history_since"),
        ("idle = \"1m\"", 1, "idle", "traces.idle"),
        ("[metrics.project]\nlabel = \"off\"", 2, "metrics.project.label", "metrics.project_label"),
    ] {
        let message = format!("FILE, line {line}: unknown key `{key}`; the nearest known key is `{nearest}`");
        check_refused(file, &[], &[], &message);
    }
    check_refused(
        "[[prices.overrides]]\nmodel = \"m\"\nimput = 1",
        &[],
        &[],
        "FILE, line 3: unknown key `prices.overrides[0].imput`; the nearest known key is `prices.overrides[0].input`",
    );
    for (name, nearest) in [("TAILSPAN_STAT", "TAILSPAN_STATE"), ("TAILSPAN_OTEL_ENDPOINT", "TAILSPAN_OTLP_ENDPOINT")] {
        let message = format!("unknown environment variable {name}; the nearest known one is {nearest}");
        check_refused("", &[(name, "")], &[], &message);
    }
    let of_others = [
        "TAILSPAN_TEST_SEED",
        "TAILSPAN_REVISION",
        "TAILSPAN_PORT",
        "TAILSPAN_PORT_9719_TCP_ADDR",
        "TAILSPAN_SERVICE_HOST",
    ];
    config("", &of_others.map(|name| (name, "x")), &[]);
}

#[test]
fn a_value_of_the_wrong_kind_names_key_place_and_what_is_expected() {
    let idle = "expected a duration from 1ms to 30d, like \"30m\"";
    let series = "expected an integer from 1 to 100000";
    let since = "expected \"all\" or an RFC 3339 time, like \"2026-11-01T00:00:00Z\"";
    let bytes = "expected a size from 1MiB to 1TiB, like \"256MiB\" or a number of bytes";
    let list = "expected a list of directories";
    let headers = "expected a table of HTTP header names with text values (in a variable: name=value,...)";
    for (file, rest) in [
        ("[traces]\nidle = 30", format!("line 2: `traces.idle` is the integer 30, {idle}")),
        ("traces.idle = \"30\"", format!("line 1: `traces.idle` is \"30\", {idle}")),
        ("traces.idle = \"31d\"", format!("line 1: `traces.idle` is \"31d\", {idle}")),
        ("traces.idle = \"99999999999999999d\"", format!("line 1: `traces.idle` is \"99999999999999999d\", {idle}")),
        ("traces = 1", "line 1: `traces` is the integer 1, expected a table".to_owned()),
        ("traces.history_since = \"yesterday\"", format!("line 1: `traces.history_since` is \"yesterday\", {since}")),
        ("metrics.series_max = \"500\"", format!("line 1: `metrics.series_max` is \"500\", {series}")),
        ("metrics.series_max = 0", format!("line 1: `metrics.series_max` is \"0\", {series}")),
        ("metrics.series_max = 1.5", format!("line 1: `metrics.series_max` is the number 1.5, {series}")),
        ("outbox.bytes_max = \"1KiB\"", format!("line 1: `outbox.bytes_max` is \"1KiB\", {bytes}")),
        ("outbox.bytes_max = true", format!("line 1: `outbox.bytes_max` is the boolean true, {bytes}")),
        ("projects = \"/a\"", format!("line 1: `projects` is \"/a\", {list}")),
        ("projects = [1]", format!("line 1: `projects` is an array with other things than text, {list}")),
        ("log_format = \"xml\"", "line 1: `log_format` is \"xml\", expected \"text\" or \"json\"".to_owned()),
        (
            "otlp.headers = { \"a b\" = \"secret\" }",
            format!("line 1: `otlp.headers` is a table whose values are not shown, {headers}"),
        ),
        (
            "web.hosts = [\"http://a\"]",
            "line 1: `web.hosts` is \"http://a\", expected a list of host names without scheme, port or wildcard"
                .to_owned(),
        ),
        (
            "web.content_users = [\"a b\"]",
            "line 1: `web.content_users` is \"a b\", expected a list of user names or numbers, or \"*\" for everybody"
                .to_owned(),
        ),
        ("log = \"a\"\nlog = \"b\"", "line 2: duplicate key".to_owned()),
        ("listen = ", "line 1: string values must be quoted, expected literal string".to_owned()),
    ] {
        check_refused(file, &[], &[], &format!("FILE, {rest}"));
    }
}

#[test]
fn values_of_variables_and_flags_are_checked_alike() {
    let place = "environment variable";
    let url = "expected an http:// or https:// URL without user name, like \"http://127.0.0.1:4318\"";
    let headers = "expected a table of HTTP header names with text values (in a variable: name=value,...)";
    let otlp = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
    for (name, value, rest) in [
        (
            "TAILSPAN_METRICS_SERIES_MAX",
            "many",
            "`metrics.series_max` is \"many\", expected an integer from 1 to 100000",
        ),
        ("TAILSPAN_SCAN_SESSIONS", "yes", "`scan.sessions` is \"yes\", expected true or false"),
        ("TAILSPAN_OTLP_COMPRESSION", "zstd", "`otlp.compression` is \"zstd\", expected \"gzip\" or \"none\""),
        ("TAILSPAN_OTLP_HEADERS", "a=%zz", &format!("`otlp.headers` is text that is not shown, {headers}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", &format!("`otlp.headers` is text that is not shown, {headers}")),
        ("TAILSPAN_OTLP_ENDPOINT", "ftp://a", &format!("`otlp.endpoint` is \"ftp://a\", {url}")),
        ("TAILSPAN_OTLP_ENDPOINT", "localhost:4318", &format!("`otlp.endpoint` is \"localhost:4318\", {url}")),
        (
            "TAILSPAN_OTLP_ENDPOINT",
            "http://u:secret@a",
            &format!("`otlp.endpoint` is a URL with a user name, which is not shown, {url}"),
        ),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "10s",
            "`otlp.timeout` is \"10s\", expected a whole number of milliseconds from 1 to 600000",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team",
            "`resource attributes` is \"team\", expected name=value pairs, separated by commas, percent-encoded",
        ),
    ] {
        check_refused("", &[otlp, (name, value)], &[], &format!("{place} {name}: {rest}"));
    }
    check_refused(
        "",
        &[],
        &["run", "--otlp-endpoint", "grpc://a"],
        &format!("--otlp-endpoint: `otlp.endpoint` is \"grpc://a\", {url}"),
    );
    let since = "expected \"all\" or an RFC 3339 time, like \"2026-11-01T00:00:00Z\"";
    check_refused(
        "",
        &[],
        &["run", "--traces-history-since", "2026"],
        &format!("--traces-history-since: `traces.history_since` is \"2026\", {since}"),
    );
}

#[test]
fn text_that_is_not_utf8_is_refused_and_a_path_flag_may_be_so() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = std::ffi::OsString::from_vec(vec![b'/', 0xff]);
    let env: Env = [("TAILSPAN_STATE", bytes.clone())].into_iter().collect();
    let message = Config::resolve(&Flags::default(), &env).err().unwrap().to_string();
    assert_eq!(message, "environment variable TAILSPAN_STATE: `state` is not valid UTF-8, expected a directory");
    let flags = Flags { state: Some(bytes.clone().into()), ..Flags::default() };
    let config = Config::resolve(&flags, &Env::default()).unwrap();
    assert_eq!(config.state().unwrap(), Path::new(&bytes));
}

#[test]
fn durations_and_sizes() {
    let idle = |text: &str| config("", &[("TAILSPAN_TRACES_IDLE", text)], &[]).traces.idle;
    for (text, seconds) in [("250ms", 0.25), ("90s", 90.0), ("1h30m", 5_400.0), ("2d", 172_800.0), (" 1 m 5 s ", 65.0)]
    {
        assert_eq!(idle(text), Duration::from_secs_f64(seconds), "{text}");
    }
    for text in ["10", "s", "-1s", "1.5s", "1w", "0s"] {
        assert!(resolve("", &[("TAILSPAN_TRACES_IDLE", text)], &[]).is_err(), "{text}");
    }
    let size = |value: &str| config(&format!("outbox.bytes_max = {value}"), &[], &[]).outbox.bytes_max;
    assert_eq!(
        ["\"256MiB\"", "\"1 gib\"", "\"5MB\"", "2_000_000", "0x200000", "\"2000kB\""].map(size),
        [268_435_456, 1_073_741_824, 5_000_000, 2_000_000, 2_097_152, 2_000_000]
    );
    assert_eq!(config("", &[("TAILSPAN_OUTBOX_BYTES_MAX", "1TiB")], &[]).outbox.bytes_max, 1 << 40);
}

#[test]
fn the_state_needs_a_place_only_when_it_is_asked_for() {
    let state = |variables: &[(&str, &str)]| {
        let config = Config::resolve(&Flags::default(), &variables.iter().copied().collect::<Env>()).unwrap();
        config.state().map(Path::to_owned)
    };
    assert_eq!(state(&[HOME, ("XDG_STATE_HOME", "/xdg")]).unwrap(), Path::new("/xdg/tailspan"));
    assert_eq!(state(&[HOME, ("XDG_STATE_HOME", "relative")]).unwrap(), Path::new("/home/ada/.local/state/tailspan"));
    let error = state(&[]).unwrap_err();
    assert!(matches!(error, ConfigError::NoState));
    assert_eq!(
        error.to_string(),
        "no place for the state: give `state` (--state, TAILSPAN_STATE), or set XDG_STATE_HOME or HOME"
    );
}

#[test]
fn prices_are_exact_amounts() {
    let file = "[[prices.overrides]]\nmodel = \"m\"\nfrom = 2026-10-07\ninput = 3\noutput = 0.10\ncache_read = \"0.30\"\n\
                cache_write_5m = 3.750\ncache_write_1h = 1_000\n\
                long_context = { above = 200_000, input = 1, output = 2, cache_read = 3, cache_write_5m = 4, cache_write_1h = 5 }\n";
    let overrides = config(file, &[], &[]).prices.overrides;
    let price = &overrides[0];
    assert_eq!((price.from.as_deref(), price.until.as_deref()), (Some("2026-10-07"), None));
    let rates = [price.input, price.output, price.cache_read, price.cache_write_5m, price.cache_write_1h];
    assert_eq!(rates.map(Rate::picousd_per_token), [3_000_000, 100_000, 300_000, 3_750_000, 1_000_000_000]);
    let long_context = price.long_context.as_ref().unwrap();
    assert_eq!((long_context.above, long_context.cache_write_1h.picousd_per_token()), (200_000, 5_000_000));

    let rate = "expected USD per million tokens as a plain decimal, 0 to 1000000 with at most 6 decimals, like 3.75";
    let input = |given: &str, got: &str| {
        ("input = 3\n", format!("input = {given}\n"), format!("4: `prices.overrides[0].input` is {got}, {rate}"))
    };
    let missing = "9: `prices.overrides[0].long_context.above` is missing, expected a whole number of prompt tokens";
    let day = "3: `prices.overrides[0].from` is \"2026-13-07\", expected a day (UTC), like \"2026-10-07\"";
    let long = "9: `prices.overrides[0].long_context.input` is the number 1000000.1, expected";
    for (from, to, rest) in [
        ("input = 3\n", String::new(), format!("1: `prices.overrides[0].input` is missing, {rate}")),
        input("-3", "the integer -3"),
        input("3e0", "the number 3e0"),
        input("\"3.\"", "\"3.\""),
        input("\"x\"", "\"x\""),
        input("\"1.1234567\"", "\"1.1234567\""),
        ("above = 200_000, input = 1,", "above = 1, input = 1000000.1,".to_owned(), rate.replace("expected", long)),
        ("2026-10-07", "\"2026-13-07\"".to_owned(), day.to_owned()),
        ("above = 200_000, ", String::new(), missing.to_owned()),
    ] {
        check_refused(&file.replacen(from, &to, 1), &[], &[], &format!("FILE, line {rest}"));
    }
    check_refused(
        "prices.overrides = 1",
        &[],
        &[],
        "FILE, line 1: `prices.overrides` is the integer 1, expected an array of tables ([[prices.overrides]])",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let flags = Flags { config: Some("/nowhere/tailspan.toml".into()), ..Flags::default() };
    let error = Config::resolve(&flags, &Env::default()).err().unwrap();
    assert_eq!(error.to_string(), "cannot read the configuration file /nowhere/tailspan.toml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let mut shown = config(EXAMPLE, &[], &[]);
    // It says the same, elsewhere.
    shown.places = SetPlaces::default();
    assert_eq!(format!("{shown:?}"), format!("{:?}", config("", &[], &[])));

    // Keys without a default are comments without a space after the sign.
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let complete = config(&uncommented, &[], &[]);
    assert!(complete.otlp[0].headers.len() == 1 && complete.prices.overrides.len() == 1);
    let table: toml::Table = uncommented.parse().unwrap();
    let mut shown = BTreeSet::new();
    for (name, value) in &table {
        match value {
            toml::Value::Table(section) if !known_keys().any(|key| key == name) => {
                shown.extend(section.keys().map(|key| format!("{name}.{key}")))
            }
            _ => drop(shown.insert(name.clone())),
        }
    }
    assert_eq!(shown, known_keys().map(str::to_owned).collect());
}

#[test]
fn arguments_stand_where_the_user_puts_them() {
    let args = |text: &str| Args::try_parse_from(text.split_whitespace()).map_err(|error| error.exit_code());
    let after =
        args("tailspan scan dir --sessions --format json --config a.toml --log-format json file.jsonl").unwrap();
    let flags = after.flags();
    assert_eq!((flags.config, flags.log_format.as_deref()), (Some("a.toml".into()), Some("json")));
    assert_eq!((flags.scan_format.as_deref(), flags.scan_sessions, flags.offline), (Some("json"), true, true));
    let Command::Scan(scan) = after.command else { panic!("scan was asked for") };
    assert_eq!(scan.dirs, ["dir", "file.jsonl"].map(PathBuf::from));
    assert_eq!(args("tailspan --config a.toml run").unwrap().flags().config, Some("a.toml".into()));
    for wrong in
        ["tailspan", "tailspan report", "tailspan run dir", "tailspan scan --format xml", "tailspan run --lisen a"]
    {
        assert_eq!(args(wrong).err(), Some(2), "{wrong}");
    }
    assert_eq!(args("tailspan --version").err(), Some(0));
}
