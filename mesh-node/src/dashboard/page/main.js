// The beginning: connects, draws what comes, and connects again when the connection is lost.

let source = null;
let retryMs = 1000;
let retry = 0;
let isDrawing = false;

/** Draws everything at the next frame. With `isAll`, also the charts that have not changed. */
function render(isAll) {
  if (isDrawing && !isAll) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (document.hidden) return;
    const agents = shownAgents();
    showStatus();
    if (isDue("graph", isAll)) drawGraph(agents);
    describeChosen();
    showCards(agents, isAll);
    if (isDue("matrix", isAll)) showMatrix(agents);
    showSets();
    showJobs(agents);
    showEvents(agents);
    listNames();
  });
}

function showStatus() {
  const live = [...board.agents.values()].filter((agent) => !agent.gone);
  const sum = (figure) => live.reduce((all, agent) => all + (agent[figure] || 0), 0);
  const [rate, failed] = [sum("rate"), sum("failedRate")];
  const offline = isOffline();
  const parts = [offline ? "✗ not live" : "● live", count(live.length, "agent"), `${short(rate)} jobs/s`,
    rate + failed ? `${share(rate / (rate + failed))} done` : "no traffic in the last 30 s",
    `updated ${ago(board.heard)}`];
  setText(byId("status"), board.heard ? parts.join(" · ") : waiting());
  setClass(document.body, "offline", Boolean(board.heard) && offline);
  byId("problem").hidden = !board.problem;
  setText(byId("problem"), board.problem);
}

const waiting = () => (rights.asks_keys && !rights.observe ? "sign in to see the mesh" : "connecting");

/** Chooses an agent: its edges stand out, and are told in words. */
function choose(name) {
  view.chosen = view.chosen === name ? "" : name;
  render(false);
}

/** Opens the stream of updates. A browser connects again by itself, but not after a refusal. */
function connect() {
  clearTimeout(retry);
  if (source) source.close();
  source = null;
  if (!rights.observe) return render(false);
  source = new EventSource(`${root}/events`);
  source.onmessage = (message) => {
    retryMs = 1000;
    let isTaken = false;
    try { isTaken = applyUpdate(JSON.parse(message.data)); } catch (error) { console.error(error); }
    if (!isTaken) return later();
    render(false);
  };
  source.onerror = () => {
    if (source && source.readyState === EventSource.CLOSED) later();
    showStatus();
  };
}

/** Begins anew after a while: the server may have started again, or refuses. */
function later() {
  if (source) source.close();
  source = null;
  clearTimeout(retry);
  retry = setTimeout(begin, retryMs);
  retryMs = Math.min(10000, retryMs * 2);
}

async function begin() {
  try {
    await askRights();
    connect();
  } catch (error) {
    later();
  }
  showStatus();
}

function startGraph() {
  const canvas = byId("graph");
  canvas.addEventListener("click", (event) => choose(agentAt(event.offsetX, event.offsetY)));
  canvas.addEventListener("mousemove", (event) => {
    canvas.title = agentAt(event.offsetX, event.offsetY);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") view.chosen = "";
    else if (event.key === "Enter" && cards.has(view.chosen)) {
      cards.get(view.chosen).box.scrollIntoView({ block: "center" });
    } else if (step) {
      const names = [...shownAgents()].sort(byName).map((agent) => agent.name);
      if (!names.length) return;
      const at = names.indexOf(view.chosen);
      view.chosen = names[(at < 0 ? 0 : at + step + names.length) % names.length];
    } else return;
    event.preventDefault();
    render(false);
  });
}

readColours();
startForms();
startGraph();
readTools();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  drawLegend();
  render(true);
});
new ResizeObserver(() => render(true)).observe(byId("graph-box"));
// Ages grow, and figures become stale, although nothing comes.
setInterval(() => render(false), 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  // After the lid of a laptop was closed, a connection may be dead without anybody having noticed.
  if (rights.observe && isOffline()) begin();
  render(true);
});
begin();
