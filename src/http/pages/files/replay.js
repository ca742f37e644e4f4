// The page of a session: a timeline of all its events, of which only the rows that can be seen are in the document, and the
// event that was chosen beside it. Everything is asked of the API when it is needed.

import { detail, gist, isFailed, kindOf, nameOf } from "./detail.js";
import { minimap, waterfall } from "./draw.js";
import { mark, patterns, reveal } from "./mark.js";
import { ZONE, clock, count, day, duration, el, money, plain, root, stamp, visible } from "./text.js";

const ROW_PX = 30;
const PAGE = 50;
// Of the texts of rows only the first words are shown.
const ROW_TEXT_BYTES = 4096;
const PAGES_MAX = 40;
const GAP_MAX_SECONDS = 3;
const POLL_MS = 2000;
const TURN_WAIT_MS = 100;
const SPEEDS = ["step", "1", "2", "5", "10", "25", "50", "100"];

const { session } = document.body.dataset;
const base = `${root}/api/v1/analytics/sessions/${encodeURIComponent(session)}/replay`;

async function ask(url, options = {}) {
  const answer = await fetch(url, { credentials: "same-origin", ...options });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(plain(problem.detail ?? `HTTP ${answer.status}`)), { status: answer.status });
  }
  return answer.json();
}

const api = {
  events: (from, limit, more = "") => ask(`${base}?from=${from}&limit=${limit}${more}`),
  text: (event, part, from, bytes) => ask(`${base}/${event}/text?part=${part}&from=${from}&bytes=${bytes}`),
  file: (path, at) => ask(`${base}/file?path=${encodeURIComponent(path)}&at=${at}`),
  turn: (turn, near) => ask(`${base}/turns/${turn}?near=${near}`),
  image: (event, part) => `${root}/sessions/${encodeURIComponent(session)}/images/${event}/${part}`,
  move: (move) => ask(base, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(move) }),
};

const state = {
  total: Number(document.body.dataset.total), at: 0, pages: new Map(), loading: null, outline: null, tag: null, turn: null,
  playing: false, timer: 0, chosen: 0, cursor: null, version: 0, turnShown: null, turnTimer: 0,
  // What was searched for, as it was typed and as expressions; whether the match is still to be scrolled to.
  sought: "", wanted: [], isArriving: false,
};

// The document.
const ui = build();

function build() {
  const button = (label, key, onclick, sign) =>
    el("button", { type: "button", "aria-label": label, title: `${label} (${key})`, onclick }, sign);
  const play = button("Play", "space", () => toggle(), "▶");
  const speed = el("select", { "aria-label": "Speed" }, ...SPEEDS.map((one) =>
    el("option", { value: one, selected: one === "10" }, one === "step" ? "1 event/s" : `${one}×`)));
  const find = el("input", { type: "search", id: "find", placeholder: "Find ( / )", "aria-label": "Find in this session" });
  const form = el("form", { role: "search" }, find);
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    search();
  });
  find.addEventListener("input", () => find.value.trim() === "" && seekWords(""));
  const follow = el("input", { type: "checkbox", id: "follow" });
  const bar = el("div", { class: "bar" },
    button("Previous event", "←", () => select(state.at - 1), "◀"), play, button("Next event", "→", () => select(state.at + 1), "▶❙"),
    speed, form,
    button("Next error", "e", () => seek({ next: "error" }), "⚠"), button("Next tool call", "t", () => seek({ next: "tool" }), "⚙"),
    el("label", { for: "follow" }, follow, " follow"), button("Keys", "?", () => ui.help.showModal(), "?"));
  const map = el("div", { class: "map", onclick: (click) => {
    const box = ui.map.getBoundingClientRect();
    select(Math.floor(((click.clientX - box.left) / box.width) * state.total));
  } });
  const scrubber = el("input", { type: "range", min: "0", "aria-label": "Position in the session" });
  scrubber.addEventListener("input", () => select(Number(scrubber.value)));
  const chapters = el("select", { "aria-label": "Turns" });
  chapters.addEventListener("change", () => select(Number(chapters.value)));
  const status = el("p", { class: "status", role: "status" });
  const rows = el("div", { class: "rows", role: "presentation" });
  const list = el("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Timeline" }, rows);
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  const event = el("section", { class: "detail", "aria-label": "Event", tabindex: "0" });
  // Differences and the rest of long texts arrive later than the event.
  new MutationObserver(() => show()).observe(event, { childList: true, subtree: true });
  const turn = el("section", { class: "turn", "aria-label": "Turn", tabindex: "0" });
  const help = helpDialog();
  const panes = el("div", { class: "panes" }, list, event, turn);
  document.getElementById("replay").replaceChildren(bar, map, scrubber, el("div", { class: "under" }, chapters, status, el("p", { class: "zone" }, `Times: ${ZONE}`)), panes, help);
  return { play, speed, find, follow, map, scrubber, chapters, status, rows, list, event, turn, help };
}

function helpDialog() {
  const keys = [
    ["← → or ↑ ↓", "previous, next event"], ["Page up, Page down", "ten events"], ["Home, End", "first, last event"],
    ["space", "play and pause; gaps over 3 s are shortened to 3 s"], ["+ −", "faster, slower"], ["/", "find; then n for the next"],
    ["e, E", "next, previous error"], ["t, T", "next, previous tool call"], ["[ ]", "previous, next turn"],
    ["f", "follow a session that goes on"], ["?", "this help, and away with it"],
  ];
  const close = el("button", { type: "button" }, "Close");
  const dialog = el("dialog", { "aria-labelledby": "help-title" }, el("h2", { id: "help-title" }, "Keys"),
    el("dl", {}, ...keys.flatMap(([key, what]) => [el("dt", {}, key), el("dd", {}, what)])), close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (pressed) => {
    if (pressed.key !== "?") return;
    pressed.preventDefault();
    pressed.stopPropagation();
    dialog.close();
  });
  return dialog;
}

const say = (text) => {
  ui.status.textContent = visible(text);
};

// Rows.
const rowAt = (index) => state.pages.get(Math.floor(index / PAGE))?.[index % PAGE];

function short(event) {
  const { index, at, depth, gap_seconds: gap, duration_seconds: took, cost_usd_so_far: cost, turn } = event;
  return { index, at, depth, gap, took, cost, turn, kind: kindOf(event), name: nameOf(event), failed: isFailed(event), gist: gist(event) };
}

// Loads a page of rows. Answers wait for each other, so that fast scrolling asks for what is seen at its end.
async function load(page) {
  while (state.loading) await state.loading;
  if (state.pages.has(page) || page < 0 || page * PAGE >= state.total) return;
  const version = state.version;
  state.loading = api.events(page * PAGE, PAGE, `&text_bytes=${ROW_TEXT_BYTES}`);
  try {
    const { events } = await state.loading;
    if (version !== state.version) return;
    state.pages.set(page, events.map(short));
    while (state.pages.size > PAGES_MAX) state.pages.delete(state.pages.keys().next().value);
  } catch (error) {
    say(`Events cannot be read: ${error.message}`);
  } finally {
    state.loading = null;
  }
}

const seen = () => {
  const first = Math.max(0, Math.floor(ui.list.scrollTop / ROW_PX) - 5);
  return [first, Math.min(state.total, first + Math.ceil(ui.list.clientHeight / ROW_PX) + 10)];
};

async function fill() {
  const [first, last] = seen();
  for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) {
    if (!state.pages.has(page)) {
      await load(page);
      const [now, end] = seen();
      if (state.pages.has(page)) draw();
      if (page * PAGE > end || (page + 1) * PAGE < now) return;
    }
  }
}

function rowOf(index) {
  const row = rowAt(index);
  const made = el("div", { role: "option", id: `row-${index}`, class: "row", "aria-selected": String(index === state.at),
    "aria-posinset": index + 1, "aria-setsize": state.total, onclick: () => select(index) });
  made.style.top = `${index * ROW_PX}px`;
  if (!row) {
    made.append(`#${index} …`);
    return made;
  }
  made.classList.add(`depth-${Math.min(row.depth, 4)}`);
  if (row.failed) made.classList.add("failed");
  const isLong = row.gap > GAP_MAX_SECONDS;
  made.append(el("span", { class: "time", title: stamp(row.at) }, clock(row.at)),
    el("span", { class: isLong ? "gap long" : "gap" }, row.gap === null ? "" : `+${duration(row.gap)}`),
    el("span", { class: "kind" }, el("span", { "aria-hidden": "true" }, `${row.kind[0]} `), `${row.kind[1]} ${row.name}`),
    row.failed ? el("span", { class: "bad" }, "failed") : "", el("span", { class: "gist" }, row.gist),
    el("span", { class: "cost" }, money(row.cost)));
  return made;
}

function draw() {
  ui.rows.style.height = `${state.total * ROW_PX}px`;
  const [first, last] = seen();
  const made = [];
  for (let index = first; index < last; index++) made.push(rowOf(index));
  ui.rows.replaceChildren(...made);
  if (state.at >= first && state.at < last) ui.list.setAttribute("aria-activedescendant", `row-${state.at}`);
  else ui.list.removeAttribute("aria-activedescendant");
  if (made.length && [first, last - 1].some((index) => !rowAt(index)) && !state.loading) fill();
}

// The event that is chosen.
async function select(index, quiet = false, isArriving = false) {
  if (state.total === 0) return say("This session has no events yet.");
  state.at = Math.max(0, Math.min(state.total - 1, index));
  const number = ++state.chosen;
  state.isArriving = isArriving;
  ui.scrubber.value = String(state.at);
  history.replaceState(null, "", `#event=${state.at}`);
  const top = state.at * ROW_PX;
  const { scrollTop, clientHeight } = ui.list;
  if (top < scrollTop || top + ROW_PX > scrollTop + clientHeight) ui.list.scrollTop = Math.max(0, top - clientHeight / 2);
  // The event itself is asked for before the rows around it, which may be missing too.
  const asked = api.events(state.at, 1, "&context=true");
  draw();
  try {
    const { events } = await asked;
    if (number !== state.chosen || !events[0]) return undefined;
    const [event] = events;
    ui.event.replaceChildren(detail(api, event));
    ui.event.scrollTop = 0;
    ui.event.dataset.index = String(event.index);
    const [, kind] = kindOf(event);
    ui.scrubber.setAttribute("aria-valuetext", `event ${event.index}, ${state.total} in all, ${kind} ${nameOf(event)}`);
    if (!quiet) say(`Event ${event.index}, ${count(state.total)} in all: ${kind} ${nameOf(event)}${isFailed(event) ? ", failed" : ""}`);
    // Who passes by does not need the turns on the way.
    clearTimeout(state.turnTimer);
    const isKnown = state.turnShown === `${event.turn}/${state.version}` && holds(state.turn, event.index);
    state.turnTimer = setTimeout(() => showTurn(event), isKnown ? 0 : TURN_WAIT_MS);
    return event;
  } catch (error) {
    say(`The event cannot be read: ${error.message}`);
    return undefined;
  }
}

// Whether what is known of a turn reaches an event of it: of a long turn only the events around one are asked for.
function holds(turn, index) {
  if (!turn || turn.events_omitted === 0) return true;
  const [first, last] = [turn.events[0].index, turn.events.at(-1).index];
  const isPast = turn.events_omitted > turn.events_omitted_before;
  return (index >= first || turn.events_omitted_before === 0) && (index <= last || !isPast);
}

async function showTurn(event) {
  if (event.turn) {
    const started = state.outline?.turns.find(({ turn }) => turn === event.turn);
    if (started) ui.chapters.value = String(started.event);
  }
  const wanted = `${event.turn}/${state.version}`;
  if (!event.turn) {
    state.turnShown = null;
    return ui.turn.replaceChildren();
  }
  if (state.turnShown !== wanted || !holds(state.turn, event.index)) {
    state.turnShown = wanted;
    state.turn = null;
    const turn = await api.turn(event.turn, event.index).catch(() => null);
    if (state.turnShown !== wanted || !turn) return undefined;
    state.turn = turn;
  }
  if (!state.turn) return undefined;
  ui.turn.replaceChildren(el("h2", {}, `Turn ${event.turn}`), waterfall(state.turn, event));
  const current = ui.turn.querySelector("[aria-current]");
  if (current && ui.turn.scrollHeight > ui.turn.clientHeight) {
    ui.turn.scrollTop = current.offsetTop - ui.turn.offsetTop - ui.turn.clientHeight / 2;
  }
  return undefined;
}

// Search and landmarks.
async function seek(to) {
  pause();
  const index = { index: state.at };
  for (let tries = 0; tries < 2; tries++) {
    try {
      state.cursor = state.cursor
        ? (await api.move({ action: "seek", cursor: state.cursor, to: index })).cursor
        : (await api.move({ action: "open", to: index })).cursor;
      const found = await api.move({ action: "seek", cursor: state.cursor, to });
      const what = Object.values(to)[0];
      if (!found.event) return say(`There is no ${"next" in to ? "further" : "earlier"} ${what}.`);
      return await select(found.position);
    } catch (error) {
      // A cursor that nobody used for ten minutes is gone.
      if (error.status !== 410) return say(error.message);
      state.cursor = null;
    }
  }
  return undefined;
}

function seekWords(words) {
  state.sought = words;
  state.wanted = patterns(words);
  mark(ui.event, state.wanted);
}

// Marks what was searched for in the event that is shown, and leads to the first match. If that is not in what is shown of
// a long text, the rest is asked for.
function show() {
  const match = mark(ui.event, state.wanted);
  if (!state.isArriving) return;
  if (match) {
    state.isArriving = false;
    reveal(match, ui.event);
  } else {
    ui.event.querySelectorAll("button.whole:enabled").forEach((button) => button.click());
  }
}

async function search() {
  pause();
  const words = ui.find.value.trim();
  if (!words) return undefined;
  say(`Looking for ${words} …`);
  // Other words may be in this event already; the same ones are looked for behind it.
  const isAgain = words === state.sought;
  seekWords(words);
  try {
    let from = isAgain ? state.at + 1 : state.at;
    while (from !== null && from < state.total) {
      const found = await api.events(from, 1, `&text_bytes=0&q=${encodeURIComponent(words)}`);
      if (found.events[0]) {
        ui.list.focus();
        return await select(found.events[0].index, false, true);
      }
      from = found.next_from;
    }
    return say(`“${words}” is not said ${isAgain ? "after" : "from"} event ${state.at}${isAgain ? "" : " on"}.`);
  } catch (error) {
    return say(error.message);
  }
}

// Play.
function pause() {
  clearTimeout(state.timer);
  state.playing = false;
  ui.play.textContent = "▶";
  ui.play.setAttribute("aria-label", "Play");
}

function toggle() {
  if (state.playing) return pause();
  state.playing = true;
  ui.play.textContent = "❚❚";
  ui.play.setAttribute("aria-label", "Pause");
  return next();
}

async function next() {
  if (state.at + 1 >= state.total && !ui.follow.checked) return pause();
  const index = state.at + 1;
  if (index < state.total && !rowAt(index)) await load(Math.floor(index / PAGE));
  if (!state.playing) return undefined;
  const { value } = ui.speed;
  const gap = Math.min(rowAt(index)?.gap ?? 1, GAP_MAX_SECONDS);
  const wait = index >= state.total ? 1 : value === "step" ? 1 : gap / Number(value);
  state.timer = setTimeout(async () => {
    if (!state.playing) return;
    if (index < state.total) await select(index, true);
    if (state.playing) next();
  }, Math.max(wait * 1000, 16));
  return undefined;
}

// The session from afar, asked again while the page is seen, because it may go on.
async function look() {
  const headers = state.tag ? { "If-None-Match": state.tag } : {};
  const answer = await fetch(`${base}/outline`, { headers, cache: "no-store" });
  if (!answer.ok) return;
  const outline = await answer.json();
  const [isFirst, isLonger] = [state.outline === null, outline.total_events !== state.total];
  state.tag = answer.headers.get("ETag");
  state.outline = outline;
  state.total = outline.total_events;
  ui.scrubber.max = String(Math.max(0, state.total - 1));
  ui.map.replaceChildren(minimap(outline));
  chapters(outline.turns);
  if (isFirst) return;
  // Events that came may stand before others that are known.
  state.pages.clear();
  state.version++;
  draw();
  if (ui.follow.checked && isLonger) await select(state.total - 1);
  else if (isLonger) say(`${count(state.total)} events now.`);
}

// The turns by the times and the first words of their prompts, as far as a page of prompts tells these.
async function chapters(turns) {
  if (ui.chapters.options.length === turns.length) return;
  const chosen = ui.chapters.value;
  const options = turns.map(({ turn, event, at }) => el("option", { value: event }, `Turn ${turn} · ${day(at)} ${clock(at)}`));
  ui.chapters.replaceChildren(...options);
  if (chosen) ui.chapters.value = chosen;
  const { events } = await api.events(0, 1000, "&kind=prompt&agent=main&text_bytes=400").catch(() => ({ events: [] }));
  for (const event of events) {
    const own = options.find(({ value }) => value === String(event.index));
    if (own) own.append(` · ${gist(event).slice(0, 60)}`);
  }
}

async function poll() {
  if (!document.hidden) await look().catch(() => undefined);
  setTimeout(poll, POLL_MS);
}

// Keys.
const KEYS = {
  ArrowRight: () => select(state.at + 1), ArrowDown: () => select(state.at + 1), ArrowLeft: () => select(state.at - 1),
  ArrowUp: () => select(state.at - 1), PageDown: () => select(state.at + 10), PageUp: () => select(state.at - 10),
  Home: () => select(0), End: () => select(state.total - 1), " ": () => toggle(),
  "/": () => ui.find.focus(), n: () => search(), e: () => seek({ next: "error" }), E: () => seek({ previous: "error" }),
  t: () => seek({ next: "tool" }), T: () => seek({ previous: "tool" }),
  "[": () => seek({ previous: "prompt" }), "]": () => seek({ next: "prompt" }),
  f: () => ui.follow.click(), "?": () => ui.help.showModal(),
  "+": () => faster(1), "-": () => faster(-1),
};

const faster = (by) => {
  ui.speed.selectedIndex = Math.max(0, Math.min(SPEEDS.length - 1, ui.speed.selectedIndex + by));
  say(`Speed ${ui.speed.selectedOptions[0].textContent}`);
};

document.addEventListener("keydown", (pressed) => {
  const { target, key, ctrlKey, metaKey, altKey } = pressed;
  if (ctrlKey || metaKey || altKey || ui.help.open) return;
  if (key === "Escape" && target === ui.find) return ui.list.focus();
  if (target.matches("input:not([type=checkbox], [type=range]), select, textarea")) return;
  if (target.matches("button, a, summary, input") && (key === " " || key === "Enter")) return;
  // What can be scrolled is scrolled by its own keys; so is the scrubber.
  if (target.matches("pre, .detail, .turn, [type=range]") && /^(Arrow|Page|Home|End)/.test(key)) return;
  const does = KEYS[key];
  if (!does) return;
  pressed.preventDefault();
  if (/^(Arrow|Page|Home|End)/.test(key)) pause();
  does();
});

ui.follow.addEventListener("change", () => ui.follow.checked && select(state.total - 1));
new ResizeObserver(() => draw()).observe(ui.list);

// A link may say what was searched for: `#event=17&q=words`.
const words = /^#event=\d+&q=(.*)$/.exec(location.hash)?.[1];
if (words) {
  ui.find.value = new URLSearchParams(`q=${words}`).get("q");
  seekWords(ui.find.value.trim());
}
document.querySelectorAll("header time").forEach((time) => {
  time.textContent = stamp(time.dateTime);
});
const linked = () => Number(/^#event=(\d+)(?:&|$)/.exec(location.hash)?.[1] ?? new URLSearchParams(location.search).get("from") ?? 0);
addEventListener("hashchange", () => linked() !== state.at && select(linked()));
select(linked(), false, words !== undefined);
look().catch((error) => say(error.message)).finally(() => {
  draw();
  setTimeout(poll, POLL_MS);
});
