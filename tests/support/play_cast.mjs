// Plays a recording in the player of asciinema, without its page, a thousand million times as fast:
//     node tests/support/play_cast.mjs FOLDER_WITH_NODE_MODULES FILE...
// and prints for each file a line of JSON with what the player found: the size of the terminal, the length, the markers and all output.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const dist = join(folder, "node_modules/asciinema-player/dist");
const core = readdirSync(dist).find((name) => /^core-.*\.js$/.test(name));
const { C: Core } = await import(pathToFileURL(join(dist, core)));

const say = (...words) => console.error(...words);
const logger = { debug() {}, info() {}, warn: say, error: say };
for (const file of files) {
  // As a page would get it.
  const data = () => new Response(readFileSync(file, "utf8"));
  const player = new Core({ driver: "recording", parser: "asciicast", data }, { logger, speed: 1e9 });
  
  const said = { output: "", markers: [], errors: [], size: null };
  player.addEventListener("output", (event) => (said.output += [event].flat().join("")));
  player.addEventListener("resize", (event) => (said.size = event));
  player.addEventListener("reset", (event) => (said.size ??= event));
  player.addEventListener("metadata", (event) => Object.assign(said, event));
  player.addEventListener("error", (event) => said.errors.push(String(event?.message ?? event)));
  const ended = new Promise((resolve) => player.addEventListener("ended", resolve));
  player.terminalReady();
  await player.init();
  await player.play();
  await ended;
  said.duration = await player.getDuration();
  console.log(JSON.stringify(said));
}
process.exit(0);
