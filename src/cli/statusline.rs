//! `tailspan statusline`: one line for the status line of Claude Code, which runs it after every answer and shows the
//! first line that it prints.
//!
//! What the client tells of the limits of the account is handed to the sidecar at the same time, whose answer says when a
//! window will be full. It must be quick and must not fail: whatever stands on standard input, a line is printed. The sidecar is asked all
//! questions at once and has a few milliseconds; what it does not tell in time is left out. The state is never read.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::answer::{self, count, list, number, text, tokens};
use super::ask::client;
use super::ask::question::Question;
use super::limits;
use super::report::blocks;
use super::report::draw::glyphs::Glyphs;
use super::report::zone;
use super::scan::{ScanError, print};
use crate::config::{Config, Env};
use crate::ledger::money::Money;
use crate::sidecar::clock;
use crate::transcript::time::Timestamp;
use crate::views::analytics::blocks::BLOCK_MS;
use crate::views::analytics::figures::{duration, grouped, money, short};
use crate::views::analytics::limits::sample::samples;
use crate::views::analytics::period::{Period, QUARTER_MS, Zone};

/// Most bytes of standard input that are read: the client writes about two thousand.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// How long the client has to write it.
const INPUT_PATIENCE: Duration = Duration::from_millis(500);

/// What stands between two parts of the line. A part of which a figure is not known is left out.
const BETWEEN: &str = " | ";

/// What is printed if no part is left.
const NOTHING: &str = "tailspan";

/// Prints the line; the sidecar has `patience` for all of its answers. Fails only if standard output cannot be written.
pub fn run(patience: Duration, config: &Config, env: &Env) -> Result<(), ScanError> {
    let format = &config.statusline.format;
    let told = told();
    let now = clock::now();
    let zone = zone::of_system(env).unwrap_or(Zone::UTC);
    let mut figures = of_client(&told);
    figures.extend(of_limits(&samples(&told, now).iter().map(limits::window).collect::<Vec<_>>(), now, zone));
    let asking = Asking { address: config.listen, patience, format, session: text(&told, "/session_id"), told: &told };
    figures.extend(asking.of_sidecar(now, zone));
    let line = filled(format, &figures);
    print(&format!("{}\n", Glyphs::of_locale(env).clean(&line)))
}

/// What the client tells; `null` if it is no JSON, if it does not come in time, or if a person sits at the other end.
fn told() -> Value {
    if io::stdin().is_terminal() {
        return Value::Null;
    }
    let (sender, told) = mpsc::channel();
    // The thread ends with the process if the other end stays open.
    thread::spawn(move || {
        let mut values = serde_json::Deserializer::from_reader(io::stdin().lock().take(INPUT_BYTES_MAX)).into_iter();
        // Nobody waits any more if this was too late.
        drop(sender.send(values.next().and_then(Result::ok)));
    });
    told.recv_timeout(INPUT_PATIENCE).ok().flatten().unwrap_or_default()
}

type Figures = BTreeMap<&'static str, String>;

/// The figures that the client itself knows.
fn of_client(told: &Value) -> Figures {
    let mut figures = Figures::new();
    let mut add = |name, figure: Option<String>| {
        if let Some(figure) = figure.filter(|figure| !figure.is_empty()) {
            figures.insert(name, figure);
        }
    };
    let cost = number(told, "/cost/total_cost_usd").map(|usd| money(Money::from_usd_f64(usd)));
    add("session", cost.clone());
    add("client", cost);
    add("model", text(told, "/model/display_name").or_else(|| text(told, "/model/id")).map(str::to_owned));
    let folder = text(told, "/workspace/project_dir").or_else(|| text(told, "/cwd"));
    add(
        "project",
        folder.and_then(|folder| folder.rsplit(['/', '\\']).find(|part| !part.is_empty())).map(str::to_owned),
    );
    add("version", text(told, "/version").map(str::to_owned));
    add("duration", number(told, "/cost/total_duration_ms").map(|milliseconds| duration(milliseconds / 1000.0)));
    add("lines_added", count(told, "/cost/total_lines_added").map(grouped));
    add("lines_removed", count(told, "/cost/total_lines_removed").map(grouped));
    figures
}

/// What is asked of whom.
struct Asking<'a> {
    address: SocketAddr,
    patience: Duration,
    format: &'a str,
    session: Option<&'a str>,
    told: &'a Value,
}

impl Asking<'_> {
    /// The figures that the sidecar tells in time, of those that the format names.
    fn of_sidecar(&self, now: Timestamp, zone: Zone) -> Figures {
        if self.address.port() == 0 {
            return Figures::new();
        }
        let today = zone.period(Period::Day, now).map(|today| today.start);
        let day = Question::of("costs").with("tz", zone.name()).within(today, None).with("limit", "1");
        // A block that runs has begun less than one block ago, after a gap; whole quarter hours are added up at once.
        let recent = Timestamp(now.0.saturating_sub(4 * BLOCK_MS).div_euclid(QUARTER_MS).saturating_mul(QUARTER_MS));
        let block = Question::of("costs").with("group_by", "block").within(Some(recent), None);
        let own = self.session.map(|id| Question::of("costs").with("session", id).with("limit", "1"));
        let limits = self.limits();
        let [day, block, own, limits] = thread::scope(|scope| {
            let asked = [
                self.wants(&["today", "budget"]).then_some((day, None)),
                self.wants(&["block"]).then_some((block, None)),
                own.filter(|_| self.wants(&["session"])).map(|question| (question, None)),
                limits,
            ];
            let asking = asked
                .map(|asked| scope.spawn(|| asked.and_then(|(question, body)| self.ask(&question, body.as_deref()))));
            asking.map(|thread| thread.join().ok().flatten())
        });
        let mut figures = Figures::new();
        figures.extend(day.as_ref().into_iter().flat_map(of_day));
        figures.extend(block.as_ref().into_iter().flat_map(|answer| of_block(answer, now)));
        figures.extend(own.as_ref().into_iter().flat_map(of_session));
        figures.extend(limits.iter().flat_map(|answer| of_limits(list(answer, "/windows"), now, zone)));
        figures
    }

    /// Whether the format names a figure whose name begins so.
    fn wants(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.format.contains(&format!("{{{name}")))
    }

    /// What the client told of limits, for the sidecar to keep, whatever the line shows; else the question for what is known,
    /// if the line shows it.
    fn limits(&self) -> Option<(Question, Option<Vec<u8>>)> {
        let told = self.told.get("rate_limits").filter(|limits| limits.as_object().is_some_and(|all| !all.is_empty()));
        match told {
            Some(limits) => Some((Question::limits(), serde_json::to_vec(&json!({"rate_limits": limits})).ok())),
            None => self.wants(&["limit"]).then(|| (Question::of("limits").with("limit", "0"), None)),
        }
    }

    fn ask(&self, question: &Question, body: Option<&[u8]>) -> Option<Value> {
        let reply = client::ask(self.address, question.target(), body, self.patience).ok();
        serde_json::from_slice(&reply.filter(|reply| reply.status == 200)?.body).ok()
    }
}

fn of_day(answer: &Value) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    if let Some(total) = answer.pointer("/total") {
        figures.extend(answer::money(total, "/cost_usd").map(|cost| ("today", money(cost))));
        figures.extend(tokens(total).map(|tokens| ("today_tokens", short(tokens))));
        figures.extend(count(total, "/turns").map(|turns| ("today_turns", grouped(turns))));
    }
    figures.extend(budget(answer).map(|budget| ("budget", budget)));
    figures
}

/// The budget of which the largest part is spent.
fn budget(answer: &Value) -> Option<String> {
    let known = list(answer, "/budgets").iter().filter_map(|budget| {
        let (spent, limit) = (answer::money(budget, "/spent_usd")?, answer::money(budget, "/limit_usd")?);
        Some((text(budget, "/name")?, spent, limit, text(budget, "/state")))
    });
    let used = |spent: Money, limit: Money| spent.to_f64() / limit.to_f64();
    let (name, spent, limit, state) = known.max_by(|a, b| used(a.1, a.2).total_cmp(&used(b.1, b.2)))?;
    let warning = match state {
        Some("over") => ", over",
        Some("expected_over") => ", will be over",
        _ => "",
    };
    Some(format!("{name} {} of {}{warning}", money(spent), money(limit)))
}

fn of_block(answer: &Value, now: Timestamp) -> Vec<(&'static str, String)> {
    let Some(block) = blocks::running(answer) else { return Vec::new() };
    let dollars = |place| answer::money(block, place).map(money);
    let figures = [
        ("block", dollars("/cost_usd")),
        ("block_left", blocks::left(block, now).map(|left| format!("{} left", duration(left)))),
        ("block_burn", dollars("/burn_usd_per_hour")),
        ("block_projected", dollars("/projected_usd")),
    ];
    figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect()
}

/// The session as the session files have it; nothing before its first row was read, so that the client's figure stays.
fn of_session(answer: &Value) -> Vec<(&'static str, String)> {
    let Some(total) = answer.pointer("/total").filter(|total| count(total, "/messages") != Some(0)) else {
        return Vec::new();
    };
    let cost = answer::money(total, "/cost_usd").map(|cost| ("session", money(cost)));
    let tokens = tokens(total).map(|tokens| ("session_tokens", short(tokens)));
    cost.into_iter().chain(tokens).collect()
}

/// The windows of limits: that which is nearest to its end, and each of the two that everybody has.
fn of_limits(windows: &[Value], now: Timestamp, zone: Zone) -> Figures {
    let brief = |window: &Value| limits::brief(window, now, zone);
    let named = |wanted: &str| windows.iter().find(|window| limits::name(window).as_deref() == Some(wanted));
    let all = [("limit", limits::nearest(windows)), ("limit_5h", named("5h")), ("limit_7d", named("7d"))];
    all.into_iter().filter_map(|(name, window)| Some((name, brief(window?)?))).collect()
}

/// The format with its figures. A part with a figure that is not known is left out; what is no name of a figure stays as
/// it is written.
fn filled(format: &str, figures: &Figures) -> String {
    let parts: Vec<String> = format.split(BETWEEN).filter_map(|part| filled_part(part, figures)).collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(BETWEEN) }
}

fn filled_part(part: &str, figures: &Figures) -> Option<String> {
    let mut out = String::new();
    let mut rest = part;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = behind.split_once('}').unwrap_or((behind, ""));
        match figures.get(name) {
            Some(figure) => out.push_str(figure),
            None if NAMES.contains(&name) => return None,
            None => out.push_str(rest.strip_prefix(before).and_then(|tail| tail.strip_suffix(after)).unwrap_or("")),
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Every name that a format may have in braces.
const NAMES: [&str; 20] = [
    "today",
    "today_tokens",
    "today_turns",
    "block",
    "block_left",
    "block_burn",
    "block_projected",
    "session",
    "session_tokens",
    "budget",
    "limit",
    "limit_5h",
    "limit_7d",
    "client",
    "model",
    "project",
    "version",
    "duration",
    "lines_added",
    "lines_removed",
];
