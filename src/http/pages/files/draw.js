// Drawings: what a session cost from afar, and what a turn waited for.

import { duration, el, visible } from "./text.js";

const svg = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

// Bars, one for each number, as high as the greatest is.
export function bars(numbers, marks = []) {
  const most = Math.max(...numbers, 0) || 1;
  const picture = svg("svg", {
    viewBox: `0 0 ${Math.max(numbers.length, 1)} 100`, preserveAspectRatio: "none", "aria-hidden": "true", class: "bars",
  });
  numbers.forEach((number, i) => {
    const height = number > 0 ? Math.max(2, (number / most) * 100) : 0;
    picture.append(svg("rect", { x: i + 0.1, y: 100 - height, width: 0.8, height, class: "cost" }));
  });
  for (const { at, name } of marks) {
    const [y, height] = name === "error" ? [0, 30] : [0, 100];
    picture.append(svg("rect", { x: at, y, width: name === "error" ? 1 : 0.25, height, class: name }));
  }
  return picture;
}

// The cost of a session, its errors and its turns.
export function minimap(outline) {
  const { stretches, turns, total_events: total } = outline;
  const scale = stretches.length / Math.max(total, 1);
  const marks = turns.length <= 100 ? turns.map(({ event }) => ({ at: event * scale, name: "turn" })) : [];
  stretches.forEach(({ errors }, i) => errors > 0 && marks.push({ at: i, name: "error" }));
  return bars(stretches.map(({ cost_usd: cost }) => Number(cost)), marks);
}

const ROWS_MAX = 200;
const nameOf = (event) => visible(String(event.tool ?? event.model ?? event.agent_type ?? event.name ?? event.kind));

// What a turn did: one row for each thing that took time, each a link to its event. What the turn waited for is marked, and so
// is the row of the event that was chosen.
export function waterfall(turn, chosen) {
  const timed = turn.events.filter(({ duration_seconds: s, kind }) => s > 0 && kind !== "subagent_start");
  const longest = [...timed].sort((a, b) => b.duration_seconds - a.duration_seconds).slice(0, ROWS_MAX);
  const start = (event) => Date.parse(event.at) - event.duration_seconds * 1000;
  const rows = longest.sort((a, b) => start(a) - start(b) || a.index - b.index);
  if (rows.length === 0) return el("p", {}, "Nothing in this turn took measurable time.");
  const first = Math.min(...rows.map(start));
  const whole = Math.max(...rows.map((event) => Date.parse(event.at))) - first || 1;
  // A turn tells of calls by their results.
  const current = rows.find(({ index }) => index === chosen.index)
    ?? rows.find(({ kind, tool_call_id: call }) => kind === "tool_result" && call === chosen.tool_call_id);
  const list = el("ol", { class: "waterfall" });
  for (const event of rows) {
    const waited = event.critical_path_seconds ?? 0;
    const bar = el("span", { class: `${event.kind}${waited > 0 ? " critical" : ""}`, "aria-hidden": "true" });
    bar.style.marginLeft = `${((start(event) - first) / whole) * 100}%`;
    bar.style.width = `${Math.max(0.3, (event.duration_seconds * 100000) / whole)}%`;
    const path = waited > 0 ? el("span", { class: "path" }, `★ ${duration(waited)}`) : null;
    if (path) path.setAttribute("title", "so long the turn waited for this: it is on the critical path");
    list.append(el("li", { class: `depth-${Math.min(event.depth, 4)}` },
      el("a", { href: `#event=${event.index}`, "aria-current": event === current ? "true" : null },
        el("span", { class: "name" }, nameOf(event)), el("span", { class: "took" }, duration(event.duration_seconds), " ",
          path), el("span", { class: "track" }, bar))));
  }
  const left = timed.length - rows.length;
  const note = el("p", { class: "about" }, "★ is on the critical path: so long the turn waited for it.",
    left > 0 ? ` ${left} shorter rows are left out.` : "",
    turn.events_omitted > 0 ? ` The turn has ${turn.events_omitted} further events; these are the ones around the event.` : "");
  return el("div", {}, list, note);
}
