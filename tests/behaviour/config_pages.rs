//! The address under which people reach the pages: what it is without a setting, and what a setting may say.

use tailspan::config::{Config, Env, Flags};

/// The address that a file, a variable and `--listen` make. In messages, the file is `FILE`.
fn url(file: &str, variable: Option<&str>, listen: Option<&str>) -> Result<Option<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailspan.toml");
    std::fs::write(&path, file).unwrap();
    let variable = variable.map(|value| ("TAILSPAN_WEB_URL", value));
    let env: Env = variable.into_iter().chain([("HOME", "/home/ada")]).collect();
    let flags = Flags { config: Some(path.clone()), listen: listen.map(str::to_owned), ..Flags::default() };
    let resolved = Config::resolve(&flags, &env).map(|config| config.web.url);
    resolved.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn told(file: &str, variable: Option<&str>, listen: Option<&str>) -> Option<String> {
    url(file, variable, listen).unwrap()
}

#[test]
fn the_address_of_the_pages_is_given_or_that_of_the_listener() {
    assert_eq!(told("", None, None).as_deref(), Some("http://127.0.0.1:9719"));
    assert_eq!(told("", None, Some("[::1]:3")).as_deref(), Some("http://[::1]:3"));
    assert_eq!(told("", None, Some("127.0.0.1:0")), None, "a free port is another one each time");
    let file = "listen = \"127.0.0.1:0\"\nweb.url = \"https://pages.example:8443/tail//\"";
    assert_eq!(told(file, None, None).as_deref(), Some("https://pages.example:8443/tail"));
    assert_eq!(told(file, Some("http://127.0.0.1:9720/"), None).as_deref(), Some("http://127.0.0.1:9720"));
}

#[test]
fn what_is_no_address_of_pages_is_refused_with_what_is_right() {
    let right = "expected an http:// or https:// URL without user name, query and fragment, like \
                 \"https://tailspan.example.org\"";
    let long = format!("http://a/{}", "b".repeat(512));
    for wrong in [
        "pages.example",
        "ftp://a",
        "http://",
        "http://a:port",
        "http://a/?b",
        "http://a/#b",
        "http://me@a",
        "http://a/<b>",
        "/tail",
        &long,
    ] {
        let refused = url(&format!("\nweb.url = \"{wrong}\""), None, None).unwrap_err();
        assert!(refused.starts_with("FILE, line 2: `web.url` is \"") && refused.ends_with(right), "{wrong}: {refused}");
        let refused = url("", Some(wrong), None).unwrap_err();
        assert!(refused.starts_with("environment variable TAILSPAN_WEB_URL: `web.url` is"), "{wrong}: {refused}");
    }
    let refused = url("web.urls = \"http://a\"", None, None).unwrap_err();
    assert_eq!(refused, "FILE, line 1: unknown key `web.urls`; the nearest known key is `web.url`");
}
