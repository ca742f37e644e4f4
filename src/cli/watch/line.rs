//! An event as a line for people: when, where, what, and how it went.

use serde_json::Value;
use unicode_width::UnicodeWidthChar;

use crate::cli::ask::answer::{count, money, number, text};
use crate::transcript::shown::is_visible;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, short, size};
use crate::views::analytics::period::Zone;

/// Columns of a line if standard output is no terminal.
const COLUMNS: usize = 200;

/// Characters of the id of a session that are printed, as `report` does.
const ID_CHARS: usize = 8;

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) zone: Zone,
    pub(super) colours: bool,
    /// Columns of a line; `None`: those of the terminal.
    pub(super) columns: Option<usize>,
    pub(super) json: bool,
}

/// Codes of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Dim,
    Bold,
    Good,
    Bad,
    Odd,
    Name,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Odd => "33",
            Self::Name => "36",
        }
    }
}

/// The parts of a line, each with its colour.
#[derive(Default)]
struct Parts(Vec<(String, Tone)>);

impl Parts {
    fn add(&mut self, part: impl Into<String>, tone: Tone) {
        let part = part.into();
        if !part.is_empty() {
            self.0.push((part, tone));
        }
    }
}

/// The line of an event, with its end.
pub(super) fn line(data: &Value, look: Look) -> String {
    let mut parts = Parts::default();
    let at = text(data, "/at").and_then(Timestamp::parse).and_then(|at| look.zone.clock(at)).unwrap_or_default();
    // The day is left out: it is today's.
    parts.add(at.split(' ').nth(1).unwrap_or_default(), Tone::Dim);
    let session: String = text(data, "/session").unwrap_or_default().chars().take(ID_CHARS).collect();
    let project = text(data, "/project").map(|project| format!("{project}/")).unwrap_or_default();
    parts.add(format!("{project}{session}"), Tone::Name);
    if let Some(agent) = text(data, "/agent") {
        parts.add(format!("({})", agent.chars().take(ID_CHARS).collect::<String>()), Tone::Dim);
    }
    match text(data, "/kind").unwrap_or_default() {
        "prompt" => {
            parts.add("prompt", Tone::Bold);
            parts.add(content(data), Tone::Plain);
            let unknown = text(data, "/content_unavailable").map(|why| format!("({why})"));
            parts.add(unknown.unwrap_or_default(), Tone::Dim);
        }
        "message" => message(data, &mut parts),
        "tool_call" => {
            parts.add(text(data, "/tool").unwrap_or("tool"), Tone::Bold);
            parts.add(input(data), Tone::Plain);
        }
        "tool_result" => result(data, &mut parts),
        "api_error" => api_error(data, &mut parts),
        "subagent_start" => {
            parts.add("sub-agent begins", Tone::Bold);
            parts.add(text(data, "/agent_type").unwrap_or_default(), Tone::Plain);
            parts.add(content(data), Tone::Plain);
        }
        "subagent_end" => {
            parts.add("sub-agent ended", Tone::Bold);
            parts.add(text(data, "/agent_type").unwrap_or_default(), Tone::Plain);
            ending(data, &mut parts);
        }
        "turn" => turn(data, &mut parts),
        "session" => {
            parts.add("session begins", Tone::Bold);
            parts.add(text(data, "/git_branch").unwrap_or_default(), Tone::Plain);
            parts.add(text(data, "/cwd").unwrap_or_default(), Tone::Dim);
        }
        "run" => run(data, &mut parts),
        "waiting" => change(data, ["waits", "waits no more"], Tone::Odd, &mut parts),
        "runaway" => change(data, ["runs away", "runs away no more"], Tone::Bad, &mut parts),
        other => {
            parts.add(other, Tone::Bold);
            ending(data, &mut parts);
        }
    }
    drawn(&parts, look)
}

fn message(data: &Value, parts: &mut Parts) {
    parts.add("answer", Tone::Bold);
    parts.add(text(data, "/model").unwrap_or_default(), Tone::Dim);
    parts.add(tokens(data), Tone::Dim);
    parts.add(cost(data, "/cost_usd"), Tone::Plain);
    parts.add(took(data), Tone::Dim);
    if data.pointer("/provisional") == Some(&Value::Bool(true)) {
        parts.add("so far", Tone::Dim);
    }
    if let Some(odd) = text(data, "/outcome").filter(|stop| !["tool_use", "end_turn", "stop_sequence"].contains(stop)) {
        parts.add(odd, Tone::Odd);
    }
    parts.add(content(data), Tone::Plain);
}

fn result(data: &Value, parts: &mut Parts) {
    parts.add(text(data, "/tool").unwrap_or("tool"), Tone::Bold);
    ending(data, parts);
    parts.add(number(data, "/exit_code").map(|code| format!("exit {code}")).unwrap_or_default(), Tone::Bad);
    parts.add(count(data, "/bytes").map(size).unwrap_or_default(), Tone::Dim);
    if text(data, "/outcome") != Some("ok") {
        parts.add(content(data), Tone::Plain);
    }
}

fn api_error(data: &Value, parts: &mut Parts) {
    parts.add("API error", Tone::Bad);
    parts.add(count(data, "/status").map(|status| status.to_string()).unwrap_or_default(), Tone::Bad);
    parts.add(text(data, "/outcome").unwrap_or_default(), Tone::Bad);
    if let Some(attempt) = count(data, "/attempt").filter(|attempt| *attempt > 0) {
        parts.add(format!("attempt {attempt}"), Tone::Plain);
    }
    if let Some(pause) = number(data, "/retry_in_seconds").filter(|pause| *pause > 0.0) {
        parts.add(format!("again in {}", duration(pause)), Tone::Dim);
    }
}

fn turn(data: &Value, parts: &mut Parts) {
    let turn = count(data, "/turn").map(|turn| format!(" {turn}")).unwrap_or_default();
    parts.add(format!("turn{turn} ended"), Tone::Bold);
    ending(data, parts);
    let [messages, calls] = ["/messages", "/tool_calls"].map(|place| count(data, place).unwrap_or_default());
    parts.add(format!("{}, {}", counted(messages, "answer"), counted(calls, "call")), Tone::Dim);
    let whole = money(data, "/cost_usd").zip(money(data, "/subagents_cost_usd")).map(|(own, below)| own + below);
    parts.add(whole.map(|cost| dollars(&cost.to_string())).unwrap_or_default(), Tone::Plain);
}

/// A run that began or ended.
fn run(data: &Value, parts: &mut Parts) {
    parts.add(if has_ended(data) { "run ended" } else { "run begins" }, Tone::Bold);
    parts.add(text(data, "/workflow").unwrap_or_default(), Tone::Plain);
    parts.add(text(data, "/run").unwrap_or_default().chars().take(ID_CHARS).collect::<String>(), Tone::Dim);
    if has_ended(data) {
        ending(data, parts);
        let reason = text(data, "/exit_reason").filter(|reason| *reason != "completed");
        parts.add(reason.unwrap_or_default(), Tone::Dim);
    }
}

/// Something that a session began to do, or ceased to, each in words, and why.
fn change(data: &Value, [began, ended]: [&str; 2], tone: Tone, parts: &mut Parts) {
    let (words, tone) = if has_ended(data) { (ended, Tone::Dim) } else { (began, tone) };
    parts.add(words, Tone::Bold);
    parts.add(text(data, "/reason").unwrap_or_default(), tone);
}

fn has_ended(data: &Value) -> bool {
    text(data, "/state") == Some("ended")
}

/// How something ended, and how long it took.
fn ending(data: &Value, parts: &mut Parts) {
    let outcome = text(data, "/outcome").unwrap_or_default();
    let tone = match outcome {
        "ok" | "stop" | "returned" | "success" => Tone::Good,
        "failed" | "api_error" | "killed" => Tone::Bad,
        _ if outcome.starts_with("error") => Tone::Bad,
        _ => Tone::Odd,
    };
    parts.add(outcome, tone);
    parts.add(took(data), Tone::Dim);
}

fn took(data: &Value) -> String {
    number(data, "/duration_seconds").map(duration).unwrap_or_default()
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

fn tokens(data: &Value) -> String {
    let of = |name: &str| count(data, &format!("/tokens/{name}")).unwrap_or_default();
    let read = of("input") + of("cache_read") + of("cache_write_5m") + of("cache_write_1h");
    format!("{} in, {} out", short(read), short(of("output")))
}

fn cost(data: &Value, place: &str) -> String {
    text(data, place).map(dollars).unwrap_or_default()
}

/// An amount with four digits behind the point; more would tell a person nothing.
fn dollars(exact: &str) -> String {
    exact.parse::<f64>().map(|amount| format!("${amount:.4}")).unwrap_or_default()
}

/// The first text of an event.
fn content(data: &Value) -> String {
    let pieces = data.pointer("/content").and_then(Value::as_array);
    let texts = pieces.into_iter().flatten().filter(|piece| text(piece, "/type") != Some("thinking"));
    texts.filter_map(|piece| text(piece, "/text")).find(|text| !text.trim().is_empty()).unwrap_or_default().to_owned()
}

/// What a call is about: the field of its input that tells most, or all of it.
fn input(data: &Value) -> String {
    const TELLING: [&str; 9] =
        ["command", "file_path", "notebook_path", "pattern", "url", "query", "description", "skill", "prompt"];
    let all = content(data);
    let fields: Value = serde_json::from_str(&all).unwrap_or_default();
    let telling = TELLING.iter().find_map(|name| fields.get(name)?.as_str());
    telling.map_or(all.clone(), str::to_owned)
}

/// The parts beside each other, cut to the columns of the terminal.
fn drawn(parts: &Parts, look: Look) -> String {
    let most = look.columns.or_else(terminal).unwrap_or(COLUMNS);
    let (mut line, mut taken) = (String::new(), 0);
    for (part, tone) in &parts.0 {
        let gap = if taken == 0 { 0 } else { 2 };
        let shown: String = cut(&harmless(part), most.saturating_sub(taken + gap));
        if shown.is_empty() {
            break;
        }
        line.push_str(if gap == 0 { "" } else { "  " });
        taken += gap + shown.chars().map(|letter| letter.width().unwrap_or(0)).sum::<usize>();
        match tone.code() {
            code if look.colours && !code.is_empty() => line.push_str(&format!("\u{1b}[{code}m{shown}\u{1b}[0m")),
            _ => line.push_str(&shown),
        }
    }
    line.push('\n');
    line
}

/// The columns of the terminal; `None` if standard output is none.
fn terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// As much of a text as fits, with an ellipsis if that is not all.
fn cut(text: &str, most: usize) -> String {
    let width = |letter: char| letter.width().unwrap_or(0);
    if text.chars().map(width).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += width(*letter);
        taken < most
    };
    let begin: String = text.chars().take_while(fits).collect();
    if begin.is_empty() { begin } else { format!("{}…", begin.trim_end()) }
}

/// A text in one line that can do nothing to a terminal.
fn harmless(text: &str) -> String {
    // More than a line can hold is not looked at.
    let text: String = text.chars().take(4_000).collect();
    let plain = text.chars().map(|letter| if is_visible(letter) { letter } else { ' ' });
    plain.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
