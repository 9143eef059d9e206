// What the page knows of the mesh: a copy of the board, and the past of each agent.

/** Figures that are older are shown in grey, in ms. */
const STALE_MS = 20000;
/** Round trips are measured more seldom: older ones are shown in grey, in ms. */
const STALE_ROUND_TRIP_MS = 400000;
/** An agent that is not listed any more is shown in grey for this long, in ms. */
const GONE_MS = 120000;
/** How many points of an agent's past are kept: five minutes of one every two seconds. */
const MOST_POINTS = 150;
const MOST_ROWS = 200;

/** What ages count from: the clock of this machine, unless the past of a run is shown. */
const clock = { now: () => Date.now(), isLive: true, began: 0 };

const board = {
  epoch: 0, version: 0, problem: "", agents: new Map(), events: [], jobs: [], sets: [],
  /** When the last update came, by the clock of this machine. */
  heard: 0,
};

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** Takes over an update. False if something between it and the last one was missed. */
function applyUpdate(update) {
  const now = clock.now();
  const isAll = update.since === 0;
  if (!isAll && (update.epoch !== board.epoch || update.since > board.version)) return false;
  const news = isAll ? 0 : board.version;
  if (isAll) {
    const listed = new Set(update.agents.map((agent) => agent.name));
    for (const agent of board.agents.values()) {
      if (!listed.has(agent.name) && !agent.gone) agent.gone = { kind: "gone", at: now };
    }
    board.events = [];
    board.jobs = [];
  }
  const aged = (list) => (list || []).filter((it) => it.version > news)
    .map((it) => ({ ...it, at: now - (number(it.age_ms) || 0) }));
  const events = aged(update.events);
  board.events = events.reverse().concat(board.events).slice(0, MOST_ROWS);
  board.jobs = aged(update.jobs).reverse().concat(board.jobs).slice(0, MOST_ROWS * 2);
  for (const gone of update.gone || []) leave(gone.name, now - (number(gone.age_ms) || 0), events);
  for (const told of update.agents) listAgent(told, now);
  for (const agent of [...board.agents.values()]) {
    if (agent.gone && now - agent.gone.at > GONE_MS) board.agents.delete(agent.name);
  }
  board.epoch = update.epoch;
  board.version = Math.max(isAll ? 0 : board.version, update.version);
  board.problem = update.problem || "";
  board.sets = update.sets || [];
  board.heard = now;
  return true;
}

function leave(name, at, events) {
  const agent = board.agents.get(name);
  if (!agent) return;
  const end = events.find((event) => event.agent === name && ["expired", "left"].includes(event.kind));
  agent.gone = { kind: end ? end.kind : "gone", at };
  agent.changed = true;
}

function listAgent(told, now) {
  const before = board.agents.get(told.name);
  const agent = before || { name: told.name, points: [], hadTraffic: false };
  const telemetry = told.telemetry || null;
  agent.url = told.url;
  agent.site = told.site || "";
  agent.skills = Array.isArray(told.skills) ? told.skills : [];
  agent.state = told.state || "";
  agent.incarnation = told.incarnation;
  agent.heard = now - (number(told.last_heartbeat_ms) || 0);
  agent.told = telemetry ? now - (number(told.telemetry_age_ms) || 0) : null;
  agent.telemetry = telemetry;
  agent.load = (telemetry && telemetry.load) || told.load || null;
  agent.gone = null;
  agent.changed = true;
  const served = telemetry ? telemetry.served : null;
  const seconds = telemetry ? Math.max(1, telemetry.window_ms / 1000) : 1;
  agent.rate = served ? served.done / seconds : null;
  agent.failedRate = served ? served.failed / seconds : null;
  agent.p50 = served ? number(served.p50_ms) : null;
  agent.p99 = served ? number(served.p99_ms) : null;
  if (served && served.done + served.failed > 0) agent.hadTraffic = true;
  agent.edges = telemetry ? (telemetry.edges || []).map((edge) => toEdge(agent, edge, seconds)) : [];
  addPoint(agent);
  board.agents.set(told.name, agent);
}

function toEdge(agent, edge, seconds) {
  const count = edge.done + edge.failed;
  const age = number(edge.rtt_age_ms);
  return {
    from: agent.name, to: edge.to, count, rate: count / seconds,
    success: count ? edge.done / count : null, failed: edge.failed,
    p50: number(edge.p50_ms), p99: number(edge.p99_ms), rtt: number(edge.rtt_ms),
    measured: age === null ? null : agent.told - age, told: agent.told,
  };
}

function addPoint(agent) {
  const at = agent.told || agent.heard;
  const last = agent.points[agent.points.length - 1];
  if (last && at - last.at < 500) return;
  const load = agent.load || {};
  agent.points.push({
    at, cpu: number(load.cpu), memory: number(load.mem), flight: number(load.in_flight),
    queue: number(load.queued), rate: agent.rate, errors: agent.failedRate,
    p50: agent.p50, p99: agent.p99,
  });
  if (agent.points.length > MOST_POINTS) agent.points.shift();
}

const isOld = (at) => at !== null && clock.now() - at > STALE_MS;
const isStale = (agent) => Boolean(agent.gone) || isOld(agent.heard) || isOld(agent.told);
const isOffline = () => clock.isLive && clock.now() - board.heard > 4000;

/** What the reader wants to see, and how. */
const view = { filter: "", group: "", sort: "name", amber: 20, red: 100, chosen: "", shown: 60, way: [] };

const SORTS = {
  cpu: (agent) => (agent.load ? agent.load.cpu : -1),
  queue: (agent) => (agent.load ? agent.load.queued || 0 : -1),
  rate: (agent) => (agent.rate === null ? -1 : agent.rate),
  errors: (agent) => (agent.failedRate === null ? -1 : agent.failedRate),
  p99: (agent) => (agent.p99 === null ? -1 : agent.p99),
};

const byName = (one, other) => one.name.localeCompare(other.name, "en", { numeric: true });

/** The agents that pass the filter, in order. */
function shownAgents() {
  const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = (agent) => {
    const text = [agent.name, agent.site, agent.state, ...agent.skills].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const agents = [...board.agents.values()].filter(passes).sort(byName);
  const figure = SORTS[view.sort];
  return figure ? agents.sort((one, other) => figure(other) - figure(one)) : agents;
}

/** The same agents in their groups: pairs of a title and agents. */
function groupedAgents(agents) {
  if (!view.group) return [["", agents]];
  const groups = new Map();
  for (const agent of agents) {
    const titles = view.group === "site" ? [agent.site] : agent.skills.slice(0, 1);
    const title = titles[0] || `no ${view.group}`;
    if (!groups.has(title)) groups.set(title, []);
    groups.get(title).push(agent);
  }
  return [...groups].sort((one, other) => one[0].localeCompare(other[0], "en", { numeric: true }));
}

/** The edges between these agents. */
function edgesOf(agents) {
  const names = new Set(agents.map((agent) => agent.name));
  return agents.flatMap((agent) => agent.edges || []).filter((edge) => names.has(edge.to));
}

/** How fast a round trip is: "good", "warn", "bad", or "stale" if nobody knows any more. */
function edgeBand(edge) {
  const from = board.agents.get(edge.from);
  const to = board.agents.get(edge.to);
  if (!from || !to || isStale(from) || to.gone || edge.rtt === null) return "stale";
  if (clock.now() - edge.measured > STALE_ROUND_TRIP_MS) return "stale";
  if (edge.rtt >= view.red) return "bad";
  return edge.rtt >= view.amber ? "warn" : "good";
}
