//! The server over real sockets on loopback: what it answers, what it refuses, where its limits are.

use std::io::Read;
use std::sync::atomic::Ordering;

use tailspan::http::{Server, ServerLimits};

use crate::support::http::{Client, assert_problem, get, head, post, raw, request};
use crate::support::serving::{MOMENT, Served};

#[test]
fn every_answer_forbids_caching_and_sniffing_and_has_no_cors() {
    let served = Served::new();
    for path in ["/", "/metrics", "/items/a", "/large", "/nowhere", "/broken"] {
        let reply = request(served.addr, "GET", path, &[("Origin", "http://evil.example")], b"");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"), "{path}");
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{path}");
    }
}

#[test]
fn landing_page_says_state_version_and_links() {
    let served = Served::new();
    let reply = get(served.addr, "/?from=bookmark");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in ["ready", "1.2.3&lt;&amp;", "/metrics", "/-/healthy", "/-/ready", "/api/v1/analytics/sessions"] {
        assert!(reply.text().contains(part), "{part}");
    }
    // Scripts are files of the program, and nothing comes from elsewhere.
    assert!(!reply.text().contains("<script>") && !reply.text().contains("http://"));
    assert!(reply.header("content-security-policy").unwrap().contains("script-src 'self'; style-src 'self';"));
    served.app.context.ready.store(false, Ordering::SeqCst);
    assert!(get(served.addr, "/").text().contains("first scan running: 3 of 7 files"));
}

#[test]
fn probes_and_metrics_follow_the_first_scan() {
    let served = Served::new();
    assert_eq!(get(served.addr, "/-/healthy").text(), "tailspan is healthy.\n");
    assert_eq!(get(served.addr, "/-/ready").status, 200);
    let metrics = request(served.addr, "GET", "/metrics", &[("Accept", "text/plain")], b"");
    assert_eq!(metrics.text(), "# text/plain\nup 1\n");
    let metrics = get(served.addr, "/metrics");
    assert_eq!((metrics.header("content-type"), metrics.text()), (Some("text/plain; version=0.0.4"), "# */*\nup 1\n"));
    served.app.context.ready.store(false, Ordering::SeqCst);
    assert_eq!(get(served.addr, "/healthz").status, 200);
    for path in ["/-/ready", "/metrics"] {
        let reply = get(served.addr, path);
        assert_eq!((reply.status, reply.text()), (503, "first scan is not complete: 3 of 7 files\n"), "{path}");
    }
}

#[test]
fn paths_find_their_route() {
    let served = Served::new();
    for (path, body) in [
        ("/items/first", "the first"),
        ("/items/a%2Fb%20%C3%A9+", "a/b é+"),
        ("/items/x/", "x"),
        ("/items/a/parts/b", r#"["a","b"]"#),
        ("http://127.0.0.1/items/absolute", "absolute"),
    ] {
        let reply = get(served.addr, path);
        assert_eq!((reply.status, reply.text()), (200, body), "{path}");
    }
    for path in ["/items", "/items/", "/items//parts/b", "/items/a/parts", "/items/a/parts/b/c", "/ITEMS/a"] {
        assert_problem(&get(served.addr, path), 404, path);
    }
    for path in ["/items/%", "/items/%4", "/items/%zz", "/items/%ff", "/items/%+1"] {
        assert_problem(&get(served.addr, path), 400, "percent-encoded");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let served = Served::new();
    let reply = post(served.addr, "/metrics", b"x");
    assert_problem(&reply, 405, "/metrics takes GET, HEAD, not POST");
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    let reply = request(served.addr, "PUT", "/items/a", &[], b"");
    assert_eq!(reply.header("allow"), Some("GET, HEAD, POST, DELETE"));
    assert_eq!(request(served.addr, "OPTIONS", "/items/a", &[], b"").status, 405);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let served = Served::new();
    let mut client = Client::connect(served.addr);
    for (path, length) in [("/large", 100_000), ("/items/abc", 3)] {
        client.send(head("HEAD", path, &[], 0).as_bytes());
        let (reply, stated) = client.read_head();
        assert_eq!((reply.status, stated), (200, Some(length)), "{path}");
    }
    // The next answer starts right behind: no body was sent.
    client.send(head("GET", "/items/after", &[], 0).as_bytes());
    assert_eq!(client.read().text(), "after");
}

#[test]
fn query_parameters_are_strict() {
    let served = Served::new();
    let ask = |query: &str| get(served.addr, &format!("/query?{query}"));
    for (query, answer) in [
        ("", "[null,null,null,null]"),
        ("text=&number=&choice=&time", "[null,null,null,null]"),
        ("text=a+b%26c%3d&number=1000&choice=down", r#"["a b&c=",1000,-1,null]"#),
        ("time=2026-01-31", "[null,null,null,1769817600000]"),
        ("time=2026-01-31T01:00:00%2B01:00", "[null,null,null,1769817600000]"),
        ("time=2026-01-31T01:00:00+01:00", "[null,null,null,1769817600000]"),
        ("time=2026-01-31T00:00:00.5Z", "[null,null,null,1769817600500]"),
    ] {
        let reply = ask(query);
        assert_eq!((reply.status, reply.text()), (200, answer), "{query}");
    }
    for (query, detail) in [
        ("number=0", "`number` takes a whole number from 1 to 1000, not `0`"),
        ("number=1001", "not `1001`"),
        ("number=%2B5", "not `+5`"),
        ("number=99999999999999999999", "`number`"),
        ("choice=sideways", "`choice` takes one of `up`, `down`, not `sideways`"),
        ("time=yesterday", "`time` takes a time in RFC 3339 (2026-01-31T09:30:00Z) or a date (2026-01-31)"),
        ("time=2026-02-30", "`time`"),
        ("time=2026-2-3", "`time`"),
        (
            "text=a&txet=b",
            "unknown: `txet`; the nearest to `txet` is `text`; this route takes `text`, `number`, `choice`, `time`",
        ),
        ("text=a&text=b", "`text` is given twice"),
        ("text=%e9", "percent-encoded"),
    ] {
        assert_problem(&ask(query), 400, detail);
    }
    assert_problem(&get(served.addr, "/large?x=1"), 400, "unknown: `x`; this route takes no parameters");
}

#[test]
fn parameters_have_defaults_other_names_and_may_come_again() {
    let served = Served::new();
    let ask = |query: &str| get(served.addr, &format!("/kinds?{query}"));
    for (query, answer) in [
        ("sure=true", "[1.5,true,[]]"),
        ("sure=false&size=-2e3", "[-2000.0,false,[]]"),
        ("sure=true&label=a&tag=b&label=&label=c", r#"[1.5,true,["a","b","c"]]"#),
    ] {
        let reply = ask(query);
        assert_eq!((reply.status, reply.text()), (200, answer), "{query}");
    }
    for (query, detail) in [
        ("", "`sure` is required"),
        ("sure=yes", "`sure` takes `true` or `false`, not `yes`"),
        ("sure=true&size=large", "`size` takes a number, not `large`"),
        ("sure=true&size=inf", "`size` takes a number, not `inf`"),
        ("sure=true&sure=true", "`sure` is given twice"),
        (
            "labels=a",
            "unknown: `labels`; the nearest to `labels` is `label`; this route takes `size`, `sure`, `label`, `tag`",
        ),
    ] {
        assert_problem(&ask(query), 400, detail);
    }
}

#[test]
fn gzip_is_for_large_answers_and_clients_that_take_it() {
    let served = Served::new();
    let ask = |path, accept| request(served.addr, "GET", path, &[("Accept-Encoding", accept)], b"");
    for accept in ["gzip", "br, GZIP;q=0.5", "*", "x-gzip"] {
        let reply = ask("/large", accept);
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{accept}");
        let mut text = String::new();
        flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "tail ".repeat(20_000));
    }
    for (path, accept) in [("/large", "br"), ("/large", "gzip;q=0, *"), ("/large", ""), ("/items/small", "gzip")] {
        assert_eq!(ask(path, accept).header("content-encoding"), None, "{path} {accept}");
    }
}

#[test]
fn the_host_must_be_this_server() {
    let served = Served::new();
    let port = served.addr.port();
    let ask = |host: &str| request(served.addr, "GET", "/items/a", &[("Host", host)], b"");
    let own = format!("127.0.0.1:{port}");
    assert_eq!(ask(&own).status, 200);
    let known = "127.0.0.1 localhost LOCALHOST:1 localhost. localhost: [::1] [::1]:9719 [::ffff:127.0.0.1] proxy \
                 tail.example.COM tail.example.com:9719";
    for host in known.split(' ') {
        assert_eq!(ask(host).status, 200, "{host}");
    }
    let foreign = "evil.example evil.example:9719 localhost.evil.example tail.example.com.evil 192.0.2.1 0.0.0.0 \
                   [2001:db8::1]";
    for host in foreign.split(' ') {
        assert_problem(&ask(host), 403, "Host header names");
    }
    for host in ["", ":80", "::1", "localhost:port", "localhost:99999", "evil@localhost", "[::1", "[::1]x"] {
        assert_problem(&ask(host), 400, "not a host");
    }
    assert_problem(&raw(served.addr, b"GET / HTTP/1.1\r\n\r\n"), 400, "no Host header");
    let twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    assert_problem(&raw(served.addr, twice), 400, "more than one Host");
    let absolute = b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_problem(&raw(served.addr, absolute), 403, "evil.example");
}

#[test]
fn a_write_from_another_site_is_refused() {
    let served = Served::new();
    let send = |method, headers: &[(&str, &str)]| request(served.addr, method, "/items/a", headers, b"body");
    let own = ("Host", "localhost:9719");
    for headers in [
        &[own][..],
        &[own, ("Origin", "http://localhost:9719"), ("Sec-Fetch-Site", "same-origin")],
        &[own, ("Sec-Fetch-Site", "none")],
        &[("Host", "proxy"), ("Origin", "https://PROXY:443")],
    ] {
        let reply = send("POST", headers);
        assert_eq!((reply.status, reply.text()), (200, "body"), "{headers:?}");
    }
    for headers in [
        &[own, ("Origin", "http://evil.example")][..],
        &[own, ("Origin", "http://localhost:3000")],
        &[own, ("Origin", "null")],
        &[own, ("Sec-Fetch-Site", "cross-site")],
        &[own, ("Sec-Fetch-Site", "same-site"), ("Origin", "http://localhost:9719")],
        &[("Host", "proxy"), ("Origin", "http://proxy:443")],
    ] {
        assert_problem(&send("POST", headers), 403, "another site");
        assert_problem(&send("DELETE", headers), 403, "another site");
    }
    let read = [own, ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(request(served.addr, "GET", "/items/a", &read, b"").status, 200);
}

#[test]
fn heads_have_limits() {
    let served = Served::new();
    let long = format!("/items/{}", "a".repeat(8 * 1024));
    assert_problem(&get(served.addr, &long), 414, "8192 bytes");
    let many: Vec<String> = (0..64).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(request(served.addr, "GET", "/", &many[..63], b"").status, 200);
    assert_eq!(request(served.addr, "GET", "/", &many, b"").status, 431);
    // Never complete, so that nothing is left unread when the server closes.
    let mut client = Client::connect(served.addr);
    client.send(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(16 * 1024 - 19)).as_bytes());
    assert_eq!(client.read().status, 431);
}

#[test]
fn bodies_have_a_limit() {
    let served = Served::with(ServerLimits { body_bytes_max: 1000, ..ServerLimits::default() });
    assert_eq!(post(served.addr, "/items/a", &[b'x'; 1000]).body, [b'x'; 1000]);
    let announced = raw(served.addr, head("POST", "/items/a", &[], 1001).as_bytes());
    assert_problem(&announced, 413, "1000 bytes");
    let chunked = head("POST", "/items/a", &[("Transfer-Encoding", "chunked")], 0);
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let streamed = raw(served.addr, format!("{chunked}{chunk}{chunk}1\r\nx\r\n").as_bytes());
    assert_problem(&streamed, 413, "1000 bytes");
    let fits = raw(served.addr, format!("{chunked}{chunk}{chunk}0\r\n\r\n").as_bytes());
    assert_eq!(fits.body.len(), 1000);
}

#[test]
fn slow_clients_are_cut_off() {
    let served = Served::with(ServerLimits { send_timeout: MOMENT, ..ServerLimits::default() });
    let mut silent = Client::connect(served.addr);
    let mut slow_head = Client::connect(served.addr);
    slow_head.send(b"GET / HTTP/1.1\r\nHost: local");
    let mut idle = Client::connect(served.addr);
    idle.send(head("GET", "/items/a", &[], 0).as_bytes());
    assert_eq!(idle.read().text(), "a");
    let mut slow_body = Client::connect(served.addr);
    slow_body.send(head("POST", "/items/a", &[], 100).as_bytes());
    slow_body.send(b"part of it");
    assert_problem(&slow_body.read(), 408, "within 0.5 s");
    for client in [&mut silent, &mut slow_head, &mut idle, &mut slow_body] {
        assert!(client.ends());
    }
}

#[test]
fn a_client_that_does_not_read_loses_its_connection() {
    let limits = ServerLimits { connections_max: 1, stall_timeout: MOMENT, ..ServerLimits::default() };
    let served = Served::with(limits);
    let mut deaf = Client::connect(served.addr);
    deaf.send(head("GET", "/flood", &[], 0).as_bytes());
    // Answered only once the only slot is free again.
    assert_eq!(get(served.addr, "/items/next").text(), "next");
}

#[test]
fn a_late_handler_is_a_problem_and_health_answers_meanwhile() {
    let limits = ServerLimits { answer_timeout: MOMENT, store_handlers_max: 1, ..ServerLimits::default() };
    let served = Served::with(limits);
    assert_problem(&get(served.addr, "/wait"), 503, "no answer within 0.5 s");
    served.wait_until_held();
    // The late handler still holds the only slot.
    assert_problem(&get(served.addr, "/items/a"), 503, "no answer");
    assert_eq!(get(served.addr, "/-/healthy").status, 200);
    assert_eq!(get(served.addr, "/metrics").status, 200);
}

#[test]
fn a_broken_handler_is_a_problem_and_the_next_one_answers() {
    let served = Served::with(ServerLimits { store_handlers_max: 1, ..ServerLimits::default() });
    assert_problem(&get(served.addr, "/broken"), 500, "the log says why");
    assert_eq!(get(served.addr, "/items/a").status, 200);
}

#[test]
fn shutdown_answers_what_is_in_flight() {
    let mut served = Served::new();
    let mut idle = Client::connect(served.addr);
    idle.send(head("GET", "/items/a", &[], 0).as_bytes());
    idle.read();
    let mut client = Client::connect(served.addr);
    client.send(head("GET", "/wait", &[], 0).as_bytes());
    served.wait_until_held();
    served.stop.send_replace(true);
    assert!(idle.ends());
    served.release.send(()).unwrap();
    let reply = client.read();
    assert_eq!((reply.status, reply.text()), (200, "waited"));
    assert!(client.ends());
    served.finish();
    assert!(std::net::TcpStream::connect(served.addr).is_err());
}

#[test]
fn shutdown_drops_what_does_not_end_in_time() {
    let mut served = Served::with(ServerLimits { shutdown_timeout: MOMENT, ..ServerLimits::default() });
    let mut client = Client::connect(served.addr);
    client.send(head("GET", "/wait", &[], 0).as_bytes());
    served.wait_until_held();
    served.finish();
    assert!(client.ends());
}

#[test]
fn connections_are_kept_and_pipelined_and_http_1_0_is_not_kept() {
    let served = Served::new();
    let mut client = Client::connect(served.addr);
    let two = head("GET", "/items/1", &[], 0) + &head("POST", "/items/2", &[], 4) + "body";
    client.send((two.clone() + &two).as_bytes());
    for expected in ["1", "body", "1", "body"] {
        assert_eq!(client.read().text(), expected);
    }
    let mut old = Client::connect(served.addr);
    old.send(b"GET /items/old HTTP/1.0\r\n\r\n");
    assert_eq!(old.read().text(), "old");
    assert!(old.ends());
}

#[test]
fn what_is_not_http_does_not_hurt() {
    let served = Served::new();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], b"GET /\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        assert_eq!(raw(served.addr, bytes).status, 400);
    }
    assert_eq!(get(served.addr, "/items/a").status, 200);
}

#[test]
fn requests_are_counted_by_pattern_and_status() {
    let served = Served::new();
    for path in ["/items/a", "/items/b", "/items/%", "/nowhere", "/query?x=1"] {
        get(served.addr, path);
    }
    request(served.addr, "PUT", "/items/a", &[], b"");
    request(served.addr, "GET", "/items/a", &[("Host", "evil.example")], b"");
    let counts = served.app.counters.snapshot();
    let lines: Vec<String> = counts.iter().map(|((route, code), count)| format!("{route} {code}: {count}")).collect();
    let expected = "/items/{id} 200: 2, /items/{id} 405: 1, /query 400: 1, other 400: 1, other 403: 1, other 404: 1";
    assert_eq!(lines.join(", "), expected);
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let served = Served::new();
    let error = Server::bind(served.addr, ServerLimits::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&served.addr.to_string()) && text.contains("in use") && text.contains("--listen"), "{text}");
}
