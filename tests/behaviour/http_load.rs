//! The server with many clients: who gives way, who is answered, and how much is made at once.

use std::time::Duration;

use tailspan::http::ServerLimits;

use crate::support::http::{Client, assert_problem, get, head};
use crate::support::serving::{MOMENT, Served};

/// Beyond the deadline of every read: what happens in these tests does not happen because a time has passed.
const NEVER: Duration = Duration::from_secs(600);

fn asking(served: &Served, path: &str) -> Client {
    let mut client = Client::connect(served.addr);
    client.send(head("GET", path, &[], 0).as_bytes());
    client
}

#[test]
fn idle_connections_give_way_to_a_scrape() {
    let served = Served::with(ServerLimits { send_timeout: NEVER, ..ServerLimits::default() });
    // More than there are seats; the first half has asked something, the second has said nothing yet.
    let mut idle: Vec<Client> = Vec::new();
    for number in 0..300 {
        let mut client = Client::connect(served.addr);
        if number < 150 {
            client.send(head("GET", "/items/a", &[], 0).as_bytes());
            assert_eq!(client.read().text(), "a");
        }
        idle.push(client);
    }
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert_eq!(get(served.addr, path).status, 200, "{path}");
    }
    // Those that were idle longest have gone, the others are still there.
    assert!(idle[0].ends() && idle[40].ends());
    for client in [149, 151, 299] {
        idle[client].send(head("GET", "/items/b", &[], 0).as_bytes());
        assert_eq!(idle[client].read().text(), "b");
    }
}

#[test]
fn a_busy_connection_is_answered_before_it_gives_way() {
    let served = Served::with(ServerLimits { connections_max: 1, send_timeout: NEVER, ..ServerLimits::default() });
    let mut first = asking(&served, "/wait");
    served.wait_until_held();
    let mut second = asking(&served, "/metrics");
    assert!(second.is_silent_for(MOMENT));
    served.release.send(()).unwrap();
    assert_eq!(first.read().text(), "waited");
    assert_eq!(second.read().status, 200);
    assert!(first.ends());
}

#[test]
fn the_idle_one_gives_way_and_not_the_busy_one() {
    let served = Served::with(ServerLimits { connections_max: 2, send_timeout: NEVER, ..ServerLimits::default() });
    let mut busy = asking(&served, "/wait");
    served.wait_until_held();
    let mut idle = asking(&served, "/items/a");
    assert_eq!(idle.read().text(), "a");
    assert_eq!(get(served.addr, "/metrics").status, 200);
    assert!(idle.ends());
    served.release.send(()).unwrap();
    assert_eq!(busy.read().text(), "waited");
    busy.send(head("GET", "/items/kept", &[], 0).as_bytes());
    assert_eq!(busy.read().text(), "kept");
}

#[test]
fn an_answer_to_a_question_counts_until_it_is_read() {
    let served = Served::with(ServerLimits { store_requests_max: 1, stall_timeout: NEVER, ..ServerLimits::default() });
    let mut slow = asking(&served, "/flood");
    assert_eq!(slow.read_head().0.status, 200);
    assert_problem(&get(served.addr, "/items/a"), 503, "too many requests are under way");
    assert_eq!(slow.read_body(64 * 1024 * 1024).len(), 64 * 1024 * 1024);
    slow.send(head("GET", "/items/a", &[], 0).as_bytes());
    assert_eq!(slow.read().text(), "a");
}

#[test]
fn questions_to_the_store_leave_connections_to_scrapes() {
    let limits =
        ServerLimits { connections_max: 4, store_requests_max: 2, send_timeout: NEVER, ..ServerLimits::default() };
    let served = Served::with(limits);
    let mut busy = [asking(&served, "/wait"), asking(&served, "/large/wait")];
    busy.iter().for_each(|_| served.wait_until_held());
    let refused = get(served.addr, "/items/a");
    assert_problem(&refused, 503, "too many requests are under way");
    assert_eq!(refused.header("retry-after"), Some("10"));
    for path in ["/metrics", "/-/healthy", "/-/ready", "/"] {
        assert_eq!(get(served.addr, path).status, 200, "{path}");
    }
    busy.iter().for_each(|_| served.release.send(()).unwrap());
    for client in &mut busy {
        assert_eq!(client.read().text(), "waited");
    }
    assert_eq!(get(served.addr, "/items/a").status, 200);
}

#[test]
fn many_clients_that_stay_may_come_at_once() {
    let limits = ServerLimits {
        connections_max: 2,
        store_requests_max: 1,
        feeds_max: 5,
        send_timeout: NEVER,
        ..ServerLimits::default()
    };
    let served = Served::with(limits);
    let mut staying: Vec<Client> = (0..5).map(|_| asking(&served, "/feed/wait")).collect();
    staying.iter().for_each(|_| served.wait_until_held());
    // They take no place from anybody else.
    for path in ["/metrics", "/items/a", "/-/healthy"] {
        assert_eq!(get(served.addr, path).status, 200, "{path}");
    }
    assert_problem(&get(served.addr, "/feed/wait"), 503, "too many clients follow what happens");
    staying.iter().for_each(|_| served.release.send(()).unwrap());
    for client in &mut staying {
        assert_eq!(client.read().text(), "waited");
    }
}

#[test]
fn a_client_that_has_shut_down_its_side_gets_its_answer() {
    let served = Served::new();
    let mut waiting = asking(&served, "/wait");
    waiting.shut_down();
    served.wait_until_held();
    served.release.send(()).unwrap();
    assert_eq!(waiting.read().text(), "waited");
    assert!(waiting.ends());
    let mut large = asking(&served, "/large");
    large.shut_down();
    assert_eq!(large.read().body.len(), 100_000);
    assert!(large.ends());
    let mut several = Client::connect(served.addr);
    several.send((head("GET", "/items/1", &[], 0) + &head("POST", "/items/2", &[], 4) + "body").as_bytes());
    several.shut_down();
    assert_eq!([several.read().text(), several.read().text()], ["1", "body"]);
    let mut silent = Client::connect(served.addr);
    silent.shut_down();
    assert!(several.ends() && silent.ends());
}

#[test]
fn large_answers_are_made_in_turn() {
    let served = Served::with(ServerLimits { large_handlers_max: 1, large_waiting_max: 1, ..ServerLimits::default() });
    let mut clients = [asking(&served, "/large/wait"), asking(&served, "/large/wait")];
    served.wait_until_held();
    // The other one waits; so everything but large answers is made.
    assert_eq!(get(served.addr, "/items/a").text(), "a");
    assert_eq!(get(served.addr, "/metrics").status, 200);
    served.release.send(()).unwrap();
    served.wait_until_held();
    served.release.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(client.read().text(), "waited");
    }
    assert_eq!(*served.app.context.large.lock().unwrap(), (0, 1), "one at once");
}

#[test]
fn beyond_those_that_wait_for_a_large_answer_the_next_is_refused() {
    let served = Served::with(ServerLimits { large_handlers_max: 1, large_waiting_max: 0, ..ServerLimits::default() });
    let mut first = asking(&served, "/large/wait");
    served.wait_until_held();
    let refused = get(served.addr, "/large/small");
    assert_problem(&refused, 503, "too many requests wait for large answers");
    assert_eq!(refused.header("retry-after"), Some("10"));
    served.release.send(()).unwrap();
    assert_eq!(first.read().text(), "waited");
    assert_eq!(get(served.addr, "/large/small").text(), "small");
}

#[test]
fn a_large_answer_keeps_its_room_until_it_is_read() {
    let served =
        Served::with(ServerLimits { answer_bytes_max: 1024 * 1024, stall_timeout: NEVER, ..ServerLimits::default() });
    // Has all the room, and stops reading behind the head.
    let mut slow = asking(&served, "/large/flood");
    let (_, length) = slow.read_head();
    let mut next = asking(&served, "/large/small");
    assert!(next.is_silent_for(MOMENT));
    assert_eq!(get(served.addr, "/items/a").status, 200);
    assert_eq!(length, Some(64 * 1024 * 1024));
    drop(slow);
    assert_eq!(next.read().text(), "small");
}

#[test]
fn the_user_that_the_server_runs_as_reads_what_quotes_conversations() {
    let served = Served::new();
    let mut client = Client::connect(served.addr);
    for _ in 0..2 {
        client.send(head("GET", "/private", &[], 0).as_bytes());
        assert_eq!(client.read().text(), "a conversation");
    }
}

#[test]
fn questions_and_bodies_that_arrive_for_hours_leave_connections_to_scrapes() {
    let limits = ServerLimits::default();
    assert!(limits.store_requests_max + limits.intakes_max + 16 <= limits.connections_max, "{limits:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_asks_whether_a_silent_client_is_still_there() {
    let served = Served::new();
    let mut client = asking(&served, "/items/a");
    assert_eq!(client.read().text(), "a");
    // Addresses are hexadecimal, and so is the kind of the timer: 02 asks.
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (own, other) = (format!(":{:04X}", served.addr.port()), format!(":{:04X}", client.local_port()));
    let is_its = |fields: &[&str]| fields[1].ends_with(&own) && fields[2].ends_with(&other);
    let mut rows = sockets.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let socket = rows.find(|fields| is_its(fields)).expect("the connection is there");
    assert!(socket[5].starts_with("02:"), "{socket:?}");
}
