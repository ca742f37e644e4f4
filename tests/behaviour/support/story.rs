//! Conversations as a client would have had them, with a cache that works as that of the API does: so what a habit costs is
//! known, because the same conversation can be had without it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;

/// Where stories begin: a Tuesday, at nine in UTC.
pub(crate) const BEGIN: &str = "2026-11-24T09:00:00.000Z";
/// Bytes of a token.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;
/// How long each response takes, in milliseconds.
pub(crate) const RESPONSE_MS: i64 = 4000;
/// How long the cache keeps a prompt.
const KEPT_MS: i64 = 300_000;

/// A conversation, of a main thread or of a sub-agent.
#[derive(Clone)]
pub(crate) struct Story {
    /// The session.
    pub(crate) session: String,
    /// The time, in milliseconds since 1970.
    pub(crate) now: i64,
    /// The model that answers next.
    pub(crate) model: String,
    /// Whether all models read one cache, as none does.
    pub(crate) shares_cache: bool,
    agent: Option<String>,
    rows: Vec<Value>,
    /// Files beside it: their names below the folder of the session, and their rows.
    beside: Vec<(String, Vec<Value>)>,
    serial: u64,
    prompt: String,
    /// Tokens of the conversation so far, and those that come with the next request.
    context: u64,
    new: u64,
    /// By model: tokens in the cache, and when they were used last.
    cached: HashMap<String, (u64, i64)>,
}

impl Story {
    /// A session that begins with a prompt of so many tokens.
    pub(crate) fn new(number: usize, model: &str, tokens: u64) -> Self {
        Self {
            session: format!("{number:08x}-0000-4000-8000-00000000000a"),
            now: Timestamp::parse(BEGIN).unwrap().0,
            model: model.to_owned(),
            shares_cache: false,
            agent: None,
            rows: Vec::new(),
            beside: Vec::new(),
            serial: 0,
            prompt: String::new(),
            context: tokens,
            new: 0,
            cached: HashMap::new(),
        }
    }

    /// A prompt of so many tokens.
    pub(crate) fn prompt(&mut self, tokens: u64) -> &mut Self {
        let number = self.next();
        self.prompt = format!("{number:08x}-1111-4000-8000-{}", self.tail());
        self.new += tokens;
        let message = json!({"role": "user", "content": "Go."});
        let row = json!({"type": "user", "promptId": self.prompt, "turnOrigin": "human", "message": message});
        self.row(row)
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, ms: i64) -> &mut Self {
        self.now += ms;
        self
    }

    /// The API forgets what it has in the cache.
    pub(crate) fn forget(&mut self) -> &mut Self {
        self.cached.clear();
        self
    }

    /// Others have left the conversation so far in the cache.
    pub(crate) fn warm(&mut self) -> &mut Self {
        self.cached.insert(self.model.clone(), (self.context, self.now));
        self
    }

    /// A tool of an MCP server comes.
    pub(crate) fn tools_come(&mut self, tool: &str) -> &mut Self {
        let delta =
            json!({"type": "deferred_tools_delta", "addedNames": [tool], "addedLines": [tool], "removedNames": []});
        self.row(json!({"type": "attachment", "attachment": delta}))
    }

    /// The conversation is shorter by so many tokens, and the cache is none the worse for it.
    pub(crate) fn drop_tokens(&mut self, tokens: u64) -> &mut Self {
        self.context -= tokens;
        self.cached.values_mut().for_each(|(cached, _)| *cached = cached.saturating_sub(tokens));
        self
    }

    /// Tokens of the conversation so far.
    pub(crate) fn tokens(&self) -> u64 {
        self.context
    }

    /// Another session that goes on with this one: it begins with a copy of its rows.
    pub(crate) fn fork(&self, number: usize) -> Self {
        let mut fork = Self { session: format!("{number:08x}-0000-4000-8000-00000000000a"), ..self.clone() };
        for row in &mut fork.rows {
            row["sessionId"] = fork.session.clone().into();
            if row["type"] == "assistant" {
                row["requestSessionId"] = self.session.clone().into();
            }
        }
        fork
    }

    /// What the client says that the session has cost.
    pub(crate) fn reports(&mut self, usd: f64) -> &mut Self {
        self.rows.push(json!({"type": "cost-state", "sessionId": self.session, "totalCostUSD": usd}));
        self
    }

    /// A response with its last words.
    pub(crate) fn answer(&mut self, output: u64) -> &mut Self {
        self.respond(output, json!([{"type": "text", "text": "Done."}]), "end_turn");
        self
    }

    /// A response that calls tools, each with its input. Returns the ids of the calls.
    pub(crate) fn call(&mut self, output: u64, calls: &[(&str, Value)]) -> Vec<String> {
        let blocks: Vec<Value> = calls
            .iter()
            .map(|(name, input)| {
                let number = self.next();
                let id = format!("toolu_{}{number:06}", self.tail());
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            })
            .collect();
        let ids = blocks.iter().map(|block| block["id"].as_str().unwrap().to_owned()).collect();
        self.respond(output, blocks.into(), "tool_use");
        ids
    }

    /// The result of a call, so many bytes long, after so many milliseconds.
    pub(crate) fn result(&mut self, call: &str, bytes: u64, after_ms: i64, failed: bool) -> &mut Self {
        self.now += after_ms;
        self.new += bytes / BYTES_PER_TOKEN;
        let text = "x".repeat(usize::try_from(bytes).unwrap());
        let mut result = json!({"type": "tool_result", "tool_use_id": call, "content": text});
        if failed {
            result["is_error"] = true.into();
        }
        let message = json!({"role": "user", "content": [result]});
        self.row(json!({"type": "user", "promptId": self.prompt, "message": message, "toolUseResult": {}}))
    }

    /// One call with its result after a second.
    pub(crate) fn tool(&mut self, name: &str, input: Value, bytes: u64) -> &mut Self {
        let ids = self.call(100, &[(name, input)]);
        self.result(&ids[0], bytes, 1000, false)
    }

    /// A failed attempt, with the pause after it.
    pub(crate) fn retry(&mut self, pause_ms: i64) -> &mut Self {
        self.row(json!({"type": "system", "subtype": "api_error", "level": "error",
            "error": {"message": "529", "status": 529}, "retryInMs": pause_ms, "retryAttempt": 1, "maxRetries": 10,
            "source": "request_retry"}));
        self.pass(pause_ms)
    }

    /// The client tells the model of an MCP server, in so many bytes of instructions.
    pub(crate) fn offer(&mut self, server: &str, bytes: u64) -> &mut Self {
        self.new += bytes / BYTES_PER_TOKEN;
        let block = "x".repeat(usize::try_from(bytes).unwrap());
        let delta = json!({"type": "mcp_instructions_delta", "addedNames": [server], "addedBlocks": [block],
            "removedNames": []});
        self.row(json!({"type": "attachment", "attachment": delta}))
    }

    /// A compaction that leaves so many tokens.
    pub(crate) fn compact(&mut self, tokens: u64, ms: i64) -> &mut Self {
        self.now += ms;
        let compact = json!({"trigger": "auto", "preTokens": self.context, "postTokens": tokens, "durationMs": ms});
        (self.context, self.new) = (tokens, 0);
        self.forget();
        self.row(json!({"type": "system", "subtype": "compact_boundary", "content": "Conversation compacted",
            "compactMetadata": compact}))
    }

    /// A sub-agent of a type that works for a call, with a prompt of so many tokens. It begins now; the main thread goes on
    /// when it is told to.
    pub(crate) fn agent(&mut self, call: &str, kind: &str, tokens: u64, work: impl FnOnce(&mut Self)) -> i64 {
        let id = format!("a{:016x}", self.next());
        let mut own = Self {
            agent: Some(id.clone()),
            rows: Vec::new(),
            beside: Vec::new(),
            context: tokens,
            new: 0,
            cached: HashMap::new(),
            ..self.clone()
        };
        own.serial = 0;
        own.prompt(0);
        work(&mut own);
        let meta = json!({"agentType": kind, "toolUseId": call, "requestShape": "foreground", "finished": true});
        self.beside.push((format!("agent-{id}.meta.json"), vec![meta]));
        self.beside.push((format!("agent-{id}.jsonl"), own.rows));
        own.now
    }

    /// Writes the files of the session below a root.
    pub(crate) fn write(&self, root: &Path) {
        let folder = root.join("-home-dev-shop");
        let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
        fs::create_dir_all(folder.join(&self.session).join("subagents")).unwrap();
        fs::write(folder.join(format!("{}.jsonl", self.session)), lines(&self.rows)).unwrap();
        for (name, rows) in &self.beside {
            fs::write(folder.join(&self.session).join("subagents").join(name), lines(rows)).unwrap();
        }
    }

    fn respond(&mut self, output: u64, content: Value, stop: &str) {
        let sent = self.context + self.new;
        let key = if self.shares_cache { String::new() } else { self.model.clone() };
        let known = self.cached.get(&key).filter(|(_, used)| self.now - used <= KEPT_MS);
        let read = known.map_or(0, |(tokens, _)| *tokens);
        self.cached.insert(key, (sent, self.now));
        (self.context, self.new) = (sent + output, 0);
        self.now += RESPONSE_MS;
        let number = self.next();
        let id = format!("msg_01{}{number:08}", self.tail());
        let usage = json!({"input_tokens": 0, "output_tokens": output, "cache_read_input_tokens": read,
            "cache_creation_input_tokens": sent - read,
            "cache_creation": {"ephemeral_5m_input_tokens": sent - read, "ephemeral_1h_input_tokens": 0}});
        let message = json!({"id": id, "role": "assistant", "model": self.model, "content": content, "stop_reason": stop,
            "usage": usage});
        self.row(json!({"type": "assistant", "requestId": format!("req_{id}"), "message": message}));
    }

    fn row(&mut self, mut row: Value) -> &mut Self {
        let number = self.next();
        row["uuid"] = format!("{number:08x}-0000-4000-8000-{}", self.tail()).into();
        row["timestamp"] = Timestamp(self.now).to_rfc3339().into();
        row["sessionId"] = self.session.clone().into();
        row["cwd"] = "/home/dev/shop".into();
        row["gitBranch"] = "main".into();
        row["version"] = "2.1.330".into();
        if let Some(agent) = &self.agent {
            row["isSidechain"] = true.into();
            row["agentId"] = agent.clone().into();
        }
        self.rows.push(row);
        self
    }

    /// Twelve digits that no other thread has.
    fn tail(&self) -> String {
        let agent = self.agent.as_deref().map_or("0000", |id| &id[id.len() - 4..]);
        format!("{}{agent}", &self.session[..8])
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
