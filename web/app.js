// The page: pictures come in, go to the worker one after the other, and their results are shown and saved.

import { Result } from "./result.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const SUFFIXES = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };
const MEMORY = 2.5e9, LITTLE_MEMORY = 6e8; // bytes that a picture may take: the command's own most, and for small machines
const COMPARED = 50;
const HINTS = {
  auto: "Clean or photo, by the file and its pixels.",
  clean: "It lost nothing but its size.",
  photo: "JPEG, noise or a soft lens have been at it.",
  mix: "From clean, 0 %, to photo, 100 %.",
  fast: "The network tiny.",
  best: "The network base for clean pictures: 3.4 MB more to load, about six times slower.",
};

const pictures = [];
let current = null, running = null, worker = null;
const view = new View($("canvas"), $("line"), onZoom);

// Pictures come in.

function add(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|gif|bmp|avif|hei[cf])$/i.test(file.name));
  for (const file of images) pictures.push({ file, name: file.name || "picture.png", state: "waiting", address: URL.createObjectURL(file) });
  if (!images.length) return tell(files.length ? "These files are no pictures." : "There is no picture to paste.");
  keepOffline();
  if (!current) choose(pictures[pictures.length - images.length]);
  refresh();
  next();
}

async function choose(picture) {
  current = picture;
  refresh();
  try {
    picture.before ??= await createImageBitmap(picture.file);
  } catch {
    fail(picture, "this browser cannot read it as a picture");
  }
  if (current === picture) show();
}

function show() {
  if (!current?.before) return view.show(null);
  const { before, result } = current, scale = result ? 1 : Number(optionsNow().scale);
  const { width, height } = result ?? before;
  view.show({ before, result, width: width * scale, height: height * scale });
}

// Work.

function optionsNow() {
  const data = new FormData($("options"));
  const little = (navigator.deviceMemory ?? 8) < 8 || /Android|iPhone|iPad/.test(navigator.userAgent);
  return {
    scale: Number(data.get("scale")), weights: data.get("weights"), strength: Number($("strength").value) / 100,
    best: data.get("network") === "best", memory: little ? LITTLE_MEMORY : MEMORY,
  };
}

function next() {
  if (running) return;
  running = pictures.find(({ state }) => state === "waiting") ?? null;
  if (!running) return refresh();
  Object.assign(running, { state: "running", options: optionsNow(), result: null, choice: null, done: 0, started: null, reason: null });
  refresh();
  if (current === running) show();
  tell(`Enlarging ${running.name}.`);
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => handlers[data.kind](running, data);
  worker.onerror = () => handlers.failed(running, { reason: "the worker could not be started" });
  worker.postMessage({ file: running.file, options: running.options });
}

const handlers = {
  opened(picture, { width, height, choice }) {
    Object.assign(picture, { choice, started: performance.now() });
    picture.result = new Result(width * picture.options.scale, height * picture.options.scale);
    if (current === picture) show();
    refresh();
  },
  progress(picture, { done }) {
    picture.done = done;
    refreshProgress();
  },
  band(picture, band) {
    picture.result.add(band);
    if (current !== picture) return;
    $("compare").hidden = false;
    view.draw();
  },
  done(picture, { threads }) {
    Object.assign(picture, { state: "done", seconds: (performance.now() - picture.started) / 1000, threads });
    end();
    const { width, height } = picture.result;
    tell(`${picture.name} is now ${width} by ${height} pixels.`);
  },
  failed(picture, { reason }) {
    fail(picture, reason);
    end();
  },
};

function fail(picture, reason) {
  Object.assign(picture, { state: "failed", reason, result: null });
  tell(`${picture.name}: ${reason}.`);
  refresh();
}

function end() {
  worker?.terminate();
  worker = running = null;
  refresh();
  next();
}

function cancel() {
  if (!running) return;
  for (const picture of pictures) if (picture.state === "waiting" || picture.state === "running") picture.state = "stopped";
  running.result = null;
  tell("Cancelled.");
  end();
  show();
}

function again() {
  const stale = pictures.filter(isStale);
  for (const picture of stale) picture.state = "waiting";
  next();
}

const settings = ({ scale, weights, strength, best }) => [scale, weights, weights === "mix" && strength, best].join();
const isStale = (picture) => picture.state === "stopped" || (picture.options && settings(picture.options) !== settings(optionsNow()));

// Results go out.

function save(picture) {
  const type = $("format").value, { width, height, channels, bands } = picture.result;
  const name = `${picture.name.replace(/\.[^.]*$/, "")}_x${picture.options.scale}.${SUFFIXES[type]}`;
  tell(`Writing ${name}.`);
  $("save").disabled = $("save-all").disabled = true;
  return new Promise((resolve) => {
    const writer = new Worker("save.js", { type: "module" });
    writer.onmessage = ({ data: { blob, reason } }) => {
      writer.terminate();
      if (blob) download(blob, name);
      tell(blob ? `Saved ${name}, ${size(blob.size)}.` : `${name}: ${reason}.`);
      refresh();
      resolve();
    };
    writer.postMessage({ result: { width, height, channels, bands }, type });
  });
}

async function saveAll() {
  for (const picture of pictures.filter(({ state }) => state === "done")) await save(picture);
}

function download(blob, name) {
  const link = document.createElement("a"), address = URL.createObjectURL(blob);
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

// What is seen.

function tell(text) {
  $("status").textContent = text;
}

function onZoom(zoom, line) {
  $("zoom").textContent = `${Math.round(zoom * 100)} %`;
  $("knob").style.left = `${line * 100}%`;
}

function refresh() {
  document.body.classList.toggle("empty", !pictures.length);
  const done = pictures.filter(({ state }) => state === "done");
  $("compare").hidden = !current?.result?.rows;
  $("list").hidden = pictures.length < 2;
  $("list").replaceChildren(...pictures.map(entry));
  $("again").hidden = Boolean(running) || !pictures.some(isStale);
  $("cancel").hidden = $("working").hidden = !running;
  $("save").disabled = current?.state !== "done";
  $("save-all").hidden = done.length < 2;
  $("save-all").disabled = Boolean(running);
  const { weights, best } = optionsNow();
  $("strength-row").hidden = weights !== "mix";
  $("weights-hint").textContent = HINTS[weights];
  $("network-hint").textContent = HINTS[best ? "best" : "fast"];
  $("facts").textContent = current ? factsOf(current) : "";
  refreshProgress();
}

function entry(picture) {
  const item = document.createElement("li"), button = document.createElement("button"), image = document.createElement("img");
  image.src = picture.address;
  image.alt = "";
  const words = { waiting: "waiting", running: "being enlarged", done: "done", failed: "failed", stopped: "cancelled" };
  button.setAttribute("aria-label", `${picture.name}, ${words[picture.state]}`);
  button.title = picture.name;
  button.className = picture.state;
  button.type = "button";
  if (picture === current) button.setAttribute("aria-current", "true");
  button.append(image);
  button.onclick = () => choose(picture);
  item.append(button);
  return item;
}

function factsOf({ name, state, result, choice, seconds, threads, reason, before }) {
  if (state === "failed") return `${name}: ${reason}`;
  const lines = [name];
  if (before && result) lines.push(`${before.width} × ${before.height} → ${result.width} × ${result.height}`);
  if (choice) lines.push(`${choice.variant === "photo" ? "Photo" : "Clean"} weights: ${choice.reason}`);
  if (state === "done") lines.push(`${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s on ${threads === 1 ? "one thread" : `${threads} threads`}`);
  return lines.join("\n");
}

function refreshProgress() {
  if (!running) return;
  const { done, started, name } = running, percent = Math.floor(done * 100);
  $("progress").value = done;
  const left = started && done > 0.03 ? ((performance.now() - started) / 1000) * (1 / done - 1) : null;
  $("progress-text").textContent = `${name}: ${percent} %${left === null ? "" : `, ${duration(left)} left`}`;
}

const duration = (seconds) => (seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

// Hands on the page.

function listen() {
  $("files").onchange = ({ target }) => (add(target.files), (target.value = ""));
  addEventListener("paste", ({ clipboardData }) => add(clipboardData.files));
  addEventListener("dragover", (event) => (event.preventDefault(), document.body.classList.add("over")));
  addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    add(event.dataTransfer.files);
  });
  addEventListener("keydown", ({ key }) => key === "Escape" && cancel());
  $("options").oninput = () => ($("strength-value").textContent = `${$("strength").value} %`, refresh());
  $("options").onsubmit = (event) => event.preventDefault();
  $("again").onclick = again;
  $("cancel").onclick = cancel;
  $("save").onclick = () => save(current);
  $("save-all").onclick = saveAll;
  $("fit").onclick = () => view.fit();
  $("pixels").onclick = () => view.zoomTo(1);
  $("closer").onclick = () => view.zoomBy(1);
  $("farther").onclick = () => view.zoomBy(-1);
  $("line").value = COMPARED;
}

/** From the first picture on, all that the page may need is kept, so that it works without a network. */
async function keepOffline() {
  if (navigator.connection?.saveData || !navigator.serviceWorker) return;
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ keep: crossOriginIsolated ? "core-threads.wasm" : "core.wasm" });
}

listen();
refresh();
navigator.serviceWorker?.register("sw.js");
