//! Session files of every shape that clients write, made up by a seed: small, so that what goes wrong can be read.
//!
//! A story is a few sessions with their sub-agents, and what became of them: forks of each kind, files that another
//! process wrote into, history written again. `claude-code-format.md` section 15 is where each shape is described.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::world::Dice;

mod agents;
mod forks;

/// The lines of one file, in order, each with its newline.
pub(crate) type Lines = Vec<String>;

/// Files by their paths below the projects folder.
pub(crate) type Files = BTreeMap<PathBuf, Lines>;

/// A session that is being written.
#[derive(Clone)]
struct Session {
    id: String,
    path: PathBuf,
    parent: Option<String>,
    prompt: Option<String>,
    turn_index: u32,
    /// `startTime` of the process that writes.
    started: u64,
    /// Rows have a `promptId`, as those of newer clients.
    names_prompts: bool,
    /// A gateway names the responses.
    gateway: Option<&'static str>,
    /// The gateway passes the ids of requests on.
    names_requests: bool,
    /// It goes on with a turn of another one, in the background.
    background: bool,
    rows: Vec<Value>,
}

/// Files as they come to be.
struct Story<'a> {
    dice: &'a mut Dice,
    number: u64,
    /// Milliseconds.
    now: i64,
    side: Files,
    /// Forks mark what they copy.
    marks: bool,
    /// They copy nothing that they could not mark.
    all_marked: bool,
}

/// A story by its seed. Forks mark their copies if `marks`; else those of some stories do not.
pub(crate) fn story(dice: &mut Dice, marks: bool) -> Files {
    let (all_marked, marks) = (marks, !dice.one_in(3) || marks);
    let mut story = Story { number: 0, now: 1_795_000_000_000, side: Files::new(), marks, all_marked, dice };
    let mut sessions = Vec::new();
    for _ in 0..1 + story.dice.below(2) {
        let mut session = story.begin();
        story.live(&mut session);
        sessions.push(session);
    }
    for _ in 0..story.dice.below(4) {
        let source = story.dice.below(sessions.len());
        let mut source_now = sessions[source].clone();
        let fork = story.fork(&mut source_now);
        sessions[source] = source_now;
        if story.dice.one_in(2) {
            let mut session = sessions[source].clone();
            story.live(&mut session);
            sessions[source] = session;
        }
        sessions.extend(fork);
    }
    let mut files = std::mem::take(&mut story.side);
    for session in sessions {
        let lines = story.lines(&session.rows);
        files.entry(session.path).or_default().extend(lines);
    }
    files
}

fn text(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

impl Story<'_> {
    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn uuid(&mut self) -> String {
        format!("{:08x}-0000-4000-8000-000000000000", self.next())
    }

    fn time(&mut self) -> String {
        // Now and then two rows of one millisecond.
        if !self.dice.one_in(6) {
            self.now += i64::try_from(1 + self.dice.below(4_000)).unwrap();
        }
        stamp(self.now)
    }

    fn begin(&mut self) -> Session {
        let number = self.next();
        // Which of two sessions has the lower path is not in the order of their making.
        let id = format!("{:08x}-aaaa-4aaa-8aaa-{number:012x}", self.dice.below(1 << 30));
        let gateway = [None, None, None, Some("relay"), Some("chatcmpl-1")][self.dice.below(5)];
        Session {
            path: PathBuf::from(format!("-home-dev-app/{id}.jsonl")),
            id,
            parent: None,
            prompt: None,
            turn_index: 0,
            started: 1_795_000_000_000 + number,
            names_prompts: !self.dice.one_in(5),
            names_requests: gateway.is_none() || self.dice.one_in(2),
            gateway,
            background: false,
            rows: Vec::new(),
        }
    }

    /// A row of the conversation with what every row has.
    fn row(&mut self, session: &mut Session, kind: &str, more: Value) -> String {
        let uuid = self.uuid();
        let mut row = json!({
            "parentUuid": session.parent, "isSidechain": false, "type": kind, "uuid": uuid, "timestamp": self.time(),
            "sessionId": session.id, "cwd": "/home/dev/app", "version": "2.1.332", "gitBranch": "main", "entrypoint": "cli",
        });
        if kind == "user"
            && session.names_prompts
            && let Some(prompt) = &session.prompt
        {
            row["promptId"] = json!(prompt);
        }
        merge(&mut row, more);
        session.parent = Some(uuid.clone());
        session.rows.push(row);
        uuid
    }

    fn prompt(&mut self, session: &mut Session, more: Value) {
        session.prompt = Some(format!("{:08x}-1111-4111-8111-111111111111", self.next()));
        session.turn_index += 1;
        // Nobody says the same twice within a millisecond.
        self.now += 1;
        let mut fields = json!({"message": text("user", ["Go.", "And on."][self.dice.below(2)])});
        if session.names_prompts && self.dice.one_in(2) {
            fields["turnPosition"] = json!({"turnIndex": session.turn_index});
        }
        merge(&mut fields, more);
        self.row(session, "user", fields);
    }

    /// The fields of a response; `blocks` of content are one row each.
    fn answer(&mut self, session: &mut Session, blocks: &[Value], stop: Option<&str>) -> String {
        let number = self.next();
        let id = match session.gateway {
            Some("chatcmpl-1") => format!("chatcmpl-{}", 1 + session.turn_index % 2),
            Some(name) => name.to_owned(),
            None => format!("msg_01{number:022}"),
        };
        let mut output = 0;
        for (position, block) in blocks.iter().enumerate() {
            let is_last = position + 1 == blocks.len();
            output += 1 + self.dice.below(50);
            let stop = if is_last { stop } else { None };
            let mut fields = json!({"message": {
                "id": id, "role": "assistant", "model": "claude-sonnet-4-5", "content": [block], "stop_reason": stop,
                "usage": {"input_tokens": 100 + number, "output_tokens": output},
            }});
            if session.names_requests {
                fields["requestId"] = json!(format!("req_{number}"));
            }
            self.row(session, "assistant", fields);
        }
        id
    }

    fn says(&mut self, session: &mut Session) {
        let stop = [Some("end_turn"), Some("end_turn"), Some("end_turn"), None][self.dice.below(4)];
        self.answer(session, &[json!({"type": "text", "text": "Done."})], stop);
    }

    fn calls(&mut self, session: &mut Session, name: &str, input: Value) -> String {
        let call = format!("toolu_{}", self.next());
        let block = json!({"type": "tool_use", "id": call, "name": name, "input": input});
        let both = [json!({"type": "text", "text": "I look."}), block.clone()];
        if self.dice.one_in(3) {
            self.answer(session, &both, Some("tool_use"));
        } else {
            self.answer(session, &[block], Some("tool_use"));
        }
        call
    }

    fn result(&mut self, session: &mut Session, call: &str, is_error: bool, more: Value) {
        let block = json!({"type": "tool_result", "tool_use_id": call, "content": "ok", "is_error": is_error});
        let mut fields = json!({"message": {"role": "user", "content": [block]}});
        merge(&mut fields, more);
        self.row(session, "user", fields);
    }

    /// What the client writes for a call whose process has died.
    fn filled_in(&mut self, session: &mut Session, call: &str) {
        let text = "[Tool call interrupted: the session ended before this call's result was recorded]";
        let block = json!({"type": "tool_result", "tool_use_id": call, "content": text, "is_error": true});
        let fields = json!({"message": {"role": "user", "content": [block]}, "toolDenialKind": "interrupted"});
        self.row(session, "user", fields);
    }

    fn cost_state(&mut self, session: &mut Session) {
        let usd = f64::from(u32::try_from(self.number).unwrap()) / 1000.0;
        let model = json!({"inputTokens": self.number, "outputTokens": 7, "costUSD": usd});
        let row = json!({"type": "cost-state", "sessionId": session.id, "totalCostUSD": usd,
            "startTime": session.started, "modelUsage": {"claude-sonnet-4-5": model}});
        session.rows.push(row);
    }

    fn tool(&mut self, session: &mut Session) {
        // Not by the dice, so that a seed goes on making the same story.
        let number = usize::try_from(self.number).unwrap();
        let path = ["/home/dev/app/a.rs", "/home/dev/app/b.PY", "/home/dev/app/Makefile"][number % 3];
        let (name, input) = match number % 7 {
            0 => ("Read", json!({"file_path": path})),
            1 => ("Read", json!({"file_path": path, "offset": number})),
            2 | 3 => ("Edit", json!({"file_path": path, "old_string": "a", "new_string": number.to_string()})),
            4 => ("NotebookEdit", json!({"notebook_path": "/home/dev/app/c.ipynb", "new_source": "1"})),
            _ => ("Bash", json!({"command": if number.is_multiple_of(2) { "ls" } else { "pwd" }})),
        };
        let call = self.calls(session, name, input);
        let is_error = self.dice.one_in(4);
        let source = ["config", "user_temporary"][number / 7 % 2];
        let mut more = json!({"permissionDecision": {"decision": "accept", "source": source}});
        if name == "Edit" {
            more["toolUseResult"] = json!({"structuredPatch": [{"lines": ["+b", " c", "-a", "+d"]}]});
        }
        self.result(session, &call, is_error, more);
    }

    /// Some turns and what stands between them.
    fn live(&mut self, session: &mut Session) {
        for _ in 0..1 + self.dice.below(3) {
            match self.dice.below(12) {
                0 => self.shell_line(session),
                1 => self.two_processes(session),
                2 => self.resume(session),
                3 => self.compaction(session),
                4 => self.teammate(session),
                5 | 6 => self.sub_agent(session),
                7 => self.workflow(session),
                8 => self.history_again(session),
                _ => self.turn(session),
            }
        }
        self.between(session);
    }

    fn turn(&mut self, session: &mut Session) {
        self.prompt(session, json!({}));
        self.offered(session);
        for _ in 0..self.dice.below(3) {
            self.tool(session);
        }
        match self.dice.below(10) {
            0 => self.absorbed(session),
            1 => {
                let interrupt = json!({"message": text("user", "[Request interrupted by user]")});
                self.row(session, "user", interrupt);
                return;
            }
            2 => return,
            _ => {}
        }
        self.says(session);
        match self.dice.below(6) {
            0 => {
                // A hook that asks the model to go on has words and no duration.
                let (first, words) = if self.dice.one_in(3) {
                    (json!({"command": "x"}), json!(["[x]: go on"]))
                } else {
                    (json!({"command": "x", "durationMs": 300}), json!([]))
                };
                let hooks = json!([first, {"command": "y", "durationMs": 700}]);
                let fields = json!({"subtype": "stop_hook_summary", "hookInfos": hooks, "hookErrors": words});
                self.row(session, "system", fields);
            }
            1 => drop(self.row(session, "system", json!({"subtype": "turn_duration", "durationMs": 4000}))),
            2 => {
                let error =
                    json!({"subtype": "api_error", "error": {"status": 529}, "retryAttempt": 1, "retryInMs": 500});
                self.row(session, "system", error);
                self.says(session);
            }
            _ => {}
        }
    }

    /// What the client tells the model about MCP servers.
    fn offered(&mut self, session: &mut Session) {
        let attachment = match self.number % 4 {
            0 => {
                json!({"type": "deferred_tools_delta", "addedNames": ["Monitor", "mcp__a__x", "mcp__b__y", "mcp__a__z"],
                "addedLines": ["Monitor", "mcp__a__x: does", "mcp__b__y", "mcp__a__z"], "removedNames": []})
            }
            1 => json!({"type": "deferred_tools_delta", "addedNames": [], "addedLines": [],
                "removedNames": ["mcp__a__x", "Monitor"]}),
            2 => json!({"type": "mcp_instructions_delta", "addedNames": ["a"], "addedBlocks": ["## a\nUse it."],
                "removedNames": ["b"]}),
            _ => return,
        };
        // Neither by the dice nor with a number of its own, so that a seed goes on making the same story.
        let uuid = format!("{:08x}-0000-4000-8000-00000000000f", self.number);
        let row = json!({
            "parentUuid": session.parent, "isSidechain": false, "type": "attachment", "uuid": uuid,
            "timestamp": stamp(self.now), "sessionId": session.id, "cwd": "/home/dev/app", "version": "2.1.332",
            "gitBranch": "main", "entrypoint": "cli", "attachment": attachment,
        });
        session.parent = Some(uuid);
        session.rows.push(row);
    }

    fn absorbed(&mut self, session: &mut Session) {
        let time = self.time();
        session.rows.push(
            json!({"type": "queue-operation", "operation": "enqueue", "timestamp": time, "sessionId": session.id}),
        );
        let attachment = json!({"type": "queued_command", "prompt": "too", "commandMode": "prompt", "timestamp": time});
        self.row(session, "attachment", json!({"attachment": attachment}));
        let time = self.time();
        session.rows.push(
            json!({"type": "queue-operation", "operation": "remove", "timestamp": time, "sessionId": session.id}),
        );
    }

    fn shell_line(&mut self, session: &mut Session) {
        session.prompt = Some(format!("{:08x}-1111-4111-8111-111111111111", self.next()));
        self.row(session, "user", json!({"message": text("user", "<bash-input>date</bash-input>")}));
        self.row(session, "user", json!({"message": text("user", "<bash-stdout>Thu</bash-stdout>")}));
        if !self.dice.one_in(3) {
            self.says(session);
        }
    }

    /// Another process writes into the file while a call of the first one runs: it fills in a result, which then comes.
    fn two_processes(&mut self, session: &mut Session) {
        self.prompt(session, json!({}));
        let call = self.calls(session, "Bash", json!({"command": "sleep 9"}));
        let (parent, prompt) = (session.parent.clone(), session.prompt.clone());
        if !self.dice.one_in(4) {
            self.filled_in(session, &call);
        }
        self.prompt(session, json!({}));
        let late = self.dice.one_in(2);
        if late {
            self.says(session);
        }
        let other = (session.parent.clone(), session.prompt.clone());
        (session.parent, session.prompt) = (parent, prompt);
        if !self.dice.one_in(4) {
            self.result(session, &call, false, json!({}));
            self.says(session);
        }
        if !late {
            (session.parent, session.prompt) = other;
            self.says(session);
        }
    }

    /// A process ends, in mid call or not, and another goes on.
    fn resume(&mut self, session: &mut Session) {
        if self.dice.one_in(2) {
            self.prompt(session, json!({}));
            let call = self.calls(session, "Bash", json!({"command": "sleep 9"}));
            self.filled_in(session, &call);
        } else {
            self.cost_state(session);
        }
        session.started += 1;
        self.prompt(session, json!({}));
        self.says(session);
    }

    fn compaction(&mut self, session: &mut Session) {
        let trigger = ["manual", "auto"][self.dice.below(2)];
        if trigger == "manual" {
            self.row(session, "user", json!({"message": text("user", "/compact")}));
        }
        let what = json!({"trigger": trigger, "preTokens": 900, "postTokens": 90, "durationMs": 40});
        self.row(session, "system", json!({"subtype": "compact_boundary", "compactMetadata": what}));
        let summary = json!({"message": text("user", "What was said."), "isCompactSummary": true});
        self.row(session, "user", summary);
        if trigger == "auto" {
            self.says(session);
        }
    }

    fn teammate(&mut self, session: &mut Session) {
        let said = "Another Claude session sent a message: <teammate-message>hello</teammate-message>";
        match self.dice.below(2) {
            0 => drop(self.row(session, "user", json!({"message": text("user", said)}))),
            _ => self.prompt(session, json!({"isMeta": true, "origin": {"kind": "peer"}, "promptSource": "system"})),
        }
        self.says(session);
    }

    /// Rows between turns that begin none.
    fn between(&mut self, session: &mut Session) {
        let id = session.id.clone();
        match self.dice.below(8) {
            0 => session
                .rows
                .push(json!({"type": "ai-title", "sessionId": id, "aiTitle": format!("Title {}", self.number)})),
            1 => session.rows.push(json!({"type": "custom-title", "sessionId": id, "customTitle": "Mine"})),
            2 => {
                let leaf = session.parent.clone();
                session.rows.push(json!({"type": "summary", "summary": "What it was", "leafUuid": leaf}));
            }
            3 => {
                let link = json!({"type": "pr-link", "sessionId": id, "prNumber": 1 + self.dice.below(2), "prUrl": "https://x/1",
                    "prRepository": "x/y", "timestamp": self.time()});
                session.rows.extend([link.clone(), link]);
            }
            4 | 5 => self.cost_state(session),
            _ => {}
        }
    }

    /// The client writes the last rows again, with new uuids and the old times and ids.
    fn history_again(&mut self, session: &mut Session) {
        let from = session.rows.len() - self.dice.below(session.rows.len() + 1);
        let rows: Vec<Value> = session.rows[from..].iter().filter(|row| row.get("uuid").is_some()).cloned().collect();
        for mut row in rows {
            let uuid = self.uuid();
            row["parentUuid"] = json!(session.parent);
            row["uuid"] = json!(uuid);
            session.parent = Some(uuid);
            session.rows.push(row);
        }
        self.turn(session);
    }

    /// Rows as lines; now and then two on one line, or one behind what is left of another.
    fn lines(&mut self, rows: &[Value]) -> Lines {
        let mut lines = Lines::new();
        for row in rows {
            let mut line = row.to_string();
            line.push('\n');
            match self.dice.below(60) {
                0 if !lines.is_empty() => {
                    let before = lines.pop().unwrap();
                    line.insert_str(0, before.trim_end_matches('\n'));
                }
                1 => line.insert_str(0, "{\"type\":\"user\",\"message\":{\"content\":\"cut "),
                _ => {}
            }
            lines.push(line);
        }
        lines
    }
}

fn stamp(ms: i64) -> String {
    tailspan::transcript::time::Timestamp(ms).to_rfc3339()
}

fn merge(row: &mut Value, more: Value) {
    let (Value::Object(row), Value::Object(more)) = (row, more) else { unreachable!("rows are objects") };
    row.extend(more);
}
