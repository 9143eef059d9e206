// Texts and elements. What others say only ever becomes text of an element.

const byId = (id) => document.getElementById(id);

/** A new element with a class and children, which are elements or texts. */
function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/** Sets the text of an element if it has changed, so that readers' selections survive. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name, isOn) {
  if (element.classList.contains(name) !== isOn) element.classList.toggle(name, isOn);
}

/** A number with three significant digits. */
function short(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

const percent = (value) => (value === null || value === undefined ? "–" : `${short(value)} %`);

/** A share of successes: 100 % only if it is all of them. */
function share(value) {
  if (value === null) return "–";
  const rounded = value * 100 > 99 ? Math.floor(value * 1000) / 10 : Math.round(value * 1000) / 10;
  return `${rounded} %`;
}

/** A time in ms, with its unit. */
function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 60000) return `${short(ms / 60000)} min`;
  return ms >= 1000 ? `${short(ms / 1000)} s` : `${short(ms)} ms`;
}

/** Two times in ms, with their unit once if it is the same. */
function times(one, other) {
  if (one === null || other === null) return `${time(one)} | ${time(other)}`;
  const [a, b] = [time(one), time(other)];
  const unit = (text) => text.split(" ")[1];
  return unit(a) === unit(b) ? `${a.split(" ")[0]} | ${b}` : `${a} | ${b}`;
}

/** How long ago something was, in whole units. */
function ago(at) {
  if (at === null || at === undefined) return "–";
  const seconds = Math.max(0, Math.round((clock.now() - at) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}

const count = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;

/** The colours of the style sheet, which change with the scheme of the reader. */
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "grid", "paper", "card", "good", "warn", "bad", "stale",
    "accent", "cpu", "memory", "flight", "queue", "rate", "errors", "p50", "p99"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  [colours.way, colours.lost] = [colours.accent, colours.bad];
}

/** The context of a canvas, cleared, with the size that it has on the screen, in CSS pixels. */
function contextOf(canvas) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const { clientWidth: width, clientHeight: height } = canvas;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * Fills a table with a head and rows of cells. A cell is a text, or `[text, class]`. Cells that stay the
 * same are left alone, so that what a reader has selected stays selected.
 */
function fillTable(table, head, rows, empty) {
  if (!table.tHead) table.append(make("thead", "", make("tr")), make("tbody"));
  fillRow(table.tHead.rows[0], "th", head);
  for (const cell of table.tHead.rows[0].cells) cell.scope = "col";
  const body = table.tBodies[0];
  const filled = rows.length ? rows : [{ name: "", cells: [[empty, "soft left"]] }];
  while (body.rows.length > filled.length) body.deleteRow(-1);
  filled.forEach(({ cells, name }, index) => {
    const row = body.rows[index] || body.appendChild(make("tr"));
    if (row.className !== name) row.className = name;
    fillRow(row, "td", cells);
    if (!rows.length) row.cells[0].colSpan = head.length;
    else row.cells[0].removeAttribute("colspan");
  });
}

function fillRow(row, tag, cells) {
  while (row.cells.length > cells.length) row.lastElementChild.remove();
  cells.forEach((content, index) => {
    const [text, name] = Array.isArray(content) ? content : [content, ""];
    const cell = row.cells[index] || row.appendChild(make(tag));
    if (cell.className !== name) cell.className = name;
    setText(cell, text);
  });
}

const drawn = new Map();

/** Whether a part has to be drawn: something has changed, or figures may have become stale. */
function isDue(part, isAll) {
  const version = part === "chosen" ? "" : board.version;
  const key = [version, JSON.stringify(view), Math.floor(clock.now() / 5000), isOffline()].join(" ");
  if (!isAll && drawn.get(part) === key) return false;
  drawn.set(part, key);
  return true;
}
