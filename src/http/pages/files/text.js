// Texts as elements. Whatever a session holds becomes text nodes here, never markup.

// Characters that cannot be seen, and those that turn the direction of what follows, are shown as their numbers.
// eslint-disable-next-line no-control-regex
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

export const visible = (text) =>
  text.replace(/\r\n/g, "\n").replace(HIDDEN, (c) => `\u27e8${c.codePointAt(0).toString(16).toUpperCase()}\u27e9`);

// Where the pages are: empty, or the path below which a proxy serves them.
export const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

// An element with attributes and children; texts become text nodes.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const money = (usd) => {
  const amount = Number(usd);
  return `$${amount.toFixed(amount !== 0 && Math.abs(amount) < 1 ? 4 : 2)}`;
};

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds >= 172800) return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

// The zone that times are shown in: that of the browser.
export const ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
const two = (number) => String(number).padStart(2, "0");
const named = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });

export const day = (at) => {
  const time = new Date(at);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
};
export const clock = (at) => {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
};
// A day, a time and the name of its zone, as `2026-03-01 13:00:04 GMT+1`.
export const stamp = (at) => {
  const zone = named.formatToParts(new Date(at)).find(({ type }) => type === "timeZoneName")?.value ?? ZONE;
  return `${day(at)} ${clock(at)} ${zone}`;
};

// What is wrong with a search, for people.
export const plain = (detail) => detail.replace(/^`q` cannot be read at column (\d+): (.*)$/s,
  (_, column, reason) => `this search cannot be read: ${reason} (at character ${column})`);

export const count = (number) => Number(number).toLocaleString("en");

// The sixteen colours that every terminal has; of finer ones the nearest.
const COLOURS = [
  [0, 0, 0], [170, 0, 0], [0, 170, 0], [170, 85, 0], [0, 0, 170], [170, 0, 170], [0, 170, 170], [170, 170, 170],
];
const nearest = (rgb) => {
  const far = (colour) => colour.reduce((sum, part, i) => sum + (part - rgb[i]) ** 2, 0);
  return COLOURS.map(far).reduce((best, one, i, all) => (one < all[best] ? i : best), 0);
};
const LEVELS = [0, 95, 135, 175, 215, 255];
const indexed = (n) => {
  if (n < 16) return n % 8;
  if (n > 231) return nearest(Array(3).fill(8 + (n - 232) * 10));
  return nearest([LEVELS[Math.floor((n - 16) / 36)], LEVELS[Math.floor((n - 16) / 6) % 6], LEVELS[(n - 16) % 6]]);
};

function styled(style, codes) {
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 2) style = { ...style, dim: true };
    else if (code === 3) style = { ...style, italic: true };
    else if (code === 4) style = { ...style, underline: true };
    else if (code === 7) style = { ...style, inverse: true };
    else if (code === 22) style = { ...style, bold: false, dim: false };
    else if (code === 23) style = { ...style, italic: false };
    else if (code === 24) style = { ...style, underline: false };
    else if (code === 27) style = { ...style, inverse: false };
    else if (code >= 30 && code <= 37) style = { ...style, colour: code - 30 };
    else if (code >= 90 && code <= 97) style = { ...style, colour: code - 90 };
    else if (code === 39) style = { ...style, colour: undefined };
    else if (code === 38 || code === 48) {
      const fine = codes[i + 1] === 5 ? indexed(codes[i + 2] ?? 0) : nearest(codes.slice(i + 2, i + 5));
      if (code === 38) style = { ...style, colour: fine };
      i += codes[i + 1] === 5 ? 2 : 4;
    }
  }
  return style;
}

// A text of a terminal: its colours and weights as classes, every other order to the terminal left out.
export function terminal(text) {
  const made = document.createDocumentFragment();
  let style = {};
  // eslint-disable-next-line no-control-regex
  const order = /\u001b(?:\[([0-9;:]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;
  const put = (piece) => {
    if (piece === "") return;
    const names = ["bold", "dim", "italic", "underline", "inverse"].filter((name) => style[name]).map((n) => `t-${n}`);
    if (style.colour !== undefined) names.push(`t-c${style.colour}`);
    made.append(names.length ? el("span", { class: names.join(" ") }, visible(piece)) : visible(piece));
  };
  let from = 0;
  for (const found of text.matchAll(order)) {
    put(text.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[2] === "m") style = styled(style, found[1].split(/[;:]/).map(Number));
  }
  put(text.slice(from));
  return made;
}

// A text of a person or the model: what stands between fences is code.
export function prose(text) {
  const parts = text.split(/^```.*$/m);
  return el("div", { class: "prose" }, ...parts.map((part, i) => {
    const own = i > 0 ? part.replace(/^\n/, "") : part;
    if (own.trim() === "") return null;
    return i % 2 ? el("pre", { class: "code", tabindex: "0" }, visible(own)) : el("p", {}, visible(own.trim()));
  }));
}

const LINES_MAX = 2000;

// The lines of two texts as [mark, line]: what they have in common, what went, what came.
export function lines(before, after) {
  const split = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
  const [a, b] = [split(before), split(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const same = (list) => list.map((line) => [" ", line]);
  let middle;
  if (x.length > LINES_MAX || y.length > LINES_MAX) {
    middle = [...x.map((line) => ["-", line]), ...y.map((line) => ["+", line])];
  } else {
    middle = common(x, y);
  }
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end, a.length))];
}

function common(x, y) {
  const width = y.length + 1;
  const longest = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      longest[i * width + j] = x[i] === y[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const made = [];
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) made.push([" ", x[i++]]), j++;
    else if (j >= y.length || (i < x.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      made.push(["-", x[i++]]);
    } else made.push(["+", y[j++]]);
  }
  return made;
}

// A unified difference with three lines around each change. `numbered` is false if the line numbers are not those of the file.
export function difference(before, after, numbered) {
  const AROUND = 3;
  const all = lines(before, after);
  const shown = new Set();
  all.forEach(([mark], i) => {
    if (mark !== " ") for (let k = i - AROUND; k <= i + AROUND; k++) shown.add(k);
  });
  const body = el("pre", { class: "diff", tabindex: "0", "aria-label": "Difference" });
  let [old, now, open] = [1, 1, false];
  all.forEach(([mark, line], i) => {
    if (shown.has(i)) {
      if (!open) body.append(el("span", { class: "hunk" }, numbered ? `@@ -${old} +${now} @@\n` : "@@\n"));
      const name = mark === "+" ? "ins" : mark === "-" ? "del" : "span";
      body.append(el(name, {}, `${mark}${visible(line)}\n`));
    }
    open = shown.has(i);
    if (mark !== "+") old++;
    if (mark !== "-") now++;
  });
  if (!all.some(([mark]) => mark !== " ")) body.append("no change");
  return body;
}
