// One card for each agent, with its figures and their past.

/** The charts of a card: their title, the series, the colour of each, and the largest value if fixed. */
const CHARTS = [
  { title: "CPU", series: ["cpu"], most: 100, text: (a) => (a.load ? percent(a.load.cpu) : "no data") },
  { title: "memory", series: ["memory"], most: 100, text: (a) => (a.load ? percent(a.load.mem) : "no data") },
  { title: "in flight | queue", series: ["flight", "queue"],
    text: (a) => (a.load ? `${a.load.in_flight || 0} | ${a.load.queued || 0}` : "no data") },
  { title: "jobs done", series: ["rate"], text: (a) => traffic(a, () => `${short(a.rate)}/s`) },
  { title: "failed", series: ["errors"], text: (a) => traffic(a, () => `${short(a.failedRate)}/s`) },
  { title: "p50 | p99", series: ["p50", "p99"],
    text: (a) => traffic(a, () => (a.p50 === null ? "none done" : times(a.p50, a.p99))) },
];

/** "No data" is an agent that tells nothing; "no traffic yet" one that had nothing to do. */
function traffic(agent, figure) {
  if (!agent.telemetry) return "no data";
  return agent.hadTraffic ? figure() : "no traffic yet";
}

const cards = new Map();

function cardOf(agent) {
  if (cards.has(agent.name)) return cards.get(agent.name);
  const card = {
    box: make("article", "agent"), name: make("span", "", agent.name), state: make("span", "state"),
    about: make("p", "soft"), age: make("p", "soft"), figures: [], canvases: [],
  };
  const charts = make("div", "charts", ...CHARTS.map(({ title }) => {
    const [figure, canvas] = [make("b"), make("canvas")];
    canvas.setAttribute("aria-hidden", "true");
    card.figures.push(figure);
    card.canvases.push(canvas);
    return make("div", "", make("span", "", title), figure, canvas);
  }));
  card.box.append(make("h4", "", card.name, card.state), card.about, charts, card.age);
  card.box.dataset.agent = agent.name;
  card.box.addEventListener("click", () => choose(agent.name));
  cards.set(agent.name, card);
  return card;
}

function fillCard(agent) {
  const card = cardOf(agent);
  const silence = isOld(agent.heard) ? "silent" : isOld(agent.told) ? "old figures" : "";
  const state = agent.gone ? agent.gone.kind : silence || agent.state;
  setText(card.state, state);
  card.state.hidden = !state;
  const policy = agent.telemetry && agent.telemetry.policy ? `policy ${agent.telemetry.policy}` : "";
  const about = [agent.site && `site ${agent.site}`, agent.skills.length && agent.skills.join(", "), policy];
  setText(card.about, about.filter(Boolean).join(" · "));
  setClass(card.box, "gone", Boolean(agent.gone));
  setClass(card.box, "stale", isStale(agent));
  setClass(card.box, "chosen", agent.name === view.chosen);
  fillAge(agent, card);
  CHARTS.forEach((chart, index) => {
    const text = chart.text(agent);
    setText(card.figures[index], text);
    setClass(card.figures[index], "none", text.startsWith("no"));
  });
}

/** Draws what was drawn before only if there is something new. */
function drawCard(agent, isAll) {
  if (!agent.changed && !isAll) return;
  agent.changed = false;
  const card = cardOf(agent);
  CHARTS.forEach((chart, index) => drawChart(card.canvases[index], chart, agent.points));
}

function fillAge(agent, card) {
  const told = agent.telemetry ? `figures ${ago(agent.told)}` : "tells no figures of its jobs";
  setText(card.age, `heartbeat ${ago(agent.heard)} · ${told}`);
}

function drawChart(canvas, { series, most }, points) {
  const { context, width, height } = contextOf(canvas);
  if (!width || !points.length) return;
  const values = points.flatMap((point) => series.map((name) => point[name])).filter((it) => it !== null);
  const top = most || Math.max(1e-9, ...values) * 1.1;
  const end = points[points.length - 1].at;
  const span = Math.max(60000, end - points[0].at);
  const x = (at) => width - ((end - at) / span) * width;
  const y = (value) => height - 1 - (value / top) * (height - 3);
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
  series.forEach((name, index) => {
    context.strokeStyle = colours[name];
    context.lineWidth = 1.5;
    context.setLineDash(index ? [4, 2] : []);
    context.beginPath();
    let isDrawing = false;
    for (const point of points) {
      const value = point[name];
      if (value === null) { isDrawing = false; continue; }
      if (isDrawing) context.lineTo(x(point.at), y(value));
      else context.moveTo(x(point.at) - (points.length === 1 ? 3 : 0), y(value));
      if (points.length === 1) context.lineTo(x(point.at), y(value));
      isDrawing = true;
    }
    context.stroke();
    context.setLineDash([]);
  });
}

/** Shows the cards of these agents, in their groups. */
function showCards(agents, isAll) {
  const shown = agents.slice(0, view.shown);
  const groups = groupedAgents(shown);
  const sizes = new Map(groupedAgents(agents).map(([title, list]) => [title, list.length]));
  const key = groups.map(([title, list]) => `${title} ${sizes.get(title)}:${list.map((agent) => agent.name)}`).join("|");
  const box = byId("cards");
  shown.forEach(fillCard);
  if (box.dataset.key !== key) {
    box.replaceChildren(...groups.flatMap(([title, list]) => {
      const grid = make("div", "cards", ...list.map((agent) => cardOf(agent).box));
      return title ? [make("h3", "", `${title} (${sizes.get(title)})`), grid] : [grid];
    }));
    box.dataset.key = key;
  }
  shown.forEach((agent) => drawCard(agent, isAll));
  for (const name of [...cards.keys()]) if (!board.agents.has(name)) cards.delete(name);
  const all = board.agents.size;
  const hidden = agents.length - shown.length;
  const filtered = agents.length < all ? `${agents.length} of ${count(all, "agent")} pass the filter. ` : "";
  const note = agents.length ? `${filtered}Rates and latencies are those of the last 30 s.`
    : all ? "No agent passes the filter." : "No agents yet: start one with `mesh agent`.";
  setText(byId("agents-note"), note);
  byId("more").hidden = hidden <= 0;
  setText(byId("more"), `Show ${Math.min(60, hidden)} more of ${hidden}`);
}
