// The list of sessions, with search, and what the last days cost.

import { bars } from "./draw.js";
import { ZONE, clock, count, day, duration, el, money, plain, root, stamp, visible } from "./text.js";
import { attend, words as waits } from "./waits.js";

const DAYS = 14;
const ACTIVE_SECONDS = 300;
const place = document.getElementById("sessions");

async function ask(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(plain(told.detail ?? `HTTP ${answer.status}`));
  return told;
}

const search = el("input", { type: "search", id: "words", name: "q" });
const project = el("select", { id: "project" }, el("option", { value: "" }, "all projects"));
const form = el("form", { role: "search", class: "bar" }, el("label", { for: "words" }, "Search "), search,
  el("label", { for: "project" }, "Project "), project, el("button", {}, "Search"));
const status = el("p", { role: "status", class: "about" });
const chart = el("figure", { class: "days" });
const body = el("tbody");
const HEADS = ["Session", "Project", "Status", `Started (${ZONE})`, "Turns", "Cost"];
const caption = el("caption", {}, "The latest sessions");
const table = el("table", {}, caption,
  el("thead", {}, el("tr", {}, ...HEADS.map((name) => el("th", { scope: "col" }, name)))), body);
const more = el("button", { type: "button", hidden: true }, "Further sessions");
const hits = el("section", { "aria-label": "Texts that match" });
const wide = el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of sessions" }, table);
place.append(chart, form, hits, status, wide, more);

function row(session) {
  const seconds = session.ended_at ? (Date.now() - Date.parse(session.ended_at)) / 1000 : null;
  const isActive = seconds !== null && seconds < ACTIVE_SECONDS;
  const link = el("a", { href: `${root}/sessions/${encodeURIComponent(session.id)}` }, visible(session.title ?? session.id));
  const started = session.started_at ? `${day(session.started_at)} ${clock(session.started_at).slice(0, 5)}` : "";
  const state = el("td", {}, isActive ? "active" : seconds === null ? "" : `${duration(seconds)} ago`);
  const made = el("tr", {}, el("th", { scope: "row" }, link), el("td", {}, visible(session.project ?? "")), state,
    el("td", {}, started), el("td", {}, count(session.turns)), el("td", {}, money(session.cost_usd)));
  rows.set(session.id, { state, quiet: state.textContent });
  tell(session.id, session.waiting);
  return made;
}

// What stands in the column of states, by session: what it waits for, else how long it has been quiet.
const rows = new Map();

function tell(id, waiting) {
  const { state, quiet } = rows.get(id);
  state.replaceChildren(waiting ? el("strong", { class: `waits ${waiting.for}` }, waits(waiting)) : quiet);
}

attend("", (waiting) => {
  for (const id of rows.keys()) tell(id, waiting.get(id));
});

let cursor = null;

const questions = () => {
  const asked = new URLSearchParams();
  if (search.value.trim()) asked.set("q", search.value.trim());
  if (project.value) asked.set("project", project.value);
  return asked;
};

async function list(isMore) {
  const asked = questions();
  asked.set("limit", "50");
  if (isMore && cursor) asked.set("cursor", cursor);
  try {
    const page = await ask(`${root}/api/v1/analytics/sessions?${asked}`);
    if (!isMore) {
      body.replaceChildren();
      rows.clear();
    }
    body.append(...page.sessions.map(row));
    cursor = page.next_cursor;
    more.hidden = cursor === null;
    const words = search.value.trim();
    const number = page.total === 0 ? "No session" : page.total === 1 ? "1 session" : `${count(page.total)} sessions`;
    status.textContent = words ? `${number} of which the title, the project or the id has “${visible(words)}”` : number;
    caption.textContent = words ? "Sessions by their names, the latest first" : "The latest sessions";
    wide.hidden = page.total === 0;
  } catch (error) {
    status.textContent = `The sessions cannot be read: ${error.message}`;
  }
}

// What stands around a match, with the matches marked. Places are told in characters, of which one may have two units.
function snippet(hit) {
  const letters = [...hit.snippet];
  const made = el("q", {});
  let from = 0;
  for (const [start, length] of hit.matches) {
    if (start < from) continue;
    made.append(visible(letters.slice(from, start).join("")), el("mark", {}, visible(letters.slice(start, start + length).join(""))));
    from = start + length;
  }
  made.append(visible(letters.slice(from).join("")));
  return made;
}

let asking = 0;

async function texts() {
  const number = ++asking;
  hits.replaceChildren();
  const asked = questions();
  if (!asked.has("q")) return;
  asked.set("limit", "20");
  try {
    hits.append(el("p", { class: "about" }, "Searching …"));
    const found = await ask(`${root}/api/v1/analytics/search?${asked}`);
    if (number !== asking) return;
    const words = encodeURIComponent(asked.get("q"));
    const items = found.hits.map((hit) => {
      const where = [hit.project, hit.at && stamp(hit.at), hit.kind.replaceAll("_", " "), hit.tool];
      const href = `${root}/sessions/${encodeURIComponent(hit.session)}#event=${hit.event ?? 0}&q=${words}`;
      return el("li", {}, el("a", { href }, visible(hit.title ?? hit.session)), " ",
        el("span", { class: "about" }, visible(where.filter(Boolean).join(" · "))), el("br"), snippet(hit));
    });
    const isMore = found.next_cursor !== null;
    const heading = isMore ? `The latest ${items.length} texts that match` : `Texts that match: ${items.length}`;
    hits.replaceChildren(el("h2", {}, items.length ? heading : "No text matches"), items.length ? el("ul", {}, ...items) : "",
      isMore && items.length === 0 ? el("p", {}, "Not everything could be searched in time; search again.") : "");
  } catch (error) {
    if (number === asking) hits.replaceChildren(el("p", { class: "bad" }, `Texts cannot be searched: ${error.message}`));
  }
}

async function days() {
  const since = new Date(Date.now() - (DAYS - 1) * 86400000).toISOString().slice(0, 10);
  const { rows, total } = await ask(`${root}/api/v1/analytics/costs?group_by=day&since=${since}`);
  const cost = new Map(rows.map(({ day, cost_usd: usd }) => [day, Number(usd)]));
  const all = Array.from({ length: DAYS }, (_, i) => new Date(Date.parse(since) + i * 86400000).toISOString().slice(0, 10));
  chart.replaceChildren(bars(all.map((day) => cost.get(day) ?? 0)),
    el("figcaption", {}, `Cost of the last ${DAYS} days (UTC): ${money(total.cost_usd)}; today ${money(cost.get(all.at(-1)) ?? 0)}`));
}

async function projects() {
  const { rows } = await ask(`${root}/api/v1/analytics/costs?group_by=project`);
  const names = rows.map((one) => one.project).filter((name) => name !== null).sort();
  const chosen = project.value;
  const others = names.filter((name) => name !== chosen);
  project.append(...others.map((name) => el("option", { value: name }, visible(name))));
}

function show() {
  list(false);
  texts();
}

// The search is in the address, so that it can be kept, sent and come back to.
function keep() {
  const asked = String(questions());
  const address = asked ? `?${asked}` : location.pathname;
  if (asked !== location.search.slice(1)) history.pushState(null, "", address);
  show();
}

function read() {
  const asked = new URLSearchParams(location.search);
  search.value = asked.get("q") ?? "";
  const name = asked.get("project") ?? "";
  if (![...project.options].some(({ value }) => value === name)) project.append(el("option", { value: name }, visible(name)));
  project.value = name;
  show();
}

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  keep();
});
project.addEventListener("change", keep);
addEventListener("popstate", read);
more.addEventListener("click", () => list(true));
read();
days().catch(() => chart.remove());
projects().catch(() => undefined);
