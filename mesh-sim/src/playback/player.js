"use strict";
// The player: one time for all pictures, which are frames with the page of the dashboard in them.
(() => {
const byId = (id) => document.getElementById(id);
const recording = JSON.parse(byId("recording").textContent);
const { end_ms: end, period_ms: period, faults, runs } = recording;
const nameOf = (run) => (runs.some((other) => other.policy === run.policy && other.seed !== run.seed)
  ? `${run.policy}, seed ${run.seed}` : run.policy);

/** The windows of the frames that are loaded, and what is shown: a time in ms. */
let pictures = [];
let at = 0;
let shown = -1;
let isPlaying = false;
let last = 0;

const digits = period % 1000 === 0 ? 0 : period % 100 === 0 ? 1 : 2;
const seconds = (ms) => `${(ms / 1000).toFixed(digits)} s`;

/** Shows the time, in whole periods of the recording. */
function show(isAll) {
  const step = Math.round(at / period) * period;
  if (step === shown && !isAll) return;
  shown = step;
  byId("slider").value = step;
  byId("slider").setAttribute("aria-valuetext", seconds(step));
  byId("now").textContent = `${seconds(step)} of ${seconds(end)}`;
  [...byId("faults").children].forEach((item, index) => {
    const { from_ms: from, until_ms: until } = faults[index];
    item.firstChild.classList.toggle("active", from <= step && (until === null || step < until));
  });
  for (const picture of pictures) picture.playback.showAt(step);
}

function play(isOn) {
  isPlaying = isOn;
  byId("play").textContent = isOn ? "Pause" : "Play";
  if (!isOn) return;
  if (at >= end) at = 0;
  last = performance.now();
  requestAnimationFrame(tick);
}

function tick(now) {
  if (!isPlaying) return;
  at = Math.min(end, at + (now - last) * Number(byId("speed").value));
  last = now;
  show(false);
  if (at >= end) play(false);
  else requestAnimationFrame(tick);
}

function goTo(ms) {
  at = Math.min(end, Math.max(0, ms));
  show(false);
}

/** Puts a frame for each chosen run into the page. */
function frame() {
  const chosen = [byId("left").value, byId("right").value].filter((index) => index !== "");
  pictures = [];
  byId("frames").replaceChildren(...chosen.map((index) => {
    const run = runs[Number(index)];
    const section = document.createElement("section");
    const title = document.createElement("h2");
    title.textContent = nameOf(run);
    const picture = document.createElement("iframe");
    picture.title = `The mesh with ${nameOf(run)}`;
    picture.addEventListener("load", () => {
      picture.contentWindow.playback.load(run);
      pictures.push(picture.contentWindow);
      scrollTogether(picture.contentWindow);
      show(true);
    });
    picture.srcdoc = recording.page;
    section.append(title, picture);
    return section;
  }));
}

/** What one frame is scrolled to, the other one shows, too. */
function scrollTogether(picture) {
  picture.addEventListener("scroll", () => {
    for (const other of pictures) {
      if (other !== picture && Math.abs(other.scrollY - picture.scrollY) > 1) {
        other.scrollTo({ top: picture.scrollY, behavior: "instant" });
      }
    }
  });
}

function fillLists() {
  const option = (value, text) => {
    const item = document.createElement("option");
    item.value = value;
    item.textContent = text;
    return item;
  };
  const all = () => runs.map((run, index) => option(index, nameOf(run)));
  byId("left").append(...all());
  byId("right").append(option("", "nothing"), ...all());
  byId("left").value = "0";
  byId("right").value = runs.length > 1 ? "1" : "";
  byId("right").parentElement.hidden = runs.length < 2;
  byId("left").parentElement.hidden = runs.length < 2;
}

function markFaults() {
  byId("marks").hidden = !faults.length;
  byId("marks").append(...faults.map(({ from_ms: from, until_ms: until }) => {
    const mark = document.createElement("span");
    mark.style.left = `${(100 * from) / end}%`;
    mark.style.width = `${(100 * (Math.min(until === null ? end : until, end) - from)) / end}%`;
    return mark;
  }));
  byId("faults").append(...faults.map(({ label, detail, from_ms: from, until_ms: until }) => {
    const button = document.createElement("button");
    button.type = "button";
    const times = `${from / 1000} to ${until === null ? seconds(end) : `${until / 1000} s`}`;
    button.textContent = `${label}, ${times}: ${detail}`;
    button.addEventListener("click", () => goTo(from));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

byId("slider").max = end;
byId("slider").step = period;
byId("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
byId("play").addEventListener("click", () => play(!isPlaying));
byId("left").addEventListener("change", frame);
byId("right").addEventListener("change", frame);
fillLists();
markFaults();
frame();
})();
