// How soon the dashboard shows a mesh of 200 agents, each with 20 edges: starts a registry, tells it of
// agents as they tell themselves, and opens the page in a headless Chromium, each time with a new
// profile. Prints, in milliseconds since the navigation began, the first contentful paint and the
// first frame after which all agents are drawn. The figures of docs/dashboard.md.
//
//   node mesh-bench/first-paint.mjs [RUNS]      with the program target/release/mesh, or $MESH
//
// Needs Node 20 and `chromium` on the search path.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const AGENTS = 200;
const EDGES = 20;
const home = join(dirname(fileURLToPath(import.meta.url)), "..");
const mesh = process.env.MESH || join(home, "target/release/mesh");
const runs = Number(process.argv[2] || 9);
if (!(Number.isInteger(runs) && runs >= 1 && runs <= 100)) throw new Error("RUNS must be 1 to 100");

/** Starts a registry; its process and its address, once it listens. */
function startRegistry() {
  const args = ["registry", "--listen", "127.0.0.1:0", "--ttl", "10m"];
  const child = spawn(mesh, args, { stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the registry has ended: ${code}`)));
    createInterface({ input: child.stderr }).on("line", (line) => {
      const address = /listens.*address=(\S+)/.exec(line);
      if (address) resolve({ child, address: address[1] });
    });
  });
}

/** Registers agent number `number` with its telemetry. */
async function register(address, number) {
  const edges = Array.from({ length: EDGES }, (_, at) => ({
    to: `agent-${(number + at * 7 + 1) % AGENTS}`, done: 10 + at, failed: at % 7 ? 0 : 1,
    p50_ms: 12.5, p99_ms: 48.5, rtt_ms: (at * 9) % 130 + 0.5, rtt_age_ms: 900,
  }));
  const served = { done: 300, failed: 1, p50_ms: 11.5, p99_ms: 47.5 };
  const telemetry = { window_ms: 30000, served, policy: "power_of_two", peers: EDGES, edges };
  const load = { cpu: number % 100, mem: 40, in_flight: number % 5, queued: number % 3 };
  const body = { name: `agent-${number}`, url: `127.0.0.1:${9000 + number}`, load, telemetry };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`http://${address}/register`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
}

/** What the page measures of itself. Whenever it draws the graph, it says in words what is drawn. */
const MEASURE = `(() => {
  const look = () => {
    const label = document.getElementById("graph")?.getAttribute("aria-label");
    const isDrawn = label?.startsWith("${AGENTS} agents; ") && !label.includes("none measured");
    // The frame in which it is drawn is on the screen when the next one begins.
    requestAnimationFrame(isDrawn ? (now) => { window.drawnAfter = now; } : look);
  };
  requestAnimationFrame(look);
})()`;

const RESULT = `(() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return window.drawnAfter && paint ? [paint.startTime, window.drawnAfter] : null;
})()`;

/** Opens the page in a new browser; the two figures. */
async function open(address) {
  const profile = mkdtempSync(join(tmpdir(), "first-paint-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run",
    "--remote-debugging-pipe", `--user-data-dir=${profile}`];
  const browser = spawn("chromium", args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const waiting = new Map();
  let rest = "";
  let last = 0;
  browser.stdio[4].setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages.map((it) => JSON.parse(it))) {
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    }
  });
  const send = (method, params, sessionId) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, ({ error, result }) => (error ? reject(new Error(error.message)) : resolve(result)));
    browser.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  });
  try {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    await send("Page.enable", {}, sessionId);
    await send("Page.addScriptToEvaluateOnNewDocument", { source: MEASURE }, sessionId);
    await send("Page.navigate", { url: `http://${address}/dashboard` }, sessionId);
    for (let tries = 0; tries < 300; tries += 1) {
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      const answer = await send("Runtime.evaluate", { expression: RESULT, returnByValue: true }, sessionId);
      if (answer.result.value) return answer.result.value;
    }
    throw new Error("the agents were not drawn within 30 s");
  } finally {
    const ended = new Promise((resolve) => { browser.on("exit", resolve); });
    // Its own processes end with it, which those of a killed one do only later.
    await Promise.race([send("Browser.close", {}).then(() => ended), ended]);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

const { child, address } = await startRegistry();
child.removeAllListeners("exit");
try {
  for (let number = 0; number < AGENTS; number += 1) await register(address, number);
  const figures = [];
  for (let run = 0; run < runs; run += 1) figures.push(await open(address));
  for (const [at, name] of ["first contentful paint", `${AGENTS} agents drawn`].entries()) {
    const sorted = figures.map((it) => it[at]).sort((one, other) => one - other);
    const ms = (value) => `${value.toFixed(0)} ms`;
    const median = ms(sorted[Math.floor(sorted.length / 2)]);
    console.log(`${name.padEnd(24)} median ${median}, ${ms(sorted[0])} to ${ms(sorted.at(-1))}, ${runs} runs`);
  }
} finally {
  child.kill();
}
