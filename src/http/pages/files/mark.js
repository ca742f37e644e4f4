// Marks what was searched for. Texts stay as they are: the browser paints over ranges of them, and nothing is added to the page.

const NAME = "found";
const MARKS_MAX = 1000;
const BLOCKS = "pre, p, ins, del, code, li, dd, summary";

// The words, phrases and expressions that a search wants to find, as expressions of this language; those that it cannot read
// are left out. What a text must not have is not looked for.
export function patterns(query) {
  const made = [];
  const token = /(-?)(?:"((?:[^"\\]|\\.)*)"?|\/((?:[^/\\]|\\.)+)\/(i?)(?=\s|$)|(\S+))/gu;
  for (const [, not, phrase, expression, anyCase, word] of query.matchAll(token)) {
    if (not) continue;
    const text = phrase === undefined ? word : phrase.replace(/\\(.)/gu, "$1");
    const source = expression ?? text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    try {
      if (source) made.push(new RegExp(source, expression === undefined || anyCase ? "giu" : "gu"));
    } catch {
      // The sidecar reads expressions that browsers do not.
    }
  }
  return made;
}

// The texts within an element by their blocks: a match may begin in one span of a line and end in the next.
function blocks(within) {
  const made = new Map();
  const nodes = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const node = nodes.currentNode;
    const block = node.parentElement.closest(BLOCKS) ?? within;
    // Names of parts are not texts of the session, but short values stand beside them.
    if (node.parentElement.closest("button, .facts, h2") || (node.parentElement.closest(".part") && block.localName !== "code")) continue;
    if (!made.has(block)) made.set(block, []);
    made.get(block).push(node);
  }
  return made.values();
}

function rangesOf(nodes, wanted) {
  const text = nodes.map(({ data }) => data).join("");
  const made = [];
  const place = (offset, isEnd) => {
    let left = offset;
    for (const node of nodes) {
      if (left < node.length || (isEnd && left === node.length)) return [node, left];
      left -= node.length;
    }
    return [nodes.at(-1), nodes.at(-1).length];
  };
  for (const pattern of wanted) {
    for (const found of text.matchAll(pattern)) {
      if (found[0] === "") continue;
      const range = new Range();
      range.setStart(...place(found.index, false));
      range.setEnd(...place(found.index + found[0].length, true));
      made.push(range);
      if (made.length >= MARKS_MAX) return made;
    }
  }
  return made;
}

// Marks all matches within an element, and no others. Returns the first one.
export function mark(within, wanted) {
  const ranges = wanted.length ? [...blocks(within)].flatMap((nodes) => rangesOf(nodes, wanted)).slice(0, MARKS_MAX) : [];
  if (globalThis.CSS?.highlights) {
    if (ranges.length) CSS.highlights.set(NAME, new Highlight(...ranges));
    else CSS.highlights.delete(NAME);
  }
  return ranges.reduce((best, one) => (best && best.compareBoundaryPoints(Range.START_TO_START, one) <= 0 ? best : one), null);
}

// Scrolls everything around a place, up to `top`, so that the place is seen: a range, or an element.
export function reveal(place, top) {
  let around = place instanceof Range ? place.startContainer.parentElement : place.parentElement;
  for (; around && top.contains(around); around = around.parentElement) {
    const [own, box] = [place.getBoundingClientRect(), around.getBoundingClientRect()];
    const isScrolled = around.scrollHeight > around.clientHeight && getComputedStyle(around).overflowY !== "visible";
    if (isScrolled && (own.top < box.top || own.bottom > box.top + around.clientHeight)) {
      around.scrollTop += own.top - box.top - around.clientHeight / 3;
    }
  }
  const { top: first, bottom: last } = place.getBoundingClientRect();
  if (first < 0 || last > innerHeight) scrollBy(0, first - innerHeight / 3);
}
