// The worker: one picture from its file to its result, which the page gets in bands.

import { alone, shared } from "./core.js";
import { decide, isKnown } from "./choice.js";
import { decode } from "./decode.js";
import { enlarge } from "./enlarge.js";
import { heldWorker } from "./held.js";
import { measure } from "./quality.js";
import { mixed, select } from "./networks.js";

const MOST_THREADS = 16, PREVIEW = 16e6; // pixels of a preview
const EVERY = 100; // ms between two reports

onmessage = async ({ data: { file, options } }) => {
  try {
    await work(file, options);
  } catch (error) {
    postMessage({ kind: "failed", reason: error.constructor.name === "NoMemory" ? "there is not enough memory" : error.message });
  }
};

async function work(file, options) {
  const { picture, facts } = await decode(file);
  const networks = await (await got("networks.json")).json();
  const chosen = chooseFor(picture, facts, select(networks, options));
  postMessage({ kind: "opened", width: picture.width, height: picture.height, animated: facts.animated, choice: chosen.choice });
  const report = reporter();
  const [core, weights] = await Promise.all([instance(report.onTask), weightsOf(chosen)]);
  const network = core.network(chosen.config, weights);
  const preview = Math.min(1, Math.sqrt(PREVIEW / (picture.width * picture.height)) / options.scale);
  for await (const band of enlarge(network, picture, options.scale, options.memory, report.onPart)) await hand(band, preview);
  postMessage({ kind: "done", threads: threadsHere() });
}

function chooseFor(picture, facts, { clean, photo, strength }) {
  if (strength !== undefined) return { config: clean, files: [clean, photo], strength };
  if (!clean || !photo) return { config: clean ?? photo, files: [clean ?? photo] };
  const choice = decide(facts, isKnown(facts) ? null : measure(picture, facts.lossy));
  const config = choice.variant === "photo" ? photo : clean;
  return { config, files: [config], choice };
}

async function weightsOf({ files, strength }) {
  const [one, other] = await Promise.all(files.map(numbersOf));
  return other ? mixed(one, other, strength) : one;
}

/** Weights lie packed, because few hosts pack them on the way. */
async function numbersOf({ file }) {
  const unpacked = (await got(file)).body.pipeThrough(new DecompressionStream("deflate"));
  return new Float32Array(await new Response(unpacked).arrayBuffer());
}

async function got(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} cannot be loaded (${response.status})`);
  return response;
}

const threadsHere = () => (self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1);

async function instance(onTask) {
  const threads = threadsHere();
  const module = await WebAssembly.compile(await (await got(threads > 1 ? "core-threads.wasm" : "core.wasm")).arrayBuffer());
  if (threads === 1) return alone(module, onTask);
  return shared(module, threads - 1, startHelper, onTask);
}

const startHelper = (message) => new Promise((resolve, reject) => {
  const helper = heldWorker("helper.js");
  helper.onmessage = resolve;
  helper.onerror = () => reject(new Error("helpers cannot be started"));
  helper.postMessage(message);
});

/** Tells the page how much is done, now and then: parts of the picture, and tasks within one. */
function reporter() {
  let from = 0, to = 0, tasks = 0, all = Infinity, last = 0;
  return {
    onPart(before, after, count) { from = before, to = after, tasks = 0, all = count; },
    onTask() {
      tasks++;
      const now = performance.now();
      if (now - last < EVERY) return;
      last = now;
      postMessage({ kind: "progress", done: from + (to - from) * Math.min(1, tasks / all) });
    },
  };
}

/** Hands a band to the page: its bytes in a Blob, which browsers keep out of memory where it is large, and a preview. */
async function hand({ top, height, rows, channels, width }, preview) {
  if (!height) return;
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < rows.length; from += channels, to += 4) {
    pixels.data[to] = rows[from], pixels.data[to + 1] = rows[from + 1], pixels.data[to + 2] = rows[from + 2];
    pixels.data[to + 3] = channels === 4 ? rows[from + 3] : 255;
  }
  const small = { resizeWidth: Math.max(1, Math.round(width * preview)), resizeQuality: "medium" };
  small.resizeHeight = Math.max(1, Math.round((top + height) * preview) - Math.round(top * preview));
  const image = await createImageBitmap(pixels, preview < 1 ? small : {});
  postMessage({ kind: "band", top, height, channels, blob: new Blob([rows]), image }, [image]);
}
