// The core: a network as a module of WebAssembly, which tools/make_web.py builds from the kernels in C.

export const FLOAT32 = 0, UINT8 = 3; // as csrc/network.h counts them
const STACK = 1 << 20; // bytes of a helper's
const ROUND = 0, BUSY = 1, BODY = 2, ARGUMENT = 3, WANTED = 4; // of the words that workers share
const NO_MEMORY = 1;

export class NoMemory extends Error {}

/** Makes an instance for one worker. `onTask` is called at the start of every task. */
export async function alone(module, onTask = () => {}) {
  const page = { begin_task: onTask, end_task() {} };
  const { exports } = await WebAssembly.instantiate(module, { page });
  exports._initialize();
  exports.page_set_threads(1);
  return new Core(exports, exports.memory);
}

/**
 * Makes an instance whose tasks `helpers` workers share. `start(message)` starts one, which runs `help` on the message, and
 * resolves when that has called `onReady`: while this worker waits for them, no other can be started.
 */
export async function shared(module, helpers, start, onTask = () => {}) {
  const memory = sharedMemory();
  let words;
  const page = {
    begin_task(body, argument, wanted) {
      onTask();
      words[BODY] = body, words[ARGUMENT] = argument, words[WANTED] = wanted, words[BUSY] = helpers;
      Atomics.add(words, ROUND, 1);
      Atomics.notify(words, ROUND);
    },
    end_task() {
      for (let busy; (busy = Atomics.load(words, BUSY)) > 0;) Atomics.wait(words, BUSY, busy);
    },
  };
  const { exports } = await WebAssembly.instantiate(module, { page, env: { memory } });
  exports._initialize();
  const core = new Core(exports, memory);
  const at = core.allocate(64);
  words = new Int32Array(memory.buffer, at, 16);
  words.fill(0);
  const messages = Array.from({ length: helpers }, (_, number) => ({ module, memory, at, number, stack: core.allocate(STACK) + STACK }));
  await Promise.all(messages.map(start));
  exports.page_set_threads(helpers + 1);
  return core;
}

/** As much as 32 bits reach, or as the machine lets a page reserve. */
function sharedMemory() {
  for (let maximum = 65535; ; maximum >>= 1) // pages of 64 KiB
    try {
      return new WebAssembly.Memory({ initial: 64, maximum, shared: true });
    } catch (error) {
      if (maximum < 4096) throw error;
    }
}

/** Takes part in the tasks of another worker's instance, for ever. */
export async function help({ module, memory, at, number, stack }, onReady) {
  const page = { begin_task() {}, end_task() {} };
  const { exports } = await WebAssembly.instantiate(module, { page, env: { memory } });
  exports.__stack_pointer.value = stack & ~15;
  const words = new Int32Array(memory.buffer, at, 16);
  onReady();
  for (let seen = 0; ; seen++) {
    while (Atomics.load(words, ROUND) === seen) Atomics.wait(words, ROUND, seen);
    if (number + 1 < words[WANTED]) exports.__indirect_function_table.get(words[BODY])(words[ARGUMENT]);
    if (Atomics.sub(words, BUSY, 1) === 1) Atomics.notify(words, BUSY);
  }
}

export class Core {
  constructor(exports, memory) {
    this.exports = exports;
    this.memory = memory;
  }

  /** The address of so many bytes. Throws NoMemory. */
  allocate(bytes) {
    const at = this.exports.page_allocate(bytes);
    if (!at) throw new NoMemory();
    return at >>> 0;
  }

  /** A network by its entry of networks.json and its weights, a Float32Array. */
  network(config, weights) {
    const { scale, channels, groups, blocks, heads, hidden, window } = config;
    const numbers = [scale, channels, groups, blocks, heads, hidden, window.starts.length, ...window.starts, ...window.lengths];
    const at = this.allocate(4 * (numbers.length + weights.length));
    new Int32Array(this.memory.buffer, at, numbers.length).set(numbers);
    new Float32Array(this.memory.buffer, at + 4 * numbers.length, weights.length).set(weights);
    const handle = this.exports.page_create(at, at + 4 * numbers.length, weights.length);
    this.exports.page_free(at);
    if (!handle) throw new Error("weights: expected those of the network, found others");
    return new Network(this, handle, config);
  }
}

export class Network {
  constructor(core, handle, config) {
    this.core = core;
    this.handle = handle;
    this.config = config;
  }

  /** Tasks of a run, for progress. */
  get tasks() {
    const { groups, blocks } = this.config;
    return 3 + groups * (1 + 3 * blocks);
  }

  /** Pixels that a block's branches see to each side. */
  get reach() {
    const { starts, lengths } = this.config.window;
    return Math.max(0, ...starts.map((start, k) => Math.max(-start, start + lengths[k] - 1)));
  }

  /** Makes sure of memory for a run on so many pixels, whose numbers take `bytes` each, and `more`. Throws NoMemory. */
  reserve(pixels, bytes, more) {
    const { channels, scale } = this.config;
    const need = pixels * (5 * 4 * channels + 3 * bytes * (1 + scale ** 2)) + more;
    if (need > 3.9e9) throw new NoMemory();
    this.core.exports.page_free(this.core.allocate(need));
  }

  /** Enlarges pixels (height, width, 3), a Uint8Array of 0..255 or a Float32Array of 0..1, into an array of the same kind. */
  run(pixels, height, width) {
    const dtype = pixels.BYTES_PER_ELEMENT === 1 ? UINT8 : FLOAT32, results = pixels.length * this.config.scale ** 2;
    return this.call([pixels], results, pixels.constructor, (at, out) =>
      this.core.exports.page_run(this.handle, height, width, dtype, at, dtype, out, 0, 0));
  }

  /** Floats enlarged, with these exchange means of all blocks instead of the picture's own. */
  runWith(means, pixels, height, width) {
    return this.call([pixels, means], pixels.length * this.config.scale ** 2, Float32Array, (at, replay, out) =>
      this.core.exports.page_run(this.handle, height, width, FLOAT32, at, FLOAT32, out, replay, 0));
  }

  /** The exchange means of floats, and how they are enlarged with them. */
  runWithMeans(pixels, height, width) {
    const { groups, blocks, channels, scale } = this.config, count = groups * blocks * channels;
    const both = this.call([pixels], count + pixels.length * scale ** 2, Float32Array, (at, to) =>
      this.core.exports.page_run(this.handle, height, width, FLOAT32, at, FLOAT32, to + 4 * count, 0, to));
    return { means: both.subarray(0, count), out: both.subarray(count) };
  }

  /** The features that the groups start from, (height, width, channels); reach 1 pixel. */
  shallow(pixels, height, width) {
    return this.call([pixels], height * width * this.config.channels, Float32Array, (at, out) =>
      this.core.exports.page_shallow(this.handle, height, width, at, out));
  }

  /** The exchange means of a block over the inner box of its input, (2, channels / 2). */
  blockMeans(number, x, height, width, { top, left, height: rows, width: columns }) {
    return this.call([x], this.config.channels, Float32Array, (at, out) =>
      this.core.exports.page_block_means(this.handle, height, width, number, at, out, top, left, rows, columns));
  }

  /** x behind a block with these exchange means; reach window.reach + 1 pixels. */
  block(number, x, height, width, means) {
    return this.call([x, means], x.length, Float32Array, (at, replay, out) =>
      this.core.exports.page_block(this.handle, height, width, number, at, out, replay));
  }

  /** The features behind a group, by those before it and those behind its blocks. */
  endGroup(number, deep, y, height, width) {
    return this.call([y], deep, Float32Array, (at, out) =>
      this.core.exports.page_end_group(this.handle, height, width, number, at, out));
  }

  /** The result (scale*height, scale*width, 3) by the features before and behind the groups; reach 2 pixels. */
  reconstruct(shallow, deep, height, width) {
    return this.call([shallow, deep], 3 * height * width * this.config.scale ** 2, Float32Array, (before, behind, out) =>
      this.core.exports.page_reconstruct(this.handle, height, width, before, behind, out));
  }

  /** Calls an entry with the addresses of the inputs and of a result, which is so long or begins as an array. */
  call(inputs, result, Kind, entry) {
    const pad = (bytes) => Math.ceil(bytes / 64) * 64, length = result.length ?? result;
    const ends = inputs.map(((at) => (input) => (at += pad(input.byteLength)))(0)), start = ends.at(-1);
    const base = this.core.allocate(start + length * Kind.BYTES_PER_ELEMENT), { memory } = this.core;
    try {
      const places = inputs.map((input, i) => base + (ends[i - 1] ?? 0));
      inputs.forEach((input, i) => new input.constructor(memory.buffer, places[i], input.length).set(input));
      if (result.length) new Kind(memory.buffer, base + start, length).set(result);
      const code = entry(...places, base + start);
      if (code === NO_MEMORY) throw new NoMemory();
      if (code) throw new Error(`network: code ${code}`);
      return new Kind(memory.buffer, base + start, length).slice();
    } finally {
      this.core.exports.page_free(base);
    }
  }
}
