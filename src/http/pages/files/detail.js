// One event as it is read: its numbers, its texts, and what an edit changed.

import { count, difference, duration, el, money, prose, stamp, terminal, visible } from "./text.js";

const RANGE_BYTES = 1 << 20;
const RANGES_MAX = 8;

export const KINDS = {
  prompt: ["❯", "Prompt"], message: ["✦", "Answer"], tool_call: ["⚙", "Call"], tool_result: ["↩", "Result"],
  subagent_start: ["▶", "Sub-agent starts"], subagent_end: ["■", "Sub-agent ends"], api_error: ["⚠", "API error"],
  model_change: ["⇄", "Model change"], compaction: ["⇲", "Compaction"], hook: ["⚓", "Hook"],
  queued_prompt: ["❯", "Queued prompt"], task_end: ["■", "Background work ends"], pull_request: ["⑂", "Pull request"],
  away_summary: ["☾", "Summary while away"], plan_mode: ["✎", "Plan mode"], server_tool: ["⚙", "Server tool"],
  interrupt: ["✋", "Interrupt"],
};

const FAILED = new Set(["failed", "error", "failure", "denied", "interrupted"]);
export const isFailed = (event) => event.kind === "api_error" || FAILED.has(event.outcome);
export const nameOf = (event) => {
  const name = event.tool ?? event.model ?? event.agent_type ?? event.name ?? event.to ?? "";
  return visible(String(name));
};
export const kindOf = (event) => KINDS[event.kind] ?? ["•", event.kind];

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

// What the input of a call is told by, the most telling first.
const TOLD = ["command", "file_path", "pattern", "description", "prompt", "query"];

// The texts of such members in the beginning of an input that was cut.
function begun(text) {
  const members = text.matchAll(/"(command|file_path|pattern|description|prompt|query)":("(?:[^"\\]|\\.)*"?)/g);
  return Object.fromEntries([...members].map(([, name, value]) => [name, parsedText(value)]).reverse());
}

// A JSON text, which may have been cut within.
function parsedText(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(1);
  }
}

// The first words of an event, for its row.
export function gist(event) {
  const piece = (event.content ?? []).find(({ text }) => text);
  if (!piece) return event.content_unavailable ? `no text: ${event.content_unavailable}` : "";
  let text = piece.text.slice(0, 4000);
  if (piece.type === "tool_input") {
    const input = parsed(piece.text) ?? begun(piece.text);
    const told = TOLD.map((name) => input[name]).find((value) => typeof value === "string");
    if (told !== undefined) text = told;
  }
  // eslint-disable-next-line no-control-regex
  return visible(text.slice(0, 400).replace(/\u001b\[[0-9;:]*[@-~]/g, "").replace(/\s+/g, " ").trim().slice(0, 160));
}

const FIELDS = [
  ["agent", "Sub-agent"], ["turn", "Turn"], ["outcome", "Outcome"], ["exit_code", "Exit code"],
  ["decision", "Decision"], ["status", "HTTP status"], ["attempt", "Attempt"], ["from", "From"], ["to", "To"],
  ["trigger", "Trigger"], ["tokens_before", "Tokens before"], ["tokens_after", "Tokens after"], ["url", "Address"],
];

function facts(event) {
  const list = el("dl", { class: "facts" });
  const add = (name, value) => {
    if (value === null || value === undefined || value === "") return;
    list.append(el("div", {}, el("dt", {}, name), el("dd", {}, visible(String(value)))));
  };
  add("Time", stamp(event.at));
  for (const [key, name] of FIELDS) add(name, event[key]);
  add("Gap", duration(event.gap_seconds));
  add("Took", duration(event.duration_seconds));
  add("First piece after", duration(event.ttft_seconds));
  add("Waited for an answer", duration(event.permission_wait_seconds));
  add("Critical path", duration(event.critical_path_seconds));
  if (event.cost_usd) add("Cost", money(event.cost_usd));
  const { state } = event;
  add("Cost so far", money(event.cost_usd_so_far));
  if (state) {
    const used = Object.values(state.tokens_so_far).reduce((sum, tokens) => sum + tokens, 0);
    add("Tokens so far", count(used));
    if (state.context_tokens !== null) add("Context", `${count(state.context_tokens)} tokens`);
    add("Open calls", state.open_calls_total || null);
    add("Sub-agents running", state.subagents_running_total || null);
    add("Files", state.files_total || null);
  }
  return list;
}

// The rest of a text that a page of the replay cuts.
function whole(api, event, part, piece, put) {
  const button = el("button", { type: "button", class: "whole" }, `Show all ${count(piece.bytes)} bytes`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    let [text, from] = ["", 0];
    for (let i = 0; i < RANGES_MAX && from !== null; i++) {
      const range = await api.text(event.index, part, from, RANGE_BYTES);
      text += range.text ?? "";
      from = range.next_from;
    }
    put(text);
    button.replaceWith(from === null ? "" : `The first ${count(from)} bytes are shown.`);
  });
  return button;
}

function raw(text, isTerminal) {
  const pre = el("pre", { class: isTerminal ? "terminal" : "code", tabindex: "0" });
  pre.append(isTerminal ? terminal(text) : visible(text));
  return pre;
}

const EDITS = new Set(["Edit", "MultiEdit", "Write", "NotebookEdit"]);

// What an edit changes, held against the file as the session knew it before.
async function change(api, event, input) {
  const path = input.file_path ?? input.notebook_path;
  const edits = input.edits ?? [input];
  const known = event.index > 0 ? await api.file(path, event.index - 1).catch(() => null) : null;
  const before = known?.known === "whole" ? known.text : null;
  if (typeof input.content === "string") {
    const note = before === null ? "The text before is not known." : "";
    return el("div", {}, el("p", { class: "part" }, note), difference(before ?? "", input.content, true));
  }
  if (before !== null) {
    let after = before;
    for (const { old_string: old, new_string: now, replace_all: all } of edits) {
      if (typeof old !== "string" || !after.includes(old)) {
        after = null;
        break;
      }
      after = all ? after.split(old).join(now) : after.replace(old, () => now);
    }
    if (after !== null) return difference(before, after, true);
  }
  const each = edits.map((edit) => difference(String(edit.old_string ?? ""), String(edit.new_string ?? edit.new_source ?? ""), false));
  return el("div", {}, ...each);
}

function input(api, event, piece) {
  const told = piece.truncated ? null : parsed(piece.text);
  if (!told) return raw(piece.text, false);
  const made = el("div", {});
  const isEdit = EDITS.has(event.tool);
  for (const [key, value] of Object.entries(told)) {
    if (isEdit && ["old_string", "new_string", "content", "edits", "new_source"].includes(key)) continue;
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const isLong = text.includes("\n") || text.length > 80 || key === "command";
    made.append(el("p", { class: "part" }, visible(key), isLong ? "" : ": ", isLong ? "" : el("code", {}, visible(text))));
    if (isLong) made.append(raw(text, false));
  }
  if (isEdit) {
    const place = el("div", { class: "change" });
    made.append(place);
    change(api, event, told).then((shown) => place.replaceChildren(shown), () => place.replaceChildren(raw(piece.text, false)));
  }
  return made;
}

function picture(api, event, part, piece) {
  const button = el("button", { type: "button" }, `Show image (${count(piece.bytes)} bytes as it is stored)`);
  button.addEventListener("click", () => {
    const image = el("img", { src: api.image(event.index, part), alt: `Image of event ${event.index}` });
    image.addEventListener("error", () => image.replaceWith("This image cannot be shown."));
    button.replaceWith(image);
  });
  return button;
}

function shown(api, event, piece, part) {
  const about = piece.type === "text" ? null : el("p", { class: "part" }, visible(piece.type.replaceAll("_", " ")));
  if (piece.text === null) {
    const body = piece.type === "image" ? picture(api, event, part, piece) : el("p", {}, `${count(piece.bytes)} bytes`);
    return el("div", {}, about, body);
  }
  const isResult = piece.type === "tool_result";
  const body = el("div", {});
  const put = (text) => {
    if (piece.type === "tool_input") body.replaceChildren(input(api, event, { ...piece, text, truncated: text === piece.text && piece.truncated }));
    else if (isResult) body.replaceChildren(raw(text, true));
    else body.replaceChildren(prose(text));
  };
  put(piece.text);
  const rest = piece.truncated ? whole(api, event, part, piece, put) : null;
  if (piece.type === "thinking") return el("details", { open: true }, el("summary", {}, "Thinking"), body, rest);
  return el("div", {}, about, body, rest);
}

// A file as the session knew it at an event.
function fileOf(api, event, path) {
  const place = el("div", {});
  const button = el("button", { type: "button" }, visible(path));
  button.addEventListener("click", async () => {
    try {
      const known = await api.file(path, event.index);
      const parts = known.known === "whole" ? [{ text: known.text }] : known.parts;
      const since = known.unknown_since;
      const note = known.known === "nothing" ? "Nothing of its text is known." : `${known.known === "whole" ? "All" : "A part"} of its text, as the session knew it`;
      const doubt = since === null || since === undefined ? "" : `; since event ${since} it may be another`;
      place.replaceChildren(el("p", { class: "part" }, note + doubt),
        ...parts.flatMap((part) => [part.from_line ? el("p", { class: "part" }, `from line ${part.from_line}`) : "",
          el("pre", { class: "code", tabindex: "0" }, visible(part.text ?? ""))]));
    } catch (error) {
      place.replaceChildren(el("p", { class: "part" }, error.message));
    }
  });
  return el("div", {}, button, place);
}

// The whole event.
export function detail(api, event) {
  const [sign, kind] = kindOf(event);
  const made = el("article", { class: `event ${event.kind}${isFailed(event) ? " failed" : ""}` },
    el("h2", {}, el("span", { "aria-hidden": "true" }, `${sign} `), `${kind} ${nameOf(event)}`, el("small", {}, ` #${event.index}`)),
    facts(event));
  (event.content ?? []).forEach((piece, part) => made.append(shown(api, event, piece, part)));
  if (event.content_unavailable) made.append(el("p", { class: "part" }, `no text: ${visible(event.content_unavailable)}`));
  if (event.state?.tasks?.length) {
    const MARKS = { completed: "☑", in_progress: "◐", pending: "☐" };
    const tasks = event.state.tasks.map(({ subject, status }) =>
      el("li", {}, el("span", { "aria-hidden": "true" }, `${MARKS[status] ?? "•"} `), visible(`${subject ?? ""} (${String(status).replaceAll("_", " ")})`)));
    made.append(el("details", {}, el("summary", {}, `Tasks (${event.state.tasks_total})`), el("ul", { class: "tasks" }, ...tasks)));
  }
  if (event.state?.files.length) {
    const files = event.state.files.map((path) => el("li", {}, fileOf(api, event, path)));
    made.append(el("details", {}, el("summary", {}, `Files so far (${event.state.files_total})`), el("ul", {}, ...files)));
  }
  return made;
}
