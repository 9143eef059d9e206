// The live mesh: connects, takes what comes, and connects again when the connection is lost.

let source = null;
let retryMs = 1000;
let retry = 0;

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

startForms();
// Ages grow, and figures become stale, although nothing comes.
setInterval(() => render(false), 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  // After the lid of a laptop was closed, a connection may be dead without anybody having noticed.
  if (rights.observe && isOffline()) begin();
  render(true);
});
begin();
