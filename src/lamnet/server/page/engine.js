// The engine of `lamnet app`: files go to its server and come back through the HTTP interface that docs/http.md describes.

import { Whole } from "./whole.js";
import { size } from "./words.js";

const AT_ONCE = 3; // files that this page has at the server, so that others get their turn
const NOT_YET = 3000, SOON = 500; // ms until the server is asked again, where its queue is full, and how far a job is
const UNREACHABLE = "the server cannot be reached";
const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
const token = takeToken();
const jobs = new Set(); // at the server, by their ids
let limit = Infinity;

export const words = {
  promise: isHere ? "Your pictures stay on this machine." : `Your pictures go to ${location.hostname} and nowhere else.`,
  about: `All work is done by lamnet on ${isHere ? "this machine" : location.hostname}, which keeps nothing once you have the result.`,
  unseen: "This browser cannot show this file. It can be enlarged and saved all the same.",
};
export const hints = { best: "A larger network where there is one for the picture, about six times slower." };
export const depends = ["scale", "weights", "strength", "best", "format"];

/** The token comes behind the # of the address, which is cleaned of it, and outlives a reload of this tab alone. */
function takeToken() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem("token");
}

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

async function ask(path, options = {}) {
  const answer = await fetch(path, { headers: headers(), ...options }).catch((error) => {
    throw options.signal?.aborted ? error : new Error(UNREACHABLE);
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`);
  return answer;
}

/** What the server offers. */
export async function ready() {
  const { models, reads, writes, limits } = await (await ask("api/options")).json();
  const variants = Object.values(models), clean = new Set(variants.flatMap((one) => one.clean));
  limit = limits.bytes;
  addEventListener("pagehide", () => jobs.forEach(forget));
  const suffix = (name) => name.slice(name.lastIndexOf(".")).toLowerCase();
  return {
    atOnce: AT_ONCE, scales: [...(variants.some((one) => one.photo.length) ? [1] : []), ...clean], accept: reads.join(","),
    kinds: reads.includes(".mp4") ? "Pictures of most formats, and videos" : "Pictures of most formats",
    formats: [["", "as the source"], ...writes.map((one) => [one, one.toUpperCase()])],
    wanted: (name) => reads.includes(suffix(name)),
  };
}

/** Works on a file until it is done or the signal says stop; rejects with a reason for people. */
export async function enlarge({ file, name }, options, signal, report) {
  if (file.size > limit) throw new Error(`expected a file of at most ${size(limit)}, got ${size(file.size)}`);
  let job = await uploaded(file, queryOf(name, options), signal, report);
  const { id } = job;
  jobs.add(id);
  signal.addEventListener("abort", () => forget(id));
  if (signal.aborted) return forget(id);
  while (job.state === "waiting" || job.state === "running") {
    report(progressOf(job));
    await new Promise((wake) => setTimeout(wake, SOON));
    job = await (await ask(`api/jobs/${id}`, { signal })).json();
  }
  if (job.state === "failed") {
    forget(id);
    throw new Error(job.error);
  }
  report({ doing: `fetches ${size(job.bytes)}`, done: null, left: null });
  const blob = await (await ask(`api/jobs/${id}/result`, { signal })).blob();
  jobs.delete(id);
  report({ result: await Whole.of(blob, job.result), facts: [job.weights, ...job.notes, `${job.result}, ${size(blob.size)}`].filter(Boolean) });
}

/** The result as the server made it. */
export const save = async ({ result }) => result;

function queryOf(name, { scale, weights, strength, best, format }) {
  const query = new URLSearchParams({ name, scale });
  if (!best) query.set("model", "tiny");
  if (format) query.set("format", format);
  if (weights === "mix") query.set("strength", strength);
  else if (weights !== "auto") query.set("weights", weights);
  return query;
}

function progressOf({ state, position, progress, seconds_left }) {
  if (state === "running") return { doing: null, done: progress, left: seconds_left };
  return { doing: position > 1 ? `waits, ${position - 1} before it` : "waits", done: null, left: null };
}

/** Sends a file; a full queue is asked again. */
async function uploaded(file, query, signal, report) {
  for (;;) {
    signal.throwIfAborted();
    const { status, response } = await sent(file, query, signal, report);
    if (status === 201) return response;
    if (status !== 503) throw new Error(response?.error ?? `the server answered ${status}`);
    report({ doing: "waits for the server, whose queue is full", done: null, left: null });
    await new Promise((wake) => setTimeout(wake, NOT_YET));
  }
}

/** By XMLHttpRequest, because fetch does not say how much is sent. */
function sent(file, query, signal, report) {
  const request = new XMLHttpRequest();
  request.open("POST", `api/jobs?${query}`);
  request.responseType = "json";
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  request.upload.onprogress = ({ loaded, total }) => report({ doing: `sends ${size(loaded)} of ${size(total)}`, done: null, left: null });
  signal.addEventListener("abort", () => request.abort());
  return new Promise((resolve, reject) => {
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Error(UNREACHABLE));
    request.onabort = () => reject(signal.reason);
    request.send(file);
  });
}

function forget(id) {
  fetch(`api/jobs/${id}`, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {}); // it is forgotten in time
  jobs.delete(id);
}
