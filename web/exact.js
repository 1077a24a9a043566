// A picture through a network part by part, layer by layer, with the exchange means of all of it, as upscale/exact.py does.
// Between layers the features lie in files that belong to this page's own host and are removed in the end.

import { EDGE, grown, within } from "./plan.js";

const VISIBLE = 10 ** -6.6; // mean square error from which tiles by themselves are not good enough
const PIECE = 128; // pixels a side of the pieces that tell

/** Whether pieces of a picture come out visibly different with each other's exchange means. `read` gives a box as floats. */
export function meansMatter(network, read, pictureHeight, pictureWidth) {
  const height = Math.min(PIECE, pictureHeight), width = Math.min(PIECE, pictureWidth);
  const places = [[0.1, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.9], [0.5, 0.5]];
  const pieces = places.map(([y, x]) =>
    read({ top: Math.floor((pictureHeight - height) * y), left: Math.floor((pictureWidth - width) * x), height, width }));
  const own = pieces.map((piece) => network.runWithMeans(piece, height, width));
  const common = own[0].means.map((_, i) => own.reduce((sum, { means }) => sum + means[i], 0) / own.length);
  return pieces.some((piece, i) => difference(own[i].out, network.runWith(common, piece, height, width)) > VISIBLE);
}

function difference(a, b) {
  const clipped = (value) => Math.min(Math.max(value, 0), 1);
  return a.reduce((sum, value, i) => sum + (clipped(value) - clipped(b[i])) ** 2, 0) / a.length;
}

/** (height + 2*EDGE, width + 2*EDGE, channels) floats in a file. */
class Features {
  constructor(file, width, channels) {
    Object.assign(this, { file, channels, pitch: width + 2 * EDGE });
  }

  offset = (row, column) => 4 * this.channels * ((row + EDGE) * this.pitch + column + EDGE);

  read({ top, left, height, width }) {
    const values = new Float32Array(height * width * this.channels), line = width * this.channels;
    for (let y = 0; y < height; y++) this.file.read(values.subarray(y * line, (y + 1) * line), { at: this.offset(top + y, left) });
    return values;
  }

  write({ top, left, height, width }, values) {
    const line = width * this.channels;
    for (let y = 0; y < height; y++) this.file.write(values.subarray(y * line, (y + 1) * line), { at: this.offset(top + y, left) });
  }
}

/** The files of features, those of an earlier picture that was cancelled removed. Throws where the browser has no room. */
export async function scratch(count, bytes) {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  if (count * bytes > quota - usage) throw new Error(`expected ${Math.ceil((count * bytes) / 1e6)} MB of the browser's storage`);
  const root = await navigator.storage.getDirectory();
  for await (const name of root.keys()) await root.removeEntry(name).catch(() => {}); // another tab's is in use
  const names = Array.from({ length: count }, () => crypto.randomUUID());
  const files = await Promise.all(names.map(async (name) => (await root.getFileHandle(name, { create: true })).createSyncAccessHandle()));
  const close = async () => {
    for (const file of files) file.close();
    for (const name of names) await root.removeEntry(name);
  };
  return { files, close };
}

/** One plane of a picture on its way; `read` gives a box of it as floats (height, width, 3), `parts` are those of its plan. */
export class Exact {
  constructor(network, read, height, width, parts, files) {
    Object.assign(this, { network, read, height, width, parts });
    [this.deep, this.one, this.other] = files.map((file) => new Features(file, width, network.config.channels));
  }

  /** Runs all blocks, stopping after every part. */
  *prepare() {
    const { groups, blocks } = this.network.config;
    for (const { owns } of this.parts) yield this.deep.write(owns, this.shallow(owns));
    for (let group = 0; group < groups; group++) {
      let [source, target] = [this.deep, this.one];
      for (let number = group * blocks; number < (group + 1) * blocks; number++) {
        yield* this.block(number, source, target);
        [source, target] = [target, target === this.one ? this.other : this.one];
      }
      for (const { owns } of this.parts) {
        const { height, width } = owns;
        yield this.deep.write(owns, this.network.endGroup(group, this.deep.read(owns), source.read(owns), height, width));
      }
    }
  }

  /** How often `prepare` stops. */
  get steps() {
    const { groups, blocks } = this.network.config;
    return this.parts.length * (1 + groups * (2 * blocks + 1));
  }

  *block(number, source, target) {
    const { reach, config } = this.network, total = new Float64Array(config.channels);
    const pixels = (this.height + 2 * EDGE) * (this.width + 2 * EDGE);
    for (const { owns } of this.parts) {
      const outer = this.outer(owns, reach);
      const own = this.network.blockMeans(number, source.read(outer), outer.height, outer.width, within(owns, outer));
      yield own.forEach((mean, i) => (total[i] += mean * owns.height * owns.width));
    }
    const means = Float32Array.from(total, (sum) => sum / pixels);
    for (const { owns } of this.parts) {
      const outer = this.outer(owns, reach + 1);
      const out = this.network.block(number, source.read(outer), outer.height, outer.width, means);
      yield target.write(owns, cropped(out, outer, owns, config.channels));
    }
  }

  /** The network's output for a box, once it is prepared. */
  run(box) {
    const outer = this.outer(box, 2), { scale } = this.network.config;
    const out = this.network.reconstruct(this.shallow(outer), this.deep.read(outer), outer.height, outer.width);
    const enlarged = ({ top, left, height, width }) => ({ top: top * scale, left: left * scale, height: height * scale, width: width * scale });
    return cropped(out, enlarged(outer), enlarged(box), 3);
  }

  shallow(box) {
    const outer = this.outer(box, 1);
    return cropped(this.network.shallow(this.read(outer), outer.height, outer.width), outer, box, this.network.config.channels);
  }

  outer = (box, by) => grown(box, by, this.height, this.width, EDGE);
}

function cropped(values, outer, box, channels) {
  const { top, left } = within(box, outer), out = new Float32Array(box.height * box.width * channels), line = box.width * channels;
  for (let y = 0; y < box.height; y++) {
    const from = ((top + y) * outer.width + left) * channels;
    out.set(values.subarray(from, from + line), y * line);
  }
  return out;
}
