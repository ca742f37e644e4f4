// Measures the page of a long session in a real browser: node benches/pages.mjs SESSION_ADDRESS [WORD]
//
// A sidecar must run, and tests/support/page_tools.sh must have installed what drives Chromium. WORD is looked for from the first
// event on. Times are those that a person waits: from the key to what is then on the page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [address, word] = process.argv.slice(2);
const { chromium } = createRequire(resolve("target/page-tools/package.json"))("playwright-core");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
const at = (sorted, part) => sorted[Math.floor((sorted.length - 1) * part)].toFixed(1);

for (const which of ["first", "second"]) {
  const start = Date.now();
  await page.goto(address);
  await page.locator(".detail article").waitFor();
  console.log(`${which} opening: ${Date.now() - start} ms`);
}
await page.locator(".map svg").waitFor();
const total = await page.evaluate(() => Number(document.querySelector("[type=range]").max) + 1);
console.log(`${total} events, ${await page.locator("[role=option]").count()} rows in the document`);

const seeks = await page.evaluate(async (events) => {
  const detail = document.querySelector(".detail");
  const times = [];
  for (let i = 1; i <= 200; i++) {
    const wanted = String((i * 245489) % events);
    const start = performance.now();
    await new Promise((done) => {
      const seen = new MutationObserver(() => detail.dataset.index === wanted && done(seen.disconnect()));
      seen.observe(detail, { attributes: true });
      location.hash = `#event=${wanted}`;
    });
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}, total);
console.log(`seek by position: p50 ${at(seeks, 0.5)} ms, p99 ${at(seeks, 0.99)} ms`);

const frames = await page.evaluate(async () => {
  const list = document.querySelector(".list");
  const times = [];
  let last = performance.now();
  for (let i = 0; i < 300; i++) {
    list.scrollTop += 240;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times.sort((a, b) => a - b);
});
console.log(`a frame while scrolling eight rows a frame: p50 ${at(frames, 0.5)} ms, p95 ${at(frames, 0.95)} ms, most ${at(frames, 1)} ms`);

await page.keyboard.press("Home");
let start = Date.now();
await page.keyboard.press("e");
await page.waitForFunction(() => /failed|no further/.test(document.querySelector(".status").textContent));
console.log(`next error: ${Date.now() - start} ms`);
if (word) {
  await page.keyboard.press("/");
  await page.keyboard.type(word);
  start = Date.now();
  await page.keyboard.press("Enter");
  await page.waitForFunction((text) => document.querySelector(".detail").textContent.includes(text), word);
  console.log(`find a word: ${Date.now() - start} ms`);
}
const client = await page.context().newCDPSession(page);
await client.send("HeapProfiler.collectGarbage");
await client.send("Performance.enable");
const { metrics } = await client.send("Performance.getMetrics");
console.log(`heap of the scripts: ${(metrics.find(({ name }) => name === "JSHeapUsedSize").value / 1e6).toFixed(1)} MB`);

// What the tab takes as a process: its own pages, and its part of those that it shares with the others.
const system = await browser.newBrowserCDPSession();
const { processInfo } = await system.send("SystemInfo.getProcessInfo");
const shares = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => {
  const [, kib] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"));
  return (Number(kib) * 1024) / 1e6;
});
console.log(`the tab as a process: ${shares.map((share) => share.toFixed(0)).join(" and ")} MB`);
await browser.close();
