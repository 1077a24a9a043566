// The page: pictures come in, go to the engine, and their results are shown and saved.
//
// engine.js is what the page's host put beside it: that of `lamnet app`, which asks its server, or that of web/, which works
// in this browser. Both have `words`, `hints`, `depends` (the settings that a result depends on), `ready`, `enlarge`, `save`.

import * as engine from "./engine.js";
import { listenForFiles } from "./files.js";
import { List } from "./list.js";
import { differsNow, offer, optionsNow, refreshSettings } from "./settings.js";
import { View } from "./view.js";
import { duration, size } from "./words.js";

const $ = (id) => document.getElementById(id);
const COMPARED = 50;

const pictures = [];
let current = null, choices = null, isSaving = false;
const view = new View($("canvas"), $("line"), onZoom), list = new List($("list"), choose);

// Pictures come in.

function add(files) {
  if (!files.length) return tell("There is no picture in this.");
  const added = files.map((file) => ({ file, name: file.name || "picture.png", state: "waiting", facts: [] }));
  added.forEach((picture) => list.add(picture));
  pictures.push(...added);
  if (!current) choose(added[0]);
  next();
}

/** Shows a picture. The others' pixels are let go: a page may hold hundreds. */
async function choose(picture) {
  const before = current;
  current = picture;
  show();
  refresh();
  if (before && before !== picture) release(before);
  picture.before ??= await createImageBitmap(picture.file).catch(() => null);
  await picture.result?.load();
  if (current !== picture) return release(picture);
  show();
  refresh();
}

function release(picture) {
  picture.before?.close();
  picture.before = undefined;
  picture.result?.unload();
}

function clear() {
  cancel(pictures);
  current = null;
  show();
  for (const picture of pictures.splice(0)) {
    release(picture);
    list.release(picture);
  }
  refresh();
  $("files").focus();
}

// Work.

const isActive = ({ state }) => state === "waiting" || state === "running";
const runs = ({ state }) => state === "running";

function next() {
  const free = choices.atOnce - pictures.filter(runs).length;
  for (const picture of pictures.filter(({ state }) => state === "waiting").slice(0, Math.max(0, free))) start(picture);
  refresh();
}

async function start(picture) {
  const control = new AbortController(), { name } = picture, options = optionsNow();
  Object.assign(picture, { state: "running", control, options, result: null, facts: [], doing: null, done: 0, left: null });
  if (current === picture) show();
  tell(`Enlarging ${name}.`);
  try {
    await engine.enlarge(picture, options, control.signal, (change) => control.signal.aborted || report(picture, change));
    if (control.signal.aborted) return;
    picture.state = "done";
    tell(picture.result.width ? `${name} is now ${picture.result.width} by ${picture.result.height} pixels.` : `${name} is done.`);
  } catch (error) {
    if (control.signal.aborted) return;
    Object.assign(picture, { state: "failed", result: null, facts: [error.message] });
    tell(`${named(name, error.message)}.`);
  }
  if (current === picture) show();
  next();
}

/** A change is {doing, done, left} of the progress, {result, facts}, or {rows: true} where a result has grown. */
async function report(picture, change) {
  Object.assign(picture, change);
  if (!change.result && !change.rows) return refreshProgress();
  if (current !== picture) return;
  if (change.result) await change.result.load();
  if (current !== picture) return release(picture);
  show();
  refresh();
}

function cancel(those) {
  for (const picture of those.filter(isActive)) {
    picture.control?.abort();
    Object.assign(picture, { state: "stopped", result: null });
  }
  tell("Cancelled.");
  show();
  next();
}

function again() {
  for (const picture of pictures.filter(isStale)) picture.state = "waiting";
  next();
}

const isStale = ({ state, options }) => state === "stopped" || (options && !isActive({ state }) && differsNow(options));

// Results go out.

async function save(those) {
  isSaving = true;
  refresh();
  for (const picture of those) {
    tell(`Writing ${picture.name}.`);
    try {
      const { blob, name } = await engine.save(picture, $("format").value);
      download(blob, name);
      tell(`Saved ${name}, ${size(blob.size)}.`);
    } catch (error) {
      tell(`${named(picture.name, error.message)}.`);
    }
  }
  isSaving = false;
  refresh();
}

function download(blob, name) {
  const link = document.createElement("a"), address = URL.createObjectURL(blob);
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// What is seen.

/** A reason with the file's name, which those of a server have already. */
const named = (name, reason) => (reason.startsWith(name) ? reason : `${name}: ${reason}`);

function tell(text) {
  $("status").textContent = text;
}

function onZoom(zoom, line) {
  $("zoom").textContent = `${Math.round(zoom * 100)} %`;
  $("knob").style.left = `${line * 100}%`;
}

function show() {
  const { before, result, state } = current ?? {}, seen = result?.rows && result.preview ? result : null;
  const scale = seen ? 1 : Number(optionsNow().scale), { width, height } = seen ?? before ?? {};
  view.show(width ? { key: current, before, result: seen, width: width * scale, height: height * scale } : null);
  $("compare").hidden = !before || !seen;
  $("zooms").hidden = !width;
  $("unseen").hidden = Boolean(width) || before === undefined;
  $("unseen").textContent = state === "failed" ? factsOf(current) : engine.words.unseen;
}

function refresh() {
  const done = pictures.filter(({ state }) => state === "done"), active = pictures.filter(isActive);
  document.body.classList.toggle("empty", !pictures.length);
  list.refresh(pictures, current);
  $("again").hidden = active.length > 0 || !pictures.some(isStale);
  $("cancel").hidden = !current || !isActive(current);
  $("cancel-all").hidden = !active.length || (active.length === 1 && active[0] === current);
  $("save").disabled = current?.state !== "done" || isSaving;
  $("save-all").hidden = done.length < 2;
  $("save-all").disabled = isSaving;
  $("clear").hidden = active.length > 0;
  refreshSettings();
  $("facts").textContent = current ? factsOf(current) : "";
  refreshProgress();
}

function factsOf({ name, state, facts, result, before }) {
  if (state === "failed") return named(name, facts[0]);
  const sizes = before && result?.width ? [`${before.width} × ${before.height} → ${result.width} × ${result.height}`] : [];
  return [name, ...sizes, ...facts].join("\n");
}

function refreshProgress() {
  const picture = current && runs(current) ? current : pictures.find(runs);
  $("working").hidden = !picture;
  if (!picture) return;
  const { name, doing, done, left } = picture;
  if (done === null) $("progress").removeAttribute("value");
  else $("progress").value = done;
  $("progress-text").textContent = `${name}: ${doing ?? `${Math.floor(done * 100)} %`}${left === null ? "" : `, ${duration(left)} left`}`;
}

// Hands on the page.

function listen() {
  listenForFiles($("files"), add, choices.wanted);
  addEventListener("keydown", ({ key }) => key === "Escape" && pictures.some(isActive) && cancel(pictures));
  $("options").oninput = () => {
    $("strength-value").textContent = `${$("strength").value} %`;
    show();
    refresh();
  };
  $("options").onsubmit = (event) => event.preventDefault();
  $("again").onclick = again;
  $("cancel").onclick = () => cancel([current]);
  $("cancel-all").onclick = () => cancel(pictures);
  $("save").onclick = () => save([current]);
  $("save-all").onclick = () => save(pictures.filter(({ state }) => state === "done"));
  $("clear").onclick = clear;
  $("fit").onclick = () => view.fit();
  $("pixels").onclick = () => view.zoomTo(1);
  $("closer").onclick = () => view.zoomBy(1);
  $("farther").onclick = () => view.zoomBy(-1);
  $("line").value = COMPARED;
}

function fill() {
  $("promise").textContent = engine.words.promise;
  $("about").textContent = engine.words.about;
  $("kinds").textContent = choices.kinds;
  $("files").accept = choices.accept;
  offer(choices);
}

try {
  choices = await engine.ready();
  fill();
  listen();
  refresh();
} catch (error) {
  $("drop").replaceChildren(error.message);
  $("drop").setAttribute("role", "alert");
}
