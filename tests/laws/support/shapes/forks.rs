//! Forks of made-up sessions, of each kind.

use serde_json::{Value, json};

use super::{Session, Story};

impl Story<'_> {
    /// A fork of some kind, with turns of its own. `/background` ends its source.
    pub(super) fn fork(&mut self, source: &mut Session) -> Vec<Session> {
        // No fork ends with what the model was offered: a seed goes on making the same story as without.
        let is_end = |row: &Value| row.get("uuid").is_some() && row["attachment"]["removedNames"].is_null();
        let rows = source.rows.iter().enumerate().filter(|(_, row)| is_end(row));
        let cuts: Vec<usize> = rows.map(|(at, _)| at + 1).collect();
        if cuts.is_empty() || source.background {
            return Vec::new();
        }
        let cut = cuts[self.dice.below(cuts.len())];
        let kind = if self.marks { [0, 1, 2, 4][self.dice.below(4)] } else { 3 };
        let mut fork = self.begin();
        (fork.names_prompts, fork.gateway, fork.names_requests) =
            (source.names_prompts, source.gateway, source.names_requests);
        fork.turn_index = source.turn_index;
        let copied: Vec<Value> = source.rows[..cut].iter().filter(|row| row.get("uuid").is_some()).cloned().collect();
        fork.parent = copied.last().map(|row| row["uuid"].as_str().unwrap().to_owned());
        let prompt = format!("{:08x}-1111-4111-8111-111111111111", self.next());
        if kind == 4 {
            return self.background(source, fork).into_iter().collect();
        }
        if self.all_marked && copied.last().is_none_or(|row| row["type"] != "assistant") {
            return Vec::new();
        }
        for mut row in copied {
            row["sessionId"] = json!(fork.id);
            let is_answer = row["type"] == "assistant";
            match kind {
                // --fork-session
                0 => {
                    fork.started = source.started;
                    if row.get("promptId").is_some() {
                        row["promptId"] = json!(prompt);
                    }
                    if is_answer && row.get("requestSessionId").is_none() {
                        row["requestSessionId"] = json!(source.id);
                    }
                }
                // /branch, written twice or not
                1 | 2 => {
                    row["forkedFrom"] = json!({"sessionId": source.id, "messageUuid": row["uuid"]});
                    if is_answer && row.get("requestSessionId").is_none() {
                        row["requestSessionId"] = json!(source.id);
                    }
                }
                // Without any mark
                _ => {}
            }
            fork.rows.push(row.clone());
            if kind == 2 {
                fork.rows.push(row);
            }
        }
        if kind != 3 || self.dice.one_in(2) {
            self.live(&mut fork);
        }
        vec![fork]
    }

    /// `/background` in mid turn.
    fn background(&mut self, source: &mut Session, mut fork: Session) -> Option<Session> {
        self.prompt(source, json!({}));
        let mut prompt = source.rows.last()?.clone();
        if self.dice.one_in(2) {
            self.calls(source, "Bash", json!({"command": "sleep 9"}));
        } else {
            self.answer(source, &[json!({"type": "text", "text": "I go on."})], None);
        }
        self.cost_state(source);
        source.rows.push(json!({"type": "continued-in", "sessionId": source.id, "continuedInSessionId": fork.id}));
        prompt["sessionId"] = json!(fork.id);
        prompt["sessionKind"] = json!("bg");
        prompt.as_object_mut()?.remove("promptId");
        (fork.started, fork.background) = (source.started, true);
        fork.parent = Some(prompt["uuid"].as_str()?.to_owned());
        fork.rows.push(prompt);
        self.says(&mut fork);
        self.cost_state(&mut fork);
        if self.dice.one_in(2) {
            self.turn(&mut fork);
        }
        Some(fork)
    }
}
