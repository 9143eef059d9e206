// The graph: agents as circles, what they know of their round trips as arrows.

const DASHES = { good: [], warn: [9, 4], bad: [3, 3], stale: [2, 5], way: [], lost: [2, 4] };
const BAND_WORDS = { good: "fast", warn: "moderate", bad: "slow", stale: "unknown or old" };
/** More arrows than this have no labels, and more agents no names, unless they are chosen. */
const MOST_LABELS = 24;
const MOST_NAMES = 60;
/** More arrows than this are drawn as a crowd. */
const CROWD = 1500;

/** Where the agents are drawn: by name, in CSS pixels. */
let places = new Map();
let radius = 14;

/** Puts each group on a disc of its own, and the discs side by side on a ring. */
function place(groups, width, height) {
  places = new Map();
  const all = groups.reduce((sum, [, agents]) => sum + agents.length, 0);
  radius = all <= 16 ? 16 : Math.max(3, Math.min(14, Math.sqrt((width * height) / all) / 6));
  const [middleX, middleY] = [width / 2, height / 2];
  const margin = radius + (all <= MOST_NAMES ? 26 : 10);
  const [spanX, spanY] = [Math.max(10, middleX - margin - 20), Math.max(10, middleY - margin)];
  if (groups.length === 1) {
    placeDisc(groups[0][1], middleX, middleY, spanX, spanY);
    return [];
  }
  const size = 1 / (1 + 1 / Math.sin(Math.PI / Math.max(3, groups.length)));
  return groups.map(([title, agents], index) => {
    const angle = (2 * Math.PI * index) / groups.length - Math.PI / 2;
    const x = middleX + Math.cos(angle) * spanX * (1 - size);
    const y = middleY + Math.sin(angle) * spanY * (1 - size);
    const [discX, discY] = [spanX * size * 0.8, spanY * size * 0.8];
    placeDisc(agents, x, y, discX, discY);
    return { title, x, y: y - discY - radius - 6 };
  });
}

/** A few agents stand on a ring, many fill a disc like the seeds of a sunflower. */
function placeDisc(agents, x, y, spanX, spanY) {
  const ordered = [...agents].sort(byName);
  ordered.forEach((agent, index) => {
    const isRing = ordered.length <= 30;
    const angle = isRing
      ? (2 * Math.PI * index) / ordered.length - Math.PI / 2
      : index * Math.PI * (3 - Math.sqrt(5));
    const far = isRing ? Number(ordered.length > 1) : Math.sqrt((index + 0.5) / ordered.length);
    places.set(agent.name, { x: x + Math.cos(angle) * spanX * far, y: y + Math.sin(angle) * spanY * far });
  });
}

/** The least strength of a colour: what is slow must be seen. */
const FAINTEST = { good: 0.4, warn: 0.65, bad: 0.8 };

/** How strong an arrow is, up to 1: the slower within its colour, the stronger. */
function intensity(edge, band) {
  if (band === "stale") return 0.5;
  const [low, high] = { good: [0.1, view.amber], warn: [view.amber, view.red],
    bad: [view.red, view.red * 10] }[band];
  const part = Math.log(Math.max(edge.rtt, 0.01) / low) / Math.log(Math.max(high / low, 1.01));
  return FAINTEST[band] + (1 - FAINTEST[band]) * Math.min(1, Math.max(0, part));
}

/** How thick an arrow is, in pixels: the more jobs, the thicker; in a crowd, all are thinner. */
const thickness = (edge, crowded) => 1 + Math.min(7, 1.5 * Math.log2(1 + edge.rate)) * Math.sqrt(crowded);

function drawGraph(agents) {
  const canvas = byId("graph");
  const { context, width, height } = contextOf(canvas);
  if (!width) return;
  const titles = place(groupedAgents(agents), width, height);
  const edges = edgesOf(agents);
  const isChosen = (edge) => edge.from === view.chosen || edge.to === view.chosen;
  const bands = { good: 0, warn: 0, bad: 0, stale: 0 };
  const sorted = { stale: [], good: [], warn: [], bad: [] };
  for (const edge of edges) {
    const band = edgeBand(edge);
    bands[band] += 1;
    sorted[band].push(edge);
  }
  // Of many arrows, only the slow ones and those of the chosen agent stand out.
  const crowded = Math.min(1, 150 / Math.max(1, edges.length));
  const strength = { stale: crowded * crowded, good: crowded, warn: Math.sqrt(crowded), bad: Math.sqrt(crowded) };
  const faint = view.chosen ? 0.25 : 1;
  for (const [band, ofBand] of Object.entries(sorted)) {
    if (edges.length > CROWD) {
      drawCrowd(context, ofBand.filter((it) => !isChosen(it)), band, faint * strength[band]);
      continue;
    }
    for (const edge of ofBand.filter((it) => !isChosen(it))) {
      drawArrow(context, edge, band, faint * intensity(edge, band) * strength[band], crowded);
    }
  }
  edges.filter(isChosen).forEach((edge) => {
    const band = edgeBand(edge);
    drawArrow(context, edge, band, intensity(edge, band), 1);
  });
  const labelled = edges.length <= MOST_LABELS && width > 500 ? edges : edges.filter(isChosen);
  if (labelled.length <= 2 * MOST_LABELS) labelled.forEach((edge) => drawLabel(context, edge));
  view.way.filter((step) => places.has(step.from) && places.has(step.to))
    .forEach((step) => drawArrow(context, { rate: 8, ...step }, step.isLost ? "lost" : "way", 1, 1));
  agents.forEach((agent) => drawAgent(context, agent, agents.length));
  context.fillStyle = colours.ink;
  context.font = "600 13px system-ui, sans-serif";
  context.textAlign = "center";
  titles.forEach(({ title, x, y }) => context.fillText(title, x, Math.max(14, y)));
  describeGraph(canvas, agents, bands);
}

/** The curve of an arrow: its ends at the rims of the circles, bent so that both ways are seen. */
function curve(edge) {
  const [from, to] = [places.get(edge.from), places.get(edge.to)];
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = Math.min(40, length * 0.12);
  const control = { x: (from.x + to.x) / 2 - (dy / length) * bend, y: (from.y + to.y) / 2 + (dx / length) * bend };
  const rim = (end, gap) => {
    const far = Math.hypot(control.x - end.x, control.y - end.y) || 1;
    return { x: end.x + ((control.x - end.x) / far) * gap, y: end.y + ((control.y - end.y) / far) * gap };
  };
  return { start: rim(from, radius + 2), control, end: rim(to, radius + 3) };
}

/** Draws so many edges that no single one can be told from the others: without heads, many in one go. */
function drawCrowd(context, edges, band, alpha) {
  context.globalAlpha = alpha;
  context.strokeStyle = colours[band];
  context.lineWidth = 1;
  for (let first = 0; first < edges.length; first += 50) {
    context.beginPath();
    for (const edge of edges.slice(first, first + 50)) {
      const { start, control, end } = curve(edge);
      context.moveTo(start.x, start.y);
      context.quadraticCurveTo(control.x, control.y, end.x, end.y);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawArrow(context, edge, band, alpha, crowded) {
  const { start, control, end } = curve(edge);
  const wide = thickness(edge, crowded);
  context.globalAlpha = alpha;
  context.strokeStyle = context.fillStyle = colours[band];
  context.lineWidth = wide;
  context.setLineDash(DASHES[band]);
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.quadraticCurveTo(control.x, control.y, end.x, end.y);
  context.stroke();
  context.setLineDash([]);
  const angle = Math.atan2(end.y - control.y, end.x - control.x);
  const head = Math.min(radius, 5 + wide);
  context.beginPath();
  context.moveTo(end.x, end.y);
  context.lineTo(end.x - head * Math.cos(angle - 0.45), end.y - head * Math.sin(angle - 0.45));
  context.lineTo(end.x - head * Math.cos(angle + 0.45), end.y - head * Math.sin(angle + 0.45));
  context.closePath();
  context.fill();
  context.globalAlpha = 1;
}

function drawLabel(context, edge) {
  if (edge.rtt === null) return;
  const { start, control, end } = curve(edge);
  // Nearer to the tail, where the arrows of both ways are apart.
  const at = (a, b, c) => 0.42 * a + 0.46 * b + 0.12 * c;
  const [x, y] = [at(start.x, control.x, end.x), at(start.y, control.y, end.y)];
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 4;
  context.strokeStyle = colours.card;
  context.fillStyle = colours[edgeBand(edge)];
  context.strokeText(time(edge.rtt), x, y + 4);
  context.fillText(time(edge.rtt), x, y + 4);
}

function drawAgent(context, agent, all) {
  const { x, y } = places.get(agent.name);
  const old = isStale(agent);
  const cpu = agent.load ? agent.load.cpu : null;
  context.fillStyle = colours.paper;
  context.strokeStyle = old ? colours.stale : colours.soft;
  context.lineWidth = 1.5;
  context.setLineDash(old ? [3, 3] : []);
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.setLineDash([]);
  if (cpu !== null && !old) {
    context.strokeStyle = colours.cpu;
    context.lineWidth = Math.max(2, radius / 4);
    context.beginPath();
    context.arc(x, y, radius - context.lineWidth / 2, -Math.PI / 2, -Math.PI / 2 + (cpu / 50) * Math.PI);
    context.stroke();
  }
  if (agent.name === view.chosen) {
    context.strokeStyle = colours.accent;
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x, y, radius + 4, 0, 2 * Math.PI);
    context.stroke();
  }
  context.textAlign = "center";
  if (radius >= 9) {
    context.fillStyle = old ? colours.stale : colours.ink;
    context.font = "600 11px system-ui, sans-serif";
    const mark = agent.gone ? "×" : agent.state === "draining" ? "↓" : flightMark(agent);
    context.fillText(mark, x, y + 4);
  }
  if (all <= MOST_NAMES || agent.name === view.chosen) {
    const label = agent.gone ? `${agent.name} (${agent.gone.kind})` : agent.name;
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = colours.card;
    context.fillStyle = old ? colours.stale : colours.ink;
    context.strokeText(label, x, y + radius + 14);
    context.fillText(label, x, y + radius + 14);
  }
}

const flightMark = (agent) => (agent.load && agent.load.in_flight ? String(agent.load.in_flight) : "");

function describeGraph(canvas, agents, bands) {
  const parts = Object.entries(bands).filter(([, many]) => many)
    .map(([band, many]) => `${many} ${BAND_WORDS[band]}`);
  const text = `${count(agents.length, "agent")}; round trips: ${parts.join(", ") || "none measured yet"}`;
  if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
  canvas.dataset.bands = JSON.stringify(bands);
}

/** The name of the agent at this place of the graph; empty if there is none. */
function agentAt(x, y) {
  let [best, nearest] = ["", Math.max(12, radius + 6)];
  for (const [name, spot] of places) {
    const far = Math.hypot(spot.x - x, spot.y - y);
    if (far < nearest) [best, nearest] = [name, far];
  }
  return best;
}

function drawLegend() {
  const list = byId("legend");
  const words = { good: `below ${short(view.amber)} ms`, warn: `from ${short(view.amber)} ms`,
    bad: `from ${short(view.red)} ms`, stale: "not measured, or old" };
  list.replaceChildren(...Object.entries(words).map(([band, text]) => {
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true");
    return make("li", "", canvas, text);
  }), make("li", "soft", "The ring of an agent is its CPU, the number in it its jobs in flight."));
  Object.keys(words).forEach((band, index) => {
    const { context, width, height } = contextOf(list.children[index].firstChild);
    context.strokeStyle = colours[band];
    context.lineWidth = 3;
    context.setLineDash(DASHES[band]);
    context.beginPath();
    context.moveTo(0, height / 2);
    context.lineTo(width, height / 2);
    context.stroke();
  });
}

/** What is known of the chosen agent's edges, in words. */
function describeChosen() {
  const box = byId("chosen");
  const agent = board.agents.get(view.chosen);
  if (!agent) {
    if (box.firstChild) box.replaceChildren();
    // So that the same agent is told of at once if it is chosen again.
    drawn.delete("chosen");
    return;
  }
  const words = (edge) => `${time(edge.rtt)}${edge.count
    ? `, ${short(edge.rate)} jobs/s, ${share(edge.success)} done, p99 ${time(edge.p99)}` : ""}`;
  const into = [...board.agents.values()].flatMap((other) => other.edges || [])
    .filter((edge) => edge.to === agent.name);
  const line = (title, edges, name) => make("p", "", make("strong", "", `${title}: `), edges.length
    ? edges.slice(0, 40).map((edge) => `${edge[name]} (${words(edge)})`).join("; ") : "nothing known");
  // Screen readers read the box again whenever it changes, so it follows every five seconds.
  if (!isDue("chosen", false)) return;
  box.replaceChildren(make("p", "", make("strong", "", agent.name), ` at ${agent.url}`),
    line("to", agent.edges || [], "to"), line("from", into, "from"));
}
