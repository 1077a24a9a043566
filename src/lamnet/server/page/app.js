// The page of `lamnet app`: files in, progress, results out, through the HTTP interface that docs/http.md describes.

const AT_ONCE = 3; // files that this page has at the server, so that others get their turn
const $ = (id) => document.getElementById(id);
const token = takeToken();
const items = [];
let choices = null;

/** The token comes behind the # of the address, which is cleaned of it, and outlives a reload of this tab alone. */
function takeToken() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem("token");
}

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { headers: headers(), ...options });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`);
  return answer;
}

// Choices

function fillChoices() {
  for (const size of Object.keys(choices.models)) $("model").add(new Option(size, size));
  for (const format of choices.writes) $("format").add(new Option(format.toUpperCase(), format));
  $("files").accept = choices.reads.join(",");
  fillScales();
}

/** What can be chosen follows from the network; x1 restores and takes weights for photographs. */
function fillScales() {
  const before = $("scale").value;
  const models = Object.entries(choices.models).filter(([size]) => !$("model").value || size === $("model").value);
  const clean = new Set(models.flatMap(([, one]) => one.clean));
  const photo = models.flatMap(([, one]) => one.photo);
  const scales = [...clean].sort((a, b) => b - a);
  $("scale").replaceChildren(...scales.map((one) => new Option(`${one} times`, one)));
  if (photo.length) $("scale").add(new Option("not, only restore", 1));
  if ([...$("scale").options].some((one) => one.value === before)) $("scale").value = before;
  for (const option of $("weights").options) option.disabled = !photo.length && ["photo", "mix"].includes(option.value);
  if ($("weights").selectedOptions[0]?.disabled) $("weights").value = "auto";
  $("mix").hidden = $("weights").value !== "mix";
}

function chosen(name) {
  const query = new URLSearchParams({ name, scale: $("scale").value });
  if ($("model").value) query.set("model", $("model").value);
  if ($("format").value) query.set("format", $("format").value);
  if ($("weights").value === "mix") query.set("strength", $("strength").value);
  else if ($("weights").value !== "auto") query.set("weights", $("weights").value);
  return query;
}

// Files

function add(files) {
  for (const file of files) {
    const item = { file, query: chosen(file.name), state: "here", id: null, stop: new AbortController(), view: null };
    item.view = rowOf(item);
    items.push(item);
    $("jobs").append(item.view.row);
    show(item, "waits");
    if (file.size > choices.limits.bytes) {
      end(item, "failed", `expected a file of at most ${inWords(choices.limits.bytes)}, got ${inWords(file.size)}`);
    }
  }
  tell();
  next();
}

function next() {
  const active = items.filter((one) => one.state === "there").length;
  for (const item of items.filter((one) => one.state === "here").slice(0, Math.max(0, AT_ONCE - active))) {
    item.state = "there";
    work(item).catch((error) => {
      if (item.state === "there") end(item, "failed", error.message);
    });
  }
}

async function work(item) {
  let job = await uploaded(item);
  item.id = job.id;
  while (job.state === "waiting" || job.state === "running") {
    if (item.state !== "there") return forget(item);
    if (job.state === "waiting") show(item, job.position > 1 ? `waits, ${job.position - 1} before it` : "waits");
    else show(item, job.seconds_left === null ? "at work" : `at work, ${timeLeft(job.seconds_left)} left`, job.progress);
    await new Promise((wake) => setTimeout(wake, job.state === "running" ? 500 : 1000));
    job = await (await ask(`api/jobs/${item.id}`, { signal: item.stop.signal })).json();
  }
  if (job.state === "failed") throw new Error(job.error);
  show(item, `fetches ${inWords(job.bytes)}`);
  const result = await (await ask(`api/jobs/${item.id}/result`, { signal: item.stop.signal })).blob();
  item.id = null;
  item.view.save.href = URL.createObjectURL(result);
  item.view.save.download = job.result;
  item.view.save.setAttribute("aria-label", `Save ${job.result}`);
  item.view.notes.textContent = [job.weights, ...job.notes].filter(Boolean).join("; ");
  end(item, "done", `${job.result}, ${inWords(result.size)}`);
}

/** Sends a file; XMLHttpRequest, because fetch does not say how much is sent. A full queue is asked again. */
async function uploaded(item) {
  for (;;) {
    const request = new XMLHttpRequest();
    await new Promise((done, failed) => {
      request.open("POST", `api/jobs?${item.query}`);
      for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
      request.upload.onprogress = (sent) => show(item, `sends ${inWords(sent.loaded)} of ${inWords(sent.total)}`);
      request.onload = done;
      request.onerror = () => failed(new Error("the server cannot be reached"));
      request.onabort = () => failed(new Error("cancelled"));
      item.stop.signal.addEventListener("abort", () => request.abort());
      request.send(item.file);
    });
    if (request.status === 201) return JSON.parse(request.responseText);
    if (request.status !== 503) throw new Error(errorOf(request));
    show(item, "waits for the server, whose queue is full");
    await new Promise((wake) => setTimeout(wake, 3000));
    if (item.state !== "there") throw new Error("cancelled");
  }
}

function errorOf(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return `the server answered ${request.status}`;
  }
}

function forget(item) {
  if (item.id) fetch(`api/jobs/${item.id}`, { method: "DELETE", headers: headers(), keepalive: true });
  item.id = null;
}

function cancel(item) {
  end(item, "cancelled", "cancelled");
  item.stop.abort();
  forget(item);
}

// What is shown

function rowOf(item) {
  const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
  const row = make("li", "job");
  const picture = Object.assign(make("img", ""), { alt: "", src: URL.createObjectURL(item.file) });
  picture.onload = () => URL.revokeObjectURL(picture.src);
  picture.onerror = () => (picture.style.visibility = "hidden");
  const view = { row, what: make("div", "what"), bar: make("progress", ""), notes: make("div", "notes") };
  view.bar.max = 1;
  view.bar.setAttribute("aria-label", `Progress of ${item.file.name}`);
  view.stop = Object.assign(make("button", "act", "Cancel"), { type: "button", onclick: () => cancel(item) });
  view.stop.setAttribute("aria-label", `Cancel ${item.file.name}`);
  view.save = Object.assign(make("a", "act save", "Save"), { hidden: true });
  row.append(picture, make("div", "name", item.file.name), view.what, view.bar, view.notes, view.stop, view.save);
  return view;
}

function show(item, what, progress = null) {
  item.view.what.textContent = what;
  if (progress === null) item.view.bar.removeAttribute("value");
  else item.view.bar.value = progress;
}

function end(item, state, what) {
  const { row, bar, stop, save } = item.view;
  const hadFocus = document.activeElement === stop;
  item.state = state;
  row.classList.add(state);
  show(item, what);
  bar.hidden = stop.hidden = true;
  save.hidden = state !== "done";
  if (hadFocus) (state === "done" ? save : $("files")).focus();
  tell();
  next();
}

function tell() {
  const count = (...states) => items.filter((one) => states.includes(one.state)).length;
  const parts = [[count("here", "there"), "to do"], [count("done"), "done"], [count("failed"), "failed"], [count("cancelled"), "cancelled"]];
  $("status").textContent = parts.filter(([number]) => number).map(([number, word]) => `${number} ${word}`).join(", ");
  $("all").hidden = !items.length;
  $("save").hidden = count("done") < 2;
}

function inWords(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function timeLeft(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// Ways in

/** The files of a drop, those of folders too: hidden ones and what cannot be read are left out there. */
async function dropped(data) {
  const entries = [...data.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((one) => one.isDirectory)) return [...data.files];
  const found = [];
  for (const entry of entries) await collect(entry, found, false);
  return found;
}

async function collect(entry, found, inside) {
  if (entry.isFile) {
    const suffix = entry.name.slice(entry.name.lastIndexOf(".")).toLowerCase();
    const wanted = !inside || (choices.reads.includes(suffix) && !entry.name.startsWith("."));
    if (wanted) found.push(await new Promise((done, failed) => entry.file(done, failed)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await collect(one, found, true);
  }
}

function listen() {
  $("files").onchange = () => {
    add($("files").files);
    $("files").value = "";
  };
  $("model").onchange = $("weights").onchange = fillScales;
  $("strength").oninput = () => (document.querySelector("output").value = Number($("strength").value).toFixed(2));
  $("options").onsubmit = (event) => event.preventDefault();
  $("save").onclick = () => items.filter((one) => one.state === "done").forEach((one) => one.view.save.click());
  $("clear").onclick = () => {
    for (const item of items.splice(0)) {
      if (["here", "there"].includes(item.state)) cancel(item);
      URL.revokeObjectURL(item.view.save.href);
      item.view.row.remove();
    }
    tell();
  };
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", kind === "dragover");
    });
  }
  document.addEventListener("drop", async (event) => add(await dropped(event.dataTransfer)));
  document.addEventListener("paste", (event) => add(event.clipboardData.files));
  addEventListener("pagehide", () => items.forEach(forget));
}

try {
  choices = await (await ask("api/options")).json();
  fillChoices();
  listen();
} catch (error) {
  $("status").textContent = error.message;
  $("status").setAttribute("role", "alert");
}
