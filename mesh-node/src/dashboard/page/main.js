// Draws everything, and takes clicks and keys of the graph.

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
    showEvents(agents);
    if (clock.isLive) {
      showJobs(agents);
      listNames();
    }
  });
}

function showStatus() {
  const live = [...board.agents.values()].filter((agent) => !agent.gone);
  const sum = (figure) => live.reduce((all, agent) => all + (agent[figure] || 0), 0);
  const [rate, failed] = [sum("rate"), sum("failedRate")];
  const offline = isOffline();
  const isNow = offline ? "✗ not live" : "● live";
  const parts = [clock.isLive ? isNow : `at ${time(clock.now() - clock.began)}`,
    count(live.length, "agent"), `${short(rate)} jobs/s`,
    rate + failed ? `${share(rate / (rate + failed))} done` : "no traffic in the last 30 s"];
  if (clock.isLive) parts.push(`updated ${ago(board.heard)}`);
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
startTools();
startGraph();
readTools();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  drawLegend();
  render(true);
});
new ResizeObserver(() => render(true)).observe(byId("graph-box"));
