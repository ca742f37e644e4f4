// Which sessions wait for a person: in the list of sessions, and in the head of the page of one.

import { clock, root, visible } from "./text.js";

const EVERY_MS = 1000;

const WORDS = {
  permission: (tool) => `waits for permission${tool && `: ${tool}`}`,
  question: () => "asks a question",
  idle: () => "waits for a prompt",
  unknown: (tool) => `${tool || "a tool"} takes long, or waits for permission`,
};

// What a session waits for, and since when, for people.
export const words = (waiting) =>
  `${visible((WORDS[waiting.for] ?? (() => waiting.for))(waiting.tool ?? ""))} since ${clock(waiting.since)}`;

// Asks once a second, while the page is seen, which sessions wait, and hands them on when that has changed. As long as it has
// not, the answer is empty.
export function attend(asked, take) {
  let tag = "";
  const ask = async () => {
    if (document.hidden) return;
    const headers = tag ? { "If-None-Match": tag } : {};
    const url = `${root}/api/v1/analytics/sessions?waiting=any&limit=1000${asked}`;
    const answer = await fetch(url, { credentials: "same-origin", cache: "no-store", headers });
    if (answer.status !== 200) return;
    const { sessions } = await answer.json();
    tag = answer.headers.get("ETag") ?? "";
    take(new Map(sessions.map((session) => [session.id, session.waiting])));
  };
  // A sidecar that is restarted is asked again.
  setInterval(() => ask().catch(() => { tag = ""; }), EVERY_MS);
}

const place = document.getElementById("waiting");
if (place) {
  const { session } = document.body.dataset;
  attend(`&session=${encodeURIComponent(session)}`, (waiting) => {
    const own = waiting.get(session);
    place.textContent = own ? words(own) : "";
    place.className = `waits ${own?.for ?? ""}`;
  });
}
