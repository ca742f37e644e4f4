//! What the client tells the model about MCP servers: names of tools that it may ask for, and instructions.
//!
//! - Such a row says what is new and what is gone since the row before; it enters the prompt once and stays there.
//! - A list that is not of texts, or shorter than the list of names beside it, counts as far as it goes.
//! - Schemas are not looked at: those of tools that are sent whole are in `prompt_snapshot`, those of others in
//!   `deferred_tools_record`.
//!
//! Source: `claude-code-format.md` section 16, `attachment.type`, and what client 2.1.330 wrote with a server (`m_mcp`).

use super::raw::{Listed, RawAttachment};
use super::record::{Fact, Offer, ServerOffer};
use super::strings::Strings;
use super::word::WordText;

/// Most servers of one row that are kept. Nobody has that many.
const SERVERS_MAX: usize = 64;

/// Longest name of a server in bytes; a longer one is cut. The API allows 64 for a whole name of a tool.
const SERVER_BYTES_MAX: usize = 64;

/// The tools of `deferred_tools_delta`; `None` if none is of an MCP server.
pub(super) fn tools(attachment: &RawAttachment<'_>, strings: &mut Strings) -> Option<Fact> {
    let mut servers = Servers { all: Vec::new(), strings };
    for (position, name) in attachment.added_names.iter().enumerate() {
        let line = attachment.added_lines.get(position).filter(|line| line.0.is_some()).unwrap_or(name);
        let bytes = bytes_of(line);
        servers.change(
            || server_of(name),
            |server| {
                server.tools = server.tools.saturating_add(1);
                server.bytes = server.bytes.saturating_add(bytes);
            },
        );
    }
    for name in &attachment.removed_names {
        servers.change(|| server_of(name), |server| server.removed = server.removed.saturating_add(1));
    }
    servers.offer()
}

/// The instructions of `mcp_instructions_delta`; `None` if there are none. Instructions that are taken back are not
/// told: their text stays in the prompt.
pub(super) fn instructions(attachment: &RawAttachment<'_>, strings: &mut Strings) -> Option<Fact> {
    let mut servers = Servers { all: Vec::new(), strings };
    for (name, block) in attachment.added_names.iter().zip(&attachment.added_blocks) {
        let bytes = bytes_of(block);
        servers.change(
            || Some(as_in_tools(&name.0.word()?)),
            |server| {
                server.bytes = server.bytes.saturating_add(bytes);
            },
        );
    }
    servers.offer()
}

/// The servers of a row, in the order in which it names them.
struct Servers<'a> {
    all: Vec<ServerOffer>,
    strings: &'a mut Strings,
}

impl Servers<'_> {
    /// Changes what is known of a server; a name without a server is left out.
    fn change(&mut self, name: impl FnOnce() -> Option<String>, change: impl FnOnce(&mut ServerOffer)) {
        let Some(name) = name().filter(|name| !name.is_empty()) else { return };
        if let Some(known) = self.all.iter_mut().find(|known| *known.server == *name) {
            return change(known);
        }
        if self.all.len() < SERVERS_MAX {
            let mut new = ServerOffer { server: self.strings.get(&name), bytes: 0, tools: 0, removed: 0 };
            change(&mut new);
            self.all.push(new);
        }
    }

    fn offer(self) -> Option<Fact> {
        (!self.all.is_empty()).then_some(Fact::Offer(Offer { servers: self.all }))
    }
}

/// Length of a text of the prompt with the end of its line, in bytes.
fn bytes_of(text: &Listed<'_>) -> u64 {
    text.0.map_or(0, |text| text.decoded_bytes() as u64 + 1)
}

/// The `server` in `mcp__server__tool`; `None` for other tools.
fn server_of(tool: &Listed<'_>) -> Option<String> {
    let name = tool.0.word()?;
    let (server, _) = name.strip_prefix("mcp__")?.split_once("__")?;
    Some(as_in_tools(server))
}

/// The name of a server as it stands in the names of its tools, where other characters become `_`. Of a server that
/// the vendor connects (`claude.ai Name`), `_` neither repeat nor stand at an end.
fn as_in_tools(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    let text: String = name.chars().take(SERVER_BYTES_MAX).map(plain).collect();
    if !name.starts_with("claude.ai ") {
        return text;
    }
    text.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}
