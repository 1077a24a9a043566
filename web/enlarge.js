// A picture through a network, part by part, as upscale/bands.py does.

import { plan, rowsOf } from "./plan.js";
import { bytes, colours, floats, kindOf, place, placeWithAlpha, planes } from "./raster.js";
import { Exact, meansMatter, scratch } from "./exact.js";
import { Reducer } from "./reduce.js";
import { NoMemory } from "./core.js";

const ROOM = 96 << 20; // bytes for what a run needs beside its images
const LAYERS = 0.9; // of the work, where it is done layer by layer before the first band

/**
 * Yields {top, height, rows, channels, width} from top to bottom of the result `scale` times as wide and high.
 *
 * onPart(from, to, tasks): which share of the work comes next, and of how many tasks.
 */
export async function* enlarge(network, picture, scale, memory, onPart) {
  const { width, height } = picture, kind = kindOf(picture);
  const whole = planFor(network, height, width, memory, kind);
  if (whole.tile !== null && meansMatter(network, (box) => (kind.alpha ? planes(picture, box).colour : floats(colours(picture, box))), height, width))
    return yield* layerByLayer(network, picture, kind, whole, scale, onPart);
  yield* bands(network, picture, kind, rowsOf(whole), scale, onPart, 0, (plane, { sees }) => network.run(plane, sees.height, sees.width));
}

async function* layerByLayer(network, picture, kind, whole, scale, onPart) {
  const { width, height } = picture, lines = rowsOf(whole, network.reach + 1), count = kind.alpha ? 2 : 1;
  const { files, close } = await scratch(3 * count, 4 * network.config.channels * (height + 12) * (width + 12));
  try {
    const readers = kind.alpha
      ? [(box) => planes(picture, box).colour, (box) => planes(picture, box).alpha]
      : [(box) => floats(colours(picture, box))];
    const layers = readers.map((read, i) => new Exact(network, read, height, width, lines.flat(), files.slice(3 * i, 3 * i + 3)));
    let step = 0;
    for (const one of layers)
      for (const _ of one.prepare()) onPart((LAYERS * step) / (count * one.steps), (LAYERS * ++step) / (count * one.steps), Infinity);
    yield* bands(network, picture, kind, lines, scale, onPart, LAYERS, (_, { sees }, number) => layers[number].run(sees));
  } finally {
    await close();
  }
}

function* bands(network, picture, kind, lines, scale, onPart, before, run) {
  const { width, height } = picture, channels = kind.alpha ? 4 : 3, own = network.config.scale;
  const work = lines.flat().reduce((sum, { sees }) => sum + sees.height * sees.width, 0) / (1 - before);
  const toWidth = width * scale, toHeight = height * scale;
  const reducer = own === scale ? null : new Reducer(width * own, height * own, channels, toWidth, toHeight);
  let top = 0;
  for (const [number, parts] of lines.entries()) {
    const rows = new Uint8Array(parts[0].height * own * width * own * channels);
    for (const part of parts) {
      onPart(before, (before += (part.sees.height * part.sees.width) / work), network.tasks * (kind.alpha ? 2 : 1));
      fill(picture, kind, part, own, rows, width * own, run);
    }
    const out = reducer ? reducer.push(rows, number === lines.length - 1) : rows;
    const count = out.length / (toWidth * channels);
    yield { top, height: count, rows: out, channels, width: toWidth };
    top += count;
  }
}

/** The largest parts that memory holds, which is tried. */
function planFor(network, height, width, memory, { alpha }) {
  for (let smaller = 0; ; smaller++) {
    const one = plan(network.config, height, width, memory, smaller);
    const most = rowsOf(one).flat().reduce((most, { sees }) => Math.max(most, sees.height * sees.width), 0);
    try {
      network.reserve(most, alpha ? 4 : 1, ROOM);
      return one;
    } catch (error) {
      if (!(error instanceof NoMemory) || one.isLast) throw error;
    }
  }
}

function fill(picture, { grey, alpha }, part, scale, rows, width, run) {
  if (!alpha) return place(bytes(run(colours(picture, part.sees), part, 0)), part, scale, rows, width, grey);
  const plane = planes(picture, part.sees);
  placeWithAlpha(run(plane.colour, part, 0), run(plane.alpha, part, 1), plane.alpha, part, scale, rows, width, grey);
}
