// What the reader does: chooses what is shown, signs in, sends jobs.

/** The page's own path: it may be opened with slashes at its end, and behind a proxy. */
const root = `/${location.pathname.replace(/^\/+|\/+$/g, "")}`;

let rights = { asks_keys: false, observe: false, call: false };

/** Posts JSON to a path below that of the page. Gives back its answer, or an error. */
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${root}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  let json = null;
  try { json = text ? JSON.parse(text) : {}; } catch (error) { json = { error: text.slice(0, 500) }; }
  return { ok: answer.ok, status: answer.status, json };
}

/** Whether the browser's certificate was refused: once is enough, and signing out should last. */
let triedCertificate = new URLSearchParams(location.search).has("signed-out");

async function fetchRights() {
  const answer = await fetch(`${root}/rights`);
  if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
  rights = await answer.json();
}

/** Asks what the reader may do, and shows the forms accordingly. A known certificate needs no key. */
async function askRights() {
  await fetchRights();
  if (rights.by_certificate && !triedCertificate && !(rights.observe && rights.call)) {
    // Of one that was taken, the pass may end: then it is tried again.
    triedCertificate = !(await post("sign-in", { certificate: true })).ok;
    await fetchRights();
  }
  byId("sign-in").hidden = !rights.asks_keys;
  byId("sign-out").hidden = !(rights.observe || rights.call);
  const words = [rights.observe && "see the mesh", rights.call && "send jobs"].filter(Boolean);
  setText(byId("rights"), words.length ? `You may ${words.join(" and ")}.`
    : "A key with the role observe lets you see the mesh, one with the role call send jobs.");
  byId("send-button").disabled = !rights.call;
  setText(byId("send-note"), rights.call ? "" : "Sign in with a key that has the role call.");
}

function startForms() {
  byId("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const key = byId("key").value;
    byId("key").value = "";
    try {
      const { ok, json } = await post("sign-in", { key });
      await askRights();
      if (!ok) setText(byId("rights"), json.error || "that key was refused");
      connect();
    } catch (error) {
      setText(byId("rights"), `no answer: ${error.message}`);
    }
  });
  byId("sign-out").addEventListener("click", async () => {
    await post("sign-out", {}).catch(() => {});
    if (rights.by_certificate) location.search = "?signed-out";
    else location.reload();
  });
  byId("only-failed").addEventListener("change", () => render(false));
  byId("send").addEventListener("submit", (event) => {
    event.preventDefault();
    sendJob();
  });
}

function startTools() {
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("tools").addEventListener("input", readTools);
  byId("edges").closest("details").addEventListener("toggle", () => render(true));
  byId("more").addEventListener("click", () => {
    view.shown += 60;
    render(true);
  });
}

function readTools() {
  const positive = (id, usual) => {
    const value = Number(byId(id).value);
    return value > 0 ? value : usual;
  };
  view.filter = byId("filter").value;
  view.group = byId("group").value;
  view.sort = byId("sort").value;
  view.amber = positive("amber", 20);
  view.red = Math.max(view.amber, positive("red", 100));
  drawLegend();
  render(false);
}

async function sendJob() {
  const [button, answer] = [byId("send-button"), byId("send-answer")];
  const job = {
    agent: byId("send-agent").value, method: byId("send-method").value, text: byId("send-text").value,
    timeout_ms: Math.round(Number(byId("send-timeout").value) * 1000), skill: byId("send-skill").value || null,
  };
  button.disabled = true;
  answer.hidden = false;
  answer.className = "";
  setText(answer, `${job.method} sent to ${job.agent}; waiting for the answer`);
  try {
    const { json } = await post("send", job);
    const isDone = "result" in json;
    answer.className = isDone ? "" : "bad";
    const took = json.took_ms === undefined ? "" : ` after ${time(json.took_ms)}`;
    const said = isDone ? json.result : json.code ? `${json.error} (code ${json.code})` : json.error;
    const text = typeof said === "string" ? said : JSON.stringify(said, null, 2);
    const trace = json.trace ? `, trace ${json.trace}` : "";
    setText(answer, `${isDone ? "answered" : "failed"}${took}${trace}\n${text}`);
  } catch (error) {
    answer.className = "bad";
    setText(answer, `no answer: ${error.message}`);
  }
  button.disabled = !rights.call;
}

/** The names for the form's list, if they have changed. */
function listNames() {
  const names = [...board.agents.values()].filter((agent) => !agent.gone).sort(byName)
    .map((agent) => agent.name);
  const list = byId("agent-names");
  const key = names.join(" ");
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...names.map((name) => {
      const option = make("option");
      option.value = name;
      return option;
    }));
    if (!byId("send-agent").value && names.length) byId("send-agent").value = names[0];
  }
}
