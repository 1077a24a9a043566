// The engine of a page without a server: a picture goes through a worker in this browser.

import { heldWorker } from "./held.js";
import { Result } from "./result.js";

const MEMORY = 2.5e9, LITTLE_MEMORY = 6e8; // bytes that a picture may take: the command's own most, and for small machines
const FORMATS = [["image/png", "PNG", "png"], ["image/jpeg", "JPEG", "jpg"], ["image/webp", "WebP", "webp"]];
const SURE = 0.03, LONG = 10; // share of the work by which the time left is told; seconds after which a tenth of it will do

export const words = {
  promise: "Your pictures stay on this machine.",
  about: "All work is done by this page. It sends nothing, and works without a network.",
  unseen: "This browser cannot read this file.",
};
export const hints = { best: "A larger network: 2 MB more to load, about six times slower." };
export const depends = ["scale", "weights", "strength", "best"];

/** What the page offers. From now on it is kept, to work without a network. */
export async function ready() {
  navigator.serviceWorker?.register("sw.js");
  document.head.append(Object.assign(document.createElement("link"), { rel: "manifest", href: "manifest.webmanifest" }));
  return {
    atOnce: 1, scales: [1, 2, 3, 4], formats: FORMATS, accept: "image/*", kinds: "JPEG, PNG, WebP, AVIF, GIF, BMP",
    wanted: (name) => /\.(jpe?g|png|webp|gif|bmp|avif|hei[cf])$/i.test(name),
  };
}

/** Works on a picture until it is done or the signal says stop; rejects with a reason for people. */
export function enlarge({ file }, options, signal, report) {
  keepOffline();
  report({ doing: "being read", done: null, left: null });
  const worker = heldWorker("worker.js");
  const work = new Promise((resolve, reject) => {
    const on = eventsOf(options, report);
    worker.onmessage = ({ data }) => {
      if (data.kind === "failed") return reject(new Error(data.reason));
      on[data.kind](data);
      if (data.kind === "done") resolve();
    };
    worker.onerror = () => reject(new Error("the worker could not be started"));
    signal.addEventListener("abort", () => reject(signal.reason));
    worker.postMessage({ file, options: { ...options, memory: memoryHere() } });
  });
  return work.finally(() => worker.terminate());
}

function eventsOf({ scale }, report) {
  let result = null, started = 0, facts = [];
  const leftAt = estimator();
  const seconds = () => (performance.now() - started) / 1000;
  return {
    opened({ width, height, animated, choice }) {
      started = performance.now();
      result = new Result(width * scale, height * scale);
      facts = animated ? ["the first picture of an animation"] : [];
      if (choice) facts.push(`${choice.variant} weights: ${choice.reason}`);
      report({ result, facts, doing: null, done: 0 });
    },
    progress({ done }) {
      report({ done, left: leftAt(done) });
    },
    band(band) {
      result.add(band);
      report({ rows: true });
    },
    done({ threads }) {
      const taken = seconds() < 10 ? seconds().toFixed(1) : Math.round(seconds());
      report({ facts: [...facts, `${taken} s on ${threads === 1 ? "one thread" : `${threads} threads`}`] });
    },
  };
}

/** Tells the seconds left at a share of the work, by its pace since its first; null as long as that is too little. */
function estimator() {
  let first = null;
  return (done) => {
    const now = performance.now() / 1000;
    if (done > 0) first ??= { done, now };
    const taken = first ? now - first.now : 0, share = first ? done - first.done : 0;
    return share > (taken > LONG ? SURE / 10 : SURE) ? (taken * (1 - done)) / share : null;
  };
}

function memoryHere() {
  const isSmall = (navigator.deviceMemory ?? 8) < 8 || /Android|iPhone|iPad/.test(navigator.userAgent);
  return isSmall ? LITTLE_MEMORY : MEMORY;
}

/** The result as a file of a type of FORMATS. */
export async function save({ name, result, options }, type) {
  const { width, height, channels, bands } = result, writer = heldWorker("save.js");
  const { blob, reason } = await new Promise((resolve) => {
    writer.onmessage = ({ data }) => resolve(data);
    writer.onerror = () => resolve({ reason: "the file could not be written" });
    writer.postMessage({ result: { width, height, channels, bands }, type });
  });
  writer.terminate();
  if (!blob) throw new Error(reason);
  const suffix = FORMATS.find(([one]) => one === type)[2];
  return { blob, name: `${name.replace(/\.[^.]*$/, "")}_x${options.scale}.${suffix}` };
}

/** From the first picture on, all that the page may need is kept. */
async function keepOffline() {
  if (navigator.connection?.saveData || !navigator.serviceWorker) return;
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ keep: crossOriginIsolated ? "core-threads.wasm" : "core.wasm" });
}
