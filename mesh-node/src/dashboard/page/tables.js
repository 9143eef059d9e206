// The matrix of who delegates to whom, the list of edges, the jobs and the events.

/** A matrix of more agents could not be read. */
const MOST_COLUMNS = 24;
const MOST_EDGES = 100;

/** The agents with the most jobs between them, in order of their names. */
function busiest(agents, edges) {
  const jobs = new Map();
  for (const edge of edges) {
    for (const name of [edge.from, edge.to]) jobs.set(name, (jobs.get(name) || 0) + edge.count);
  }
  const many = agents.length > MOST_COLUMNS;
  const ranked = many ? agents.filter((agent) => jobs.get(agent.name))
    .sort((one, other) => jobs.get(other.name) - jobs.get(one.name)).slice(0, MOST_COLUMNS) : agents;
  return [...ranked].sort(byName);
}

function showMatrix(agents) {
  const edges = edgesOf(agents).filter((edge) => edge.count);
  const listed = busiest(agents, edges);
  const known = new Map(edges.map((edge) => [`${edge.from} ${edge.to}`, edge]));
  const names = listed.map((agent) => agent.name);
  const heading = (text, scope) => {
    const cell = make("th", "", text);
    cell.scope = scope;
    return cell;
  };
  const head = make("tr", "", heading("from \\ to", "col"), ...names.map((name) => heading(name, "col")));
  const rows = listed.map((agent) => make("tr", isStale(agent) ? "stale" : "",
    heading(agent.name, "row"), ...names.map((to) => matrixCell(agent, to, known))));
  byId("matrix").replaceChildren(make("thead", "", head), make("tbody", "", ...rows));
  const part = listed.length < agents.length ? `The ${listed.length} busiest of ${agents.length} agents. ` : "";
  const silent = listed.filter((agent) => !agent.telemetry).length;
  const note = edges.length
    ? "Jobs that were done, jobs per second, and p50 and p99 from sending to the answer; of the last 30 s."
    : "No traffic yet: no agent has sent a job to a peer in the last 30 s.";
  const untold = silent ? ` ${count(silent, "agent")} of them tell nothing, which is marked "no data".` : "";
  setText(byId("matrix-note"), part + note + untold);
  showEdges(edgesOf(agents));
}

function matrixCell(agent, to, known) {
  if (agent.name === to) return make("td", "self", "");
  const edge = known.get(`${agent.name} ${to}`);
  if (!edge) {
    const cell = make("td", "soft", agent.telemetry ? "·" : "no data");
    cell.title = agent.telemetry ? "no traffic" : `${agent.name} tells nothing of its peers`;
    return cell;
  }
  const name = edge.failed / edge.count > 0.01 ? "failing" : "busy";
  const cell = make("td", name, `${share(edge.success)} · ${short(edge.rate)}/s`,
    make("small", "", times(edge.p50, edge.p99)));
  cell.title = `${edge.from} to ${edge.to}: ${edge.count} jobs, ${edge.failed} failed, told ${ago(edge.told)}`;
  return cell;
}

function showEdges(edges) {
  if (!byId("edges").closest("details").open) return;
  const sorted = [...edges].sort((one, other) => other.count - one.count).slice(0, MOST_EDGES);
  const head = ["from", ["to", "left"], "round trip", "measured", "jobs/s", "done", "p50", "p99", "told"];
  fillTable(byId("edges"), head, sorted.map((edge) => {
    const band = edgeBand(edge);
    return { name: band === "stale" ? "stale" : "", cells: [edge.from, [edge.to, "left"],
      [`${time(edge.rtt)} ${band === "stale" ? "" : BAND_WORDS[band]}`, band], ago(edge.measured),
      short(edge.rate), share(edge.success), time(edge.p50), time(edge.p99), ago(edge.told)] };
  }), "no edges yet");
}

function showJobs(agents) {
  const names = new Set(agents.map((agent) => agent.name));
  const isFiltered = Boolean(view.filter);
  const onlyFailed = byId("only-failed").checked;
  const passes = (job) => (!onlyFailed || job.event === "failed")
    && (!isFiltered || names.has(job.from) || names.has(job.to));
  const jobs = board.jobs.filter(passes).sort((one, other) => other.at - one.at).slice(0, MOST_ROWS);
  const hasTraces = jobs.some((job) => job.trace);
  const head = ["when", ["from", "left"], ["to", "left"], ["outcome", "left"], "took"];
  if (hasTraces) head.push(["trace", "left"]);
  fillTable(byId("jobs"), head, jobs.map((job) => {
    const isDone = job.event === "done";
    const outcome = isDone ? "✓ done" : `✗ ${(job.reason || "failed").replaceAll("_", " ")}`;
    const cells = [ago(job.at), [job.from, "left"], [job.to || "nobody", "left"],
      [outcome, `left ${isDone ? "good" : "bad"}`], time(job.took_ms)];
    if (hasTraces) cells.push([job.trace || "–", "left"]);
    return { name: "", cells };
  }), onlyFailed ? "no failures told" : "no traffic yet");
}

const EVENT_CLASSES = { joined: "good", recovered: "good", expired: "bad", ejected: "bad", refused: "bad",
  draining: "warn", recovering: "warn", left: "soft", replaced: "soft" };

function showEvents(agents) {
  const names = new Set(agents.map((agent) => agent.name));
  const passes = (event) => !view.filter || names.has(event.agent);
  const head = ["when", ["what", "left"], ["agent", "left"], ["says", "left"], ["why", "left"]];
  fillTable(byId("events"), head, board.events.filter(passes).map((event) => ({ name: "", cells: [
    ago(event.at), [event.kind.replaceAll("_", " "), `left ${EVENT_CLASSES[event.kind] || ""}`],
    [event.agent, "left"], [event.by || "the registry", "left"],
    [(event.reason || "").replaceAll("_", " "), "left"],
  ] })), "no events yet");
}
