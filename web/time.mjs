// How long one thread takes under Node: `node web/time.mjs [FOLDER [SIZE [SCALE [WIDTH HEIGHT]]]]`, the page's folder first.
// Seconds of the processor, which other programs do not count into; V8's C++ threads compile at the first run.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { inflateSync } from "node:zlib";

const [folder = "build/web", size = "tiny", scale = 2, width = 320, height = 180] = process.argv.slice(2);
const base = pathToFileURL(`${folder}/`);
const { alone } = await import(new URL("core.js", base));
const read = (name) => readFileSync(new URL(name, base));

const started = performance.now();
const core = await alone(new WebAssembly.Module(read("core.wasm")));
const entry = JSON.parse(read("networks.json")).find((n) => n.size === size && n.scale === Number(scale) && n.variant === "clean");
const network = core.network(entry, new Float32Array(new Uint8Array(inflateSync(read(entry.file))).buffer));
console.log(`ready after ${(performance.now() - started).toFixed(0)} ms`);

const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7919) >> 3);
const seconds = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
for (let run = 1; run <= 5; run++) {
  const [wall, own] = [performance.now(), seconds()];
  network.run(pixels, Number(height), Number(width));
  console.log(`${size} x${scale}, ${width}x${height}: ${(seconds() - own).toFixed(2)} s, by the clock ${((performance.now() - wall) / 1e3).toFixed(2)} s`);
}
