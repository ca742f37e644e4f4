//! Several OTLP endpoints in a file or a variable: what each has of its own, and what is wrong with one.

use std::time::Duration;

use tailspan::config::{Compression, Config, Env, Flags};

/// Resolves `file` and the variables. In messages, the file is `FILE`.
fn resolve(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailspan.toml");
    std::fs::write(&path, file).unwrap();
    let env: Env = variables.iter().copied().chain([("HOME", "/home/ada")]).collect();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    Config::resolve(&flags, &env).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

/// Names and URLs in order.
fn endpoints(file: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = resolve(file, variables).unwrap().otlp;
    all.into_iter().map(|otlp| (otlp.name, otlp.endpoint.to_string())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect()
}

fn check_refused(file: &str, variables: &[(&str, &str)], message: &str) {
    assert_eq!(resolve(file, variables).err().as_deref(), Some(message), "{file}{variables:?}");
}

#[test]
fn an_endpoint_is_one_line() {
    let further =
        "[otlp.endpoints]\njaeger = \"http://jaeger:4318\"\narchive = { endpoint = \"https://archive/otel\" }\n";
    let archive = ("archive", "https://archive/otel/v1/traces");
    let jaeger = ("jaeger", "http://jaeger:4318/v1/traces");
    assert_eq!(endpoints(further, &[]), pairs(&[archive, jaeger]));
    let both = format!("otlp.endpoint = \"http://a\"\n{further}");
    let default = ("default", "http://a/v1/traces");
    assert_eq!(endpoints(&both, &[]), pairs(&[default, archive, jaeger]));
    let variable = ("TAILSPAN_OTLP_ENDPOINTS", "x=http://x, y_2=http://y/v1/traces?a=b");
    let of_variable = [("x", "http://x/v1/traces"), ("y_2", "http://y/v1/traces?a=b")];
    assert_eq!(endpoints("", &[variable]), pairs(&of_variable));
    assert_eq!(endpoints(&both, &[variable]), pairs(&[&[default][..], &of_variable[..]].concat()));
    assert_eq!(endpoints(&both, &[variable, ("OTEL_SDK_DISABLED", "true")]), []);
    let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard");
    assert_eq!(endpoints("", &[standard, variable])[0].1, "http://standard/v1/traces");
}

#[test]
fn secrets_of_one_endpoint_are_not_those_of_another() {
    let file = "[otlp]\nendpoint = \"https://a\"\ntimeout = \"3s\"\ncompression = \"none\"\nca = \"~/ca.pem\"\n\
                certificate = \"/c\"\nkey = \"/k\"\nheaders = { x-key = \"secret\" }\n\
                [otlp.endpoints]\nplain = \"https://b\"\n\
                [otlp.endpoints.own]\nendpoint = \"https://c\"\ntimeout = \"5s\"\ncompression = \"gzip\"\nca = \"/own.pem\"\n\
                certificate = \"/oc\"\nkey = \"/ok\"\nheaders = { x-key = \"other\" }\n";
    let config = resolve(file, &[]).unwrap();
    assert_eq!(config.notices, [] as [String; 0]);
    let [default, own, plain] = &config.otlp[..] else { unreachable!("three endpoints are configured") };
    let client =
        |otlp: &tailspan::config::OtlpSettings| otlp.tls.client.clone().map(|client| (client.certificate, client.key));
    assert_eq!((default.headers.len(), client(default)), (1, Some(("/c".into(), "/k".into()))));
    assert_eq!((plain.headers.len(), client(plain)), (0, None));
    assert_eq!((plain.timeout, plain.compression), (Duration::from_secs(3), Compression::None));
    assert_eq!(plain.tls.ca, Some("/home/ada/ca.pem".into()));
    assert_eq!((own.timeout, own.compression), (Duration::from_secs(5), Compression::Gzip));
    assert_eq!((own.tls.ca.clone(), client(own)), (Some("/own.pem".into()), Some(("/oc".into(), "/ok".into()))));
    assert_eq!(own.headers["x-key"], "other");
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn what_has_no_effect_is_said() {
    let notices = |file: &str| {
        let notices = resolve(file, &[]).unwrap().notices;
        notices.iter().map(|notice| notice.split_once(", ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let file = "[otlp]\nca = \"/ca\"\nheaders = { a = \"b\" }\n[otlp.endpoints]\n\
                x = { endpoint = \"http://x\", ca = \"/x\" }\n";
    assert_eq!(
        notices(file),
        [
            "line 2: `otlp.ca` has no effect: no endpoint is https",
            "line 5: `otlp.endpoints.x.ca` has no effect: the endpoint is http, not https",
            "line 3: `otlp.headers` has no effect: there is no `otlp.endpoint`, and other endpoints do not take it",
        ]
    );
    assert_eq!(notices("otlp.ca = \"/ca\"\n[otlp.endpoints]\nx = \"http://x\"\ny = \"https://y\"\n"), [] as [&str; 0]);
}

#[test]
fn what_is_wrong_with_an_endpoint_names_it() {
    let url = "expected an http:// or https:// URL without user name, like \"http://127.0.0.1:4318\"";
    let name = "expected a name of at most 64 letters, digits, `-` and `_`, other than `default`, which is the one of \
                `otlp.endpoint`";
    let list = "expected a table of at most 16 endpoints, each a URL or a table with `endpoint` (in a variable: \
                name=URL,...)";
    for (table, rest) in [
        ("x = \"grpc://x\"", format!("`otlp.endpoints.x.endpoint` is \"grpc://x\", {url}")),
        ("x = 1", "`otlp.endpoints.x` is the integer 1, expected a URL, or a table with `endpoint`".to_owned()),
        ("x = { timeout = \"1s\" }", format!("`otlp.endpoints.x.endpoint` is missing, {url}")),
        (
            "x = { endpoint = \"http://x\", timeout = 3 }",
            "`otlp.endpoints.x.timeout` is the integer 3, expected a duration from 1ms to 10m, like \"10s\"".to_owned(),
        ),
        (
            "x = { endpoint = \"https://x\", key = \"/k\" }",
            "`otlp.endpoints.x.certificate` is missing, expected a PEM file with the client certificate for `key`"
                .to_owned(),
        ),
        ("default = \"http://x\"", format!("`otlp.endpoints` is a table with \"default\", {name}")),
        ("\"a b\" = \"http://x\"", format!("`otlp.endpoints` is a table with \"a b\", {name}")),
    ] {
        check_refused(&format!("[otlp.endpoints]\n{table}"), &[], &format!("FILE, line 2: {rest}"));
    }
    check_refused(
        "[otlp.endpoints.x]\nendpoint = \"http://x\"\nheader = { a = \"b\" }",
        &[],
        "FILE, line 3: unknown key `otlp.endpoints.x.header`; the nearest known key is `otlp.endpoints.x.headers`",
    );
    let variable = |text: &str, message: &str| {
        let place = "environment variable TAILSPAN_OTLP_ENDPOINTS";
        check_refused("", &[("TAILSPAN_OTLP_ENDPOINTS", text)], &format!("{place}: `otlp.endpoints` is {message}"));
    };
    variable("http://x?key=secret", &format!("a table with \"http://x?key\", {name}"));
    variable("secret", &format!("text that is not shown, {list}"));
    variable("x=http://x,x=http://y", &format!("a list with two of `x`, {list}"));
    let many: Vec<_> = (0..17).map(|number| format!("x{number}=http://x")).collect();
    variable(&many.join(","), &format!("a list of 17 endpoints, {list}"));
}
