// Looks at the pages of a sidecar with a real browser: `node pages.mjs TOOLS CASE ORIGIN SESSION [FILE]`. TOOLS is
// target/page-tools. A case that is not as it should be ends with an error.
//
// The clock of the page is a made one, which a case can stop and move; nothing here sleeps.
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { resolve } from "node:path";

const [tools, name, origin, session, file] = process.argv.slice(2);
const fromTools = createRequire(resolve(tools, "package.json"));
const { chromium } = fromTools("playwright-core");
const axe = readFileSync(fromTools.resolve("axe-core/axe.min.js"), "utf8");
const program = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu"] });
const problems = [];
// A part of the addresses of which a case wants to be refused.
let refused = null;

async function open(path, { view = { width: 1280, height: 800 }, dark = false, scripts = true, empty = false, zone = "UTC" } = {}) {
  const context = await browser.newContext({
    viewport: view, colorScheme: dark ? "dark" : "light", javaScriptEnabled: scripts, reducedMotion: "reduce", timezoneId: zone,
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  // A file that nobody had named before, and a picture of a form that browsers do not draw, are not found.
  const isMissing = (said) => (said.text().includes("404") && /\/replay\/file\?|\/images\//.test(said.location().url))
    || (refused !== null && said.text().includes("400") && said.location().url.includes(refused));
  page.on("console", (said) => !isMissing(said) && ["error", "warning"].includes(said.type()) && problems.push(`console: ${said.text()} ${said.location().url}`));
  page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
  page.on("request", (asked) => !asked.url().startsWith(`${origin}/`) && problems.push(`left: ${asked.url()}`));
  if (empty) await page.route("**/pages/*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  if (process.env.ASSETS) {
    await page.route("**/pages/*", (route) => route.fulfill({ path: resolve(process.env.ASSETS, route.request().url().split("/").pop()) }));
  }
  if (scripts) await page.clock.install({ time: "2026-03-01T13:00:00Z" });
  await page.goto(`${origin}${path}`);
  return page;
}

const replay = async (more = "", options = {}) => {
  const page = await open(`/sessions/${session}${more}`, options);
  await page.locator(".detail article").waitFor();
  return page;
};

const at = (page) => page.evaluate(() => Number(document.querySelector(".detail").dataset.index));
const until = (page, index) => page.waitForFunction((i) => document.querySelector(".detail")?.dataset.index === String(i), index);
const seenAt = async (page, index) => {
  await until(page, index);
  assert.equal(await page.evaluate(() => location.hash), `#event=${index}`);
};
const total = (page) => page.evaluate(() => Number(document.querySelector("[type=range]").max) + 1);
const said = (page, words) => page.waitForFunction((text) => document.querySelector(".status").textContent.includes(text), words);
const api = async (rest) => (await fetch(`${origin}/api/v1/analytics/sessions/${session}/replay${rest}`)).json();
const first = async (takes) => {
  const { events } = await api("?limit=1000");
  const found = events.find(takes);
  assert.ok(found, "the session has no such event");
  return found.index;
};

async function judge(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, [], what);
}

// Saves the transcript of the session, and opens the file without the sidecar.
async function saved(width, dark, look) {
  const folder = mkdtempSync(resolve(tmpdir(), "transcript-"));
  try {
    const reply = await fetch(`${origin}/api/v1/analytics/sessions/${session}/transcript?format=html`);
    assert.match(reply.headers.get("content-disposition"), /^attachment; filename="tailspan-[0-9a-f-]+\.html"$/);
    const file = resolve(folder, "session.html");
    writeFileSync(file, await reply.text());
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: dark ? "dark" : "light", offline: true });
    const page = await context.newPage();
    page.on("console", (said) => ["error", "warning"].includes(said.type()) && problems.push(`console: ${said.text()}`));
    page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
    page.on("request", (asked) => !asked.url().startsWith("data:image/png") && asked.url() !== `file://${file}` && problems.push(`asked: ${asked.url()}`));
    await page.goto(`file://${file}`);
    await look(page);
    await context.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function picture(page, label) {
  if (!process.env.PICTURES) return;
  mkdirSync(process.env.PICTURES, { recursive: true });
  await page.screenshot({ path: resolve(process.env.PICTURES, `${label}.png`) });
}

// eslint-disable-next-line no-control-regex
const TURNING = /[\u202a-\u202e\u2066-\u2069\u001b]/;

const cases = {
  // The first window is in the page itself, and a link leads to an event.
  async load() {
    const plain = await open(`/sessions/${session}`, { scripts: false });
    assert.equal(await plain.locator("ol.plain > li").count(), 50);
    assert.match(await plain.locator("ol.plain").innerText(), /zebra counter/);
    // The cost is that of the list to the same digit, and times say which zone they are of.
    const list = await open("/");
    const cost = await list.locator("tbody tr", { hasText: "Count the zebras" }).locator("td").last().innerText();
    assert.match(cost, /^\$\d+\.\d\d(\d\d)?$/);
    assert.ok((await plain.locator("header .about").first().innerText()).includes(` ${cost} · 2026-03-01 12:00:00.000 UTC`));
    const far = await replay("", { zone: "Asia/Kolkata" });
    assert.match(await far.locator("header .about").first().innerText(), / · 2026-03-01 17:30:00 GMT\+5:30$/);
    await far.locator("#row-0 .time").waitFor();
    assert.equal(await far.locator("#row-0 .time").innerText(), "17:30:00");
    assert.match(await far.locator(".detail .facts").innerText(), /2026-03-01 17:30:00 GMT\+5:30/);
    assert.equal(await far.locator(".zone").innerText(), "Times: Asia/Calcutta");
    await far.waitForFunction(() => document.querySelector("select[aria-label=Turns]").options[0].text.includes("2026-03-01 17:30:00"));
    await plain.locator("a[rel=next]").click();
    assert.match(plain.url(), /\?from=50$/);
    assert.equal(await plain.locator("#e50").count(), 1);
    const page = await replay("#event=17");
    await seenAt(page, 17);
    const rows = await page.locator("[role=option]").count();
    assert.ok(rows > 5 && rows < 60, `${rows} rows are in the document`);
    assert.equal(await page.locator("[role=option][aria-selected=true]").getAttribute("id"), "row-17");
    await page.evaluate(() => { location.hash = "#event=3"; });
    await until(page, 3);
    // The session as a file, from the page.
    for (const [name, end] of [["HTML", ".html"], ["Markdown", ".md"], ["JSON", ".json"], ["Perfetto", ".perfetto-trace"], ["asciinema", ".cast"]]) {
      const [saved] = await Promise.all([
        page.waitForEvent("download"), page.getByRole("link", { name, exact: true }).click(),
      ]);
      assert.ok(saved.suggestedFilename().endsWith(end), saved.suggestedFilename());
      assert.ok(readFileSync(await saved.path()).length > 1000);
    }
  },

  async step() {
    const page = await replay();
    await seenAt(page, 0);
    for (const [key, index] of [["ArrowRight", 1], ["ArrowDown", 2], ["ArrowLeft", 1], ["PageDown", 11], ["PageUp", 1], ["Home", 0], ["ArrowLeft", 0]]) {
      await page.locator(".list").press(key);
      await seenAt(page, index);
    }
    await page.getByRole("button", { name: "Next event" }).click();
    await seenAt(page, 1);
  },

  async seek() {
    const page = await replay();
    const last = (await total(page)) - 1;
    await page.keyboard.press("End");
    await seenAt(page, last);
    await page.keyboard.press("Home");
    await seenAt(page, 0);
    const error = await first(({ outcome }) => outcome === "failed");
    await page.keyboard.press("e");
    await seenAt(page, error);
    assert.match(await page.locator(".status").textContent(), /failed/);
    const tool = await first(({ kind, index }) => kind === "tool_call" && index > error);
    await page.keyboard.press("t");
    await seenAt(page, tool);
    await page.keyboard.press("Shift+E");
    await seenAt(page, error);
    await page.keyboard.press("]");
    await seenAt(page, await first(({ kind, index }) => kind === "prompt" && index > error));
    await page.locator("[type=range]").fill("5");
    await seenAt(page, 5);
    const box = await page.locator(".map").boundingBox();
    await page.mouse.click(box.x + box.width - 2, box.y + 5);
    await seenAt(page, last);
    await page.keyboard.press("e");
    await said(page, "no further error");
    await page.waitForFunction(() => document.querySelector("select[aria-label=Turns]").options[0].text.includes("Please fix the zebra"));
    await page.getByLabel("Turns").selectOption({ index: 0 });
    await seenAt(page, 0);
  },

  // At 10 times real time the two seconds before an event are 0.2 s, and a pause of ten minutes is one of 3 s.
  async play() {
    const page = await replay();
    const { events } = await api("?limit=1000");
    await page.locator("#row-1 .time").waitFor();
    await page.clock.pauseAt("2026-03-01T14:00:00Z");
    await page.keyboard.press(" ");
    await page.getByRole("button", { name: "Pause" }).waitFor();
    assert.equal(events[1].gap_seconds, 2);
    await page.clock.runFor(150);
    assert.equal(await at(page), 0);
    await page.clock.runFor(60);
    await seenAt(page, 1);
    await page.keyboard.press(" ");
    await page.getByRole("button", { name: "Play" }).waitFor();
    await page.clock.runFor(60000);
    assert.equal(await at(page), 1);
    const long = await first(({ gap_seconds: gap }) => gap > 500);
    await page.evaluate((index) => { location.hash = `#event=${index}`; }, long - 1);
    await until(page, long - 1);
    await page.locator(`#row-${long} .gap.long`).waitFor();
    await page.getByLabel("Speed").selectOption("1");
    await page.locator(".list").press(" ");
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await page.clock.runFor(2900);
    assert.equal(await at(page), long - 1);
    await page.clock.runFor(200);
    await seenAt(page, long);
  },

  async find() {
    const page = await replay();
    await page.keyboard.press("/");
    await page.keyboard.type("quokka");
    await page.keyboard.press("Enter");
    const wanted = await first(({ content }) => JSON.stringify(content).includes("quokka"));
    await seenAt(page, wanted);
    await page.keyboard.press("n");
    await said(page, "is not said after");
    assert.equal(await at(page), wanted);
    // The match is marked and in sight, in whatever case it was typed, and what is marked is as it was.
    const marked = () => page.evaluate(() => [...(CSS.highlights.get("found") ?? [])].map(String));
    assert.deepEqual(await marked(), ["quokka"]);
    const look = async (words, index, texts) => {
      await page.locator(".list").press("Home");
      await seenAt(page, 0);
      await page.getByLabel("Find in this session").fill(words);
      await page.keyboard.press("Enter");
      await seenAt(page, index);
      await page.waitForFunction(() => CSS.highlights.has("found"));
      assert.deepEqual(await marked(), texts, words);
    };
    await look("ZEBRA", 0, ["zebra"]);
    await look('"fix the zebra" -quokka', 0, ["fix the zebra"]);
    await look("3 passed", await first(({ content }) => JSON.stringify(content).includes("3 passed")), ["3", "passed", "3"].sort());
    await look("/line 9[0-9]{2} .*wal+aby/", await first(({ content }) => JSON.stringify(content).includes("wallaby")), ["line 900 has a wallaby"]);
    const seen = await page.evaluate(() => {
      const [range] = CSS.highlights.get("found");
      const [own, pre, pane] = [range, range.startContainer.parentElement.closest("pre"), document.querySelector(".detail")].map((one) => one.getBoundingClientRect());
      return own.top >= pre.top && own.bottom <= pre.bottom && own.top >= pane.top && own.bottom <= pane.bottom;
    });
    assert.ok(seen, "the match is not in sight");
    await picture(page, "found");
    await page.getByLabel("Find in this session").fill("");
    assert.deepEqual(await marked(), []);
    refused = "/replay?";
    await page.getByLabel("Find in this session").fill('"zebra');
    await page.keyboard.press("Enter");
    await said(page, "this search cannot be read");
  },

  // The session goes on while the page is open.
  async follow() {
    const page = await replay();
    const before = await total(page);
    await page.keyboard.press("f");
    await seenAt(page, before - 1);
    appendFileSync(file, `${JSON.stringify({ type: "user", uuid: "later-1", sessionId: session, timestamp: "2026-03-01T12:59:00.000Z",
      cwd: "/home/dev/made", message: { role: "user", content: "And now the wombats." } })}\n`);
    const deadline = Date.now() + 60000;
    while ((await api("?limit=1")).total_events === before) assert.ok(Date.now() < deadline, "the row was not read");
    await page.clock.runFor(2100);
    await seenAt(page, before);
    assert.match(await page.locator(".detail").innerText(), /wombats/);
  },

  // Edits are differences, commands have their colours, pictures come when they are asked for.
  async texts() {
    const page = await replay();
    const show = async (takes) => {
      const index = await first(takes);
      await page.evaluate((i) => { location.hash = `#event=${i}`; }, index);
      await until(page, index);
    };
    await show(({ kind, tool }) => kind === "tool_call" && tool === "Edit");
    await page.locator(".diff ins").first().waitFor();
    assert.deepEqual(await page.locator(".diff ins").allTextContents(), ["+let zebras = 2;\n"]);
    assert.deepEqual(await page.locator(".diff del").allTextContents(), ["-let zebras = 1;\n"]);
    assert.match(await page.locator(".diff .hunk").textContent(), /^@@ -4 \+4 @@/);
    await picture(page, "diff");
    await show(({ kind, tool }) => kind === "tool_result" && tool === "Edit");
    await page.locator(".detail summary").click();
    await page.getByRole("button", { name: "/home/dev/made/src/zoo.rs" }).click();
    await page.locator(".detail li pre").waitFor();
    assert.match(await page.locator(".detail li pre").textContent(), /let zebras = 2;/);
    await judge(page, "a file");
    await show(({ kind, tool }) => kind === "tool_result" && tool === "TodoWrite");
    await page.getByText("Tasks (2)").click();
    assert.deepEqual(await page.locator(".tasks li").allInnerTexts(), ["☑ Count zebras (completed)", "◐ Count gnus (in progress)"]);
    await show(({ content }) => JSON.stringify(content).includes("3 passed"));
    assert.equal(await page.locator("pre.terminal .t-c2").textContent(), "3 passed");
    assert.ok(!(await page.locator("pre.terminal").textContent()).includes("["));
    await show(({ content }) => JSON.stringify(content).includes("\"image\""));
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    assert.equal(await page.locator(".detail img").count(), 0);
    await page.getByRole("button", { name: /Show image/ }).click();
    await page.waitForFunction(() => document.querySelector(".detail img")?.naturalWidth === 1);
    assert.equal(asked.filter((url) => url.includes("/images/")).length, 1);
    await page.evaluate(() => { location.hash = "#event=1"; });
    await until(page, 1);
    await page.locator(".waterfall .critical").first().waitFor();
    assert.ok(await page.locator(".waterfall li").count() > 3);
    // A call is shown in its turn by the row of its result, which is scrolled to; texts have more room than the turn.
    const [late] = (await api("?limit=1000")).events.filter(({ kind }) => kind === "tool_call").slice(-3);
    await page.evaluate((i) => { location.hash = `#event=${i}`; }, late.index);
    await until(page, late.index);
    const result = await first(({ kind, tool_call_id: call }) => kind === "tool_result" && call === late.tool_call_id);
    await page.waitForFunction((href) => {
      const [row, pane] = [document.querySelector(`.waterfall [aria-current][href="${href}"]`), document.querySelector("section.turn")].map((one) => one?.getBoundingClientRect());
      return row && row.top >= pane.top && row.bottom <= pane.bottom;
    }, `#event=${result}`);
    const [text, turn] = await page.evaluate(() => [".detail", "section.turn"].map((name) => document.querySelector(name).clientHeight));
    assert.ok(text >= 2 * turn, `${text} and ${turn} px`);
    await picture(page, "replay");
  },

  // Whatever the session holds is text: no script ran, no element came, nothing was asked of anybody else.
  async hostile() {
    for (const scripts of [false, true]) {
      const page = await (scripts ? replay() : open(`/sessions/${session}`, { scripts }));
      if (scripts) {
        for (let index = 0; index < await total(page); index++) {
          await page.evaluate((i) => { location.hash = `#event=${i}`; }, index);
          await until(page, index);
          await page.evaluate(() => document.querySelectorAll(".detail button").forEach((button) => button.click()));
          await page.evaluate(() => document.querySelectorAll(".detail details").forEach((one) => { one.open = true; }));
          await page.waitForFunction(() => [...document.querySelectorAll(".detail li button + div")].every((one) => one.firstChild));
          assert.ok(!TURNING.test(await page.locator("body").innerText()), `event ${index}: a character that turns the text`);
        }
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        await picture(page, "hostile");
        await page.goto(`${origin}/`);
        await page.locator("tbody tr").first().waitFor();
        assert.equal(await page.evaluate(() => window.pwned), undefined);
      }
      assert.equal(await page.locator("body script, iframe, img[src^=x], svg[onload], style, object, embed, marquee, [onerror], b.evil, a[href^=javascript]").count(), 0);
      const text = await page.locator("body").innerText();
      assert.ok(!TURNING.test(text), "a character that turns the text");
      assert.ok(text.includes("<script>"), "the text itself is there");
    }
  },

  // Every control is reached with Tab, and works without a mouse.
  async keyboard() {
    const page = await replay();
    const reached = new Set();
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => {
        const { ariaLabel, id, className, tagName } = document.activeElement;
        return ariaLabel || id || className || tagName;
      }));
    }
    for (const one of ["Play", "Speed", "Find in this session", "Next error", "follow", "Keys", "Position in the session", "Turns", "Timeline", "Event", "Turn"]) {
      assert.ok(reached.has(one), `${one} is not reached: ${[...reached].join(", ")}`);
    }
    await page.locator(".list").focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await judge(page, "help");
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("?");
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.locator(".list").press("ArrowDown");
    await until(page, 1);
    assert.equal(await page.locator(".list").getAttribute("aria-activedescendant"), "row-1");
    await said(page, `Event 1, ${await total(page)} in all`);
    await page.getByRole("button", { name: "Next event" }).focus();
    await page.keyboard.press("Enter");
    await until(page, 2);
  },

  // No rule of axe-core is broken, light and dark, narrow and wide; and nothing is wider than the window.
  async axe() {
    const error = await first(({ outcome }) => outcome === "failed");
    const edit = await first(({ kind, tool }) => kind === "tool_call" && tool === "Edit");
    for (const dark of [false, true]) {
      for (const width of [360, 1280, 2560]) {
        const options = { dark, view: { width, height: 900 } };
        for (const index of [0, error, edit]) {
          const page = await replay(`#event=${index}`, options);
          await seenAt(page, index);
          await page.locator(".waterfall").waitFor();
          await page.locator(`#row-${index} .time`).waitFor();
          const what = `event ${index}, ${width} px${dark ? ", dark" : ""}`;
          await judge(page, what);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is too wide`);
          await picture(page, `${width}${dark ? "-dark" : ""}-${index}`);
          await page.context().close();
        }
      }
    }
    await judge(await open(`/sessions/${session}`, { empty: true }), "without its script");
  },

  // A transcript that was saved: it opens as a file, without scripts, and asks for nothing.
  async transcript() {
    for (const [width, dark] of [[1280, false], [1280, true], [360, false], [360, true]]) {
      await saved(width, dark, async (page) => {
        const label = `transcript, ${width} px${dark ? ", dark" : ""}`;
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${label}: too wide`);
        await judge(page, label);
        await picture(page, `transcript-${width}${dark ? "-dark" : ""}`);
        assert.equal(await page.locator("nav li").count(), 2);
        assert.deepEqual(await page.locator(".diff ins").allInnerTexts().then((all) => all.slice(-1)), ["+let zebras = 2;"]);
        assert.equal(await page.locator(".t-c2").first().innerText(), "3 passed");
        assert.ok(await page.locator("figure img").evaluate((image) => image.complete && image.naturalWidth === 1));
        await page.getByRole("link", { name: "Look for other animals." }).click();
        assert.equal(await page.evaluate(() => location.hash), "#turn-2");
      });
    }
  },

  // A transcript of a session that has markup, scripts and addresses in every field.
  async transcript_hostile() {
    await saved(1280, false, async (page) => {
      const odd = await page.evaluate(() => [...document.querySelectorAll("script, iframe, svg, object, embed, link, b, base, form, input")].map((one) => one.outerHTML));
      assert.deepEqual(odd, []);
      const attributes = await page.evaluate(() => [...new Set([...document.querySelectorAll("*")].flatMap((one) => one.getAttributeNames()))]);
      assert.deepEqual(attributes.filter((one) => one.startsWith("on")), []);
      const links = await page.evaluate(() => [...document.querySelectorAll("a")].map((one) => one.getAttribute("href")).filter((href) => !/^(#|https?:|mailto:)/.test(href)));
      assert.deepEqual(links, []);
      assert.equal(await page.evaluate(() => window.pwned), undefined);
      assert.doesNotMatch(await page.evaluate(() => document.body.textContent), TURNING);
      await judge(page, "hostile transcript");
    });
  },

  // An address that leads nowhere is told by a page that leads back.
  async refusal() {
    refused = "/sessions/";
    for (const dark of [false, true]) {
      const page = await open("/sessions/5?<b>", { dark });
      assert.match(await page.locator("main").innerText(), /^Bad/);
      await judge(page, "refused");
      await page.getByRole("link", { name: "All sessions" }).click();
      await page.locator("tbody tr").first().waitFor();
      assert.equal(page.url(), `${origin}/`);
    }
  },

  // The list of sessions: search, projects, cost of the last days.
  async list() {
    for (const [width, dark] of [[1280, false], [360, true]]) {
      refused = null;
      const page = await open("/", { view: { width, height: 900 }, dark });
      await page.locator("tbody tr").first().waitFor();
      await page.locator(".days .bars").waitFor();
      await judge(page, `list, ${width} px`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "too wide");
      await picture(page, `list-${width}`);
      const all = await page.locator("tbody tr").count();
      await page.getByLabel("Search").fill("quokka");
      await page.keyboard.press("Enter");
      await page.locator("q").first().waitFor();
      await page.waitForFunction((rows) => document.querySelectorAll("tbody tr").length < rows, all);
      assert.equal(await page.locator("q mark").first().innerText(), "quokka");
      assert.match(await page.locator("section li").first().innerText(), /^Count the zebras made · 2026-03-01 12:\d\d:\d\d UTC · tool result · Grep/);
      assert.ok(await page.evaluate(() => document.querySelector("q").getBoundingClientRect().top < document.querySelector("#sessions > [role=status]").getBoundingClientRect().top));
      await judge(page, `found, ${width} px`);
      await picture(page, `list-found-${width}`);
      await page.locator("section li a").first().click();
      await page.locator(".detail article").waitFor();
      assert.match(await page.locator(".detail").innerText(), /quokka/);
      await page.waitForFunction(() => String([...(CSS.highlights.get("found") ?? [])]) === "quokka");
      // The search is in the address, so Back returns to it, and further back to the list.
      await page.goBack();
      await page.locator("q mark").first().waitFor();
      assert.equal(await page.getByLabel("Search").inputValue(), "quokka");
      assert.equal(new URL(page.url()).search, "?q=quokka");
      await page.goBack();
      await page.waitForFunction((rows) => document.querySelectorAll("tbody tr").length === rows, all);
      assert.equal(await page.locator("q").count(), 0);
      await page.getByLabel("Search").fill('"quokka');
      refused = "/search?";
      await page.keyboard.press("Enter");
      await page.getByText("Texts cannot be searched: this search cannot be read").waitFor();
      await page.context().close();
    }
  },
};

try {
  await cases[name]();
  assert.deepEqual(problems, []);
  console.log(`${name} is fine`);
} finally {
  await browser.close();
}
