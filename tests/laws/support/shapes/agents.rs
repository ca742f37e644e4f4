//! Sub-agents of made-up sessions, in files of their own, and the agents of workflows.

use std::path::PathBuf;

use serde_json::json;

use super::{Session, Story, text};

impl Story<'_> {
    /// A sub-agent in a file of its own; it may be given more work after it has ended.
    pub(super) fn sub_agent(&mut self, session: &mut Session) {
        self.prompt(session, json!({}));
        let agent = format!("a{:016x}", self.next());
        let background = self.dice.one_in(2);
        let call = self.calls(session, "Agent", json!({"prompt": "look", "subagent_type": "Explore"}));
        let path = session.path.with_extension("").join(format!("subagents/agent-{agent}"));
        let mut own = self.agent_of(session, &agent, path.with_extension("jsonl"));
        self.run(&mut own, "look");
        if !self.dice.one_in(4) {
            let mut meta = json!({"agentType": "Explore", "description": "d"});
            if !self.dice.one_in(3) {
                meta["toolUseId"] = json!(call);
            }
            if background && self.dice.one_in(2) {
                meta["requestShape"] = json!("background");
            }
            self.side.insert(path.with_extension("meta.json"), vec![meta.to_string()]);
        }
        let told = if background { "async_launched" } else { "completed" };
        self.result(
            session,
            &call,
            false,
            json!({"toolUseResult": {"status": told, "agentId": agent, "isAsync": background}}),
        );
        self.says(session);
        for _ in 0..self.dice.below(3) {
            self.more_work(session, &mut own, &agent);
        }
        let lines = self.lines(&own.rows);
        self.side.insert(own.path, lines);
    }

    fn agent_of(&mut self, session: &Session, agent: &str, path: PathBuf) -> Session {
        let _ = agent;
        Session { path, parent: None, rows: Vec::new(), ..session.clone() }
    }

    /// Rows of a sub-agent from a prompt to its answer.
    fn run(&mut self, own: &mut Session, prompt: &str) {
        let from = own.rows.len();
        let name = own.path.file_stem().unwrap().to_str().unwrap().strip_prefix("agent-").unwrap().to_owned();
        self.row(own, "user", json!({"message": text("user", prompt)}));
        self.offered(own);
        for _ in 0..self.dice.below(2) {
            self.tool(own);
        }
        if !self.dice.one_in(8) {
            self.answer(own, &[json!({"type": "text", "text": "Found."})], Some("end_turn"));
        }
        for row in own.rows.iter_mut().skip(from) {
            row["agentId"] = json!(name);
            row["isSidechain"] = json!(true);
        }
    }

    fn more_work(&mut self, session: &mut Session, own: &mut Session, agent: &str) {
        self.prompt(session, json!({}));
        let call = self.calls(session, "SendMessage", json!({"to": agent}));
        let told = json!({"toolUseResult": {"success": true, "resumedAgentId": agent}});
        if self.dice.one_in(2) {
            self.result(session, &call, false, told);
            self.run(own, "more");
        } else {
            self.run(own, "more");
            self.result(session, &call, false, told);
        }
        self.says(session);
    }

    pub(super) fn workflow(&mut self, session: &mut Session) {
        self.prompt(session, json!({}));
        let call = self.calls(session, "Workflow", json!({"name": "tiny"}));
        let run = format!("wf_{:08x}-abc", self.next());
        let told = json!({"status": "async_launched", "taskType": "local_workflow", "runId": run});
        self.result(session, &call, false, json!({"toolUseResult": told}));
        let folder = session.path.with_extension("").join("subagents/workflows").join(&run);
        for _ in 0..1 + self.dice.below(2) {
            let agent = format!("a{:016x}", self.next());
            let path = folder.join(format!("agent-{agent}"));
            let mut own = self.agent_of(session, &agent, path.with_extension("jsonl"));
            self.run(&mut own, "part");
            let meta = json!({"agentType": "workflow-subagent", "inWorkflowRun": true, "description": "d"});
            self.side.insert(path.with_extension("meta.json"), vec![meta.to_string()]);
            let lines = self.lines(&own.rows);
            self.side.insert(own.path, lines);
        }
        self.says(session);
    }
}
