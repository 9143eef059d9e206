// The page as one picture of a playback: it shows a recorded run as it was at a time. The player around
// it says which.

const MOST_REQUESTS = 60;
const recorded = { frames: [], requests: [], note: "", next: 0, at: 0, chosen: null, listed: [] };

// Later by so much, so that no time of a run is taken for "never".
clock.began = 1e12;
clock.isLive = false;
clock.now = () => clock.began + recorded.at;

/** Begins anew: nothing of the run has been shown. */
function forget() {
  board.agents.clear();
  Object.assign(board, { epoch: 0, version: 0, problem: "", events: [], jobs: [], sets: [], heard: 0 });
  Object.assign(recorded, { next: 0, at: 0 });
}

/** Shows the run as it was at this time, in ms since it began. */
function showAt(ms) {
  const isBack = ms < recorded.at;
  if (isBack) forget();
  for (; recorded.next < recorded.frames.length; recorded.next += 1) {
    const { at_ms: at, update } = recorded.frames[recorded.next];
    if (at > ms) break;
    recorded.at = at;
    applyUpdate(update);
  }
  recorded.at = ms;
  showRequests();
  showWay();
  render(isBack);
}

const hasEnded = (request) => request.ended_ms !== null && request.ended_ms <= recorded.at;
const requestWord = (request) => (!hasEnded(request) ? "under way"
  : request.failure ? `✗ ${request.failure.replaceAll("_", " ")}` : "✓ answered");

/** The requests that have come by now: those under way first, then the newest. */
function showRequests() {
  const onlyFailed = byId("only-failed-requests").checked;
  const due = recorded.requests.filter((request) => request.due_ms <= recorded.at
    && (!onlyFailed || (hasEnded(request) && request.failure)));
  const rank = (request) => (hasEnded(request) ? request.ended_ms : 1e15 + request.due_ms);
  recorded.listed = due.sort((one, other) => rank(other) - rank(one)).slice(0, MOST_REQUESTS);
  const head = ["request", "due", ["state", "left"], "so far", ["sent to", "left"]];
  fillTable(byId("requests"), head, recorded.listed.map((request) => {
    const end = hasEnded(request) ? request.ended_ms : recorded.at;
    const tone = !hasEnded(request) ? "" : request.failure ? "bad" : "good";
    return { name: request === recorded.chosen ? "chosen" : "", cells: [String(request.number),
      time(request.due_ms), [requestWord(request), `left ${tone}`], time(end - request.due_ms),
      [request.entry, "left"]] };
  }), "none yet");
  byId("requests").dataset.underWay = due.filter((request) => !hasEnded(request)).length;
  byId("requests").dataset.ended = due.filter(hasEnded).length;
  for (const row of byId("requests").tBodies[0].rows) row.tabIndex = 0;
}

/** The way of the chosen request: in words, and as arrows of the graph as far as it has gone. */
function showWay() {
  const request = recorded.chosen;
  const past = request ? request.way.filter((step) => step.at_ms <= recorded.at) : [];
  view.way = past.filter((step) => step.to)
    .map((step) => ({ from: step.host, to: step.to, isLost: step.is_lost }));
  if (!request) return byId("way").replaceChildren();
  const line = (step) => make("li", step.at_ms <= recorded.at ? "" : "soft",
    `${(step.at_ms / 1000).toFixed(3)} s  ${step.host}${step.to ? ` → ${step.to}` : ""}: ${step.words}`);
  byId("way").replaceChildren(
    make("p", "", make("strong", "", `Request ${request.number}`), `, ${requestWord(request)}; grey is still to come`),
    make("ol", "", ...request.way.map(line)));
  return undefined;
}

function chooseRow(row) {
  const request = row && recorded.listed[row.rowIndex - 1];
  if (!request) return;
  recorded.chosen = request === recorded.chosen ? null : request;
  showRequests();
  showWay();
  render(false);
}

/** Takes out what only a live mesh has, and puts the requests in. */
function arrangePage() {
  for (const id of ["sign-in", "send-part", "jobs-part"]) byId(id).remove();
  document.body.classList.add("playback");
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#jobs-part") [link.hash, link.textContent] = ["#requests-part", "Requests"];
    else if (!byId(link.hash.slice(1))) link.remove();
  }
  const label = make("label");
  const check = label.appendChild(make("input"));
  check.type = "checkbox";
  check.id = "only-failed-requests";
  label.append(" failures only");
  check.addEventListener("change", showRequests);
  const table = make("table");
  table.id = "requests";
  table.addEventListener("click", (event) => chooseRow(event.target.closest("tbody tr")));
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter") chooseRow(event.target.closest("tbody tr"));
  });
  const box = make("div", "scroll", table);
  box.tabIndex = 0;
  const way = make("div");
  way.id = "way";
  const note = make("p", "soft");
  note.id = "requests-note";
  const part = make("section", "", make("h2", "", "Requests"), note, way, label, box);
  part.id = "requests-part";
  byId("graph-part").after(part);
  setText(document.querySelector("#graph-part h2"), "The mesh at this time");
}

arrangePage();
document.addEventListener("visibilitychange", () => render(true));
window.playback = {
  /** Takes a run, which is shown from its beginning. */
  load(run) {
    Object.assign(recorded, { frames: run.frames, requests: run.requests, chosen: null });
    setText(byId("requests-note"), `${run.note} Click one to see its way.`);
    forget();
    showAt(0);
  },
  showAt,
};
