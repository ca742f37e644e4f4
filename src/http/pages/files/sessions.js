// The list of sessions, with search, and what the last days cost.

import { bars } from "./draw.js";
import { count, duration, el, money, root, visible } from "./text.js";

const DAYS = 14;
const ACTIVE_SECONDS = 300;
const place = document.getElementById("sessions");

async function ask(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? `HTTP ${answer.status}`);
  return told;
}

const search = el("input", { type: "search", id: "words", name: "q" });
const project = el("select", { id: "project" }, el("option", { value: "" }, "all projects"));
const form = el("form", { role: "search", class: "bar" }, el("label", { for: "words" }, "Search "), search,
  el("label", { for: "project" }, "Project "), project, el("button", {}, "Search"));
const status = el("p", { role: "status", class: "about" });
const chart = el("figure", { class: "days" });
const body = el("tbody");
const HEADS = ["Session", "Project", "Status", "Started", "Turns", "Cost"];
const table = el("table", {}, el("caption", {}, "The latest sessions"),
  el("thead", {}, el("tr", {}, ...HEADS.map((name) => el("th", { scope: "col" }, name)))), body);
const more = el("button", { type: "button", hidden: true }, "Further sessions");
const hits = el("section", { "aria-label": "Texts that match" });
place.append(chart, form, status, el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of sessions" }, table), more, hits);

function row(session) {
  const seconds = session.ended_at ? (Date.now() - Date.parse(session.ended_at)) / 1000 : null;
  const isActive = seconds !== null && seconds < ACTIVE_SECONDS;
  const link = el("a", { href: `${root}/sessions/${encodeURIComponent(session.id)}` }, visible(session.title ?? session.id));
  const started = session.started_at ? session.started_at.slice(0, 16).replace("T", " ") : "";
  return el("tr", {}, el("th", { scope: "row" }, link), el("td", {}, visible(session.project ?? "")),
    el("td", {}, isActive ? "active" : seconds === null ? "" : `${duration(seconds)} ago`), el("td", {}, started),
    el("td", {}, count(session.turns)), el("td", {}, money(session.cost_usd)));
}

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
    if (!isMore) body.replaceChildren();
    body.append(...page.sessions.map(row));
    cursor = page.next_cursor;
    more.hidden = cursor === null;
    status.textContent = page.total === 1 ? "1 session" : `${count(page.total)} sessions`;
  } catch (error) {
    status.textContent = `The sessions cannot be read: ${error.message}`;
  }
}

async function texts() {
  hits.replaceChildren();
  const asked = questions();
  if (!asked.has("q")) return;
  asked.set("limit", "20");
  try {
    const found = await ask(`${root}/api/v1/analytics/search?${asked}`);
    const items = found.hits.map((hit) => el("li", {},
      el("a", { href: `${root}/sessions/${encodeURIComponent(hit.session)}#event=${hit.event ?? 0}` }, visible(hit.title ?? hit.session)),
      ` ${hit.kind.replaceAll("_", " ")} `, el("q", {}, visible(hit.snippet))));
    hits.append(el("h2", {}, "Texts that match"), items.length ? el("ul", {}, ...items) : el("p", {}, "None."));
  } catch (error) {
    hits.append(el("p", {}, `Texts cannot be searched: ${error.message}`));
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
  project.append(...names.map((name) => el("option", { value: name }, visible(name))));
}

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  list(false);
  texts();
});
project.addEventListener("change", () => list(false));
more.addEventListener("click", () => list(true));
list(false);
days().catch(() => chart.remove());
projects().catch(() => undefined);
