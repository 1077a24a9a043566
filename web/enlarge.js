// A picture through a network, part by part, as upscale/bands.py does.

import { plan, rowsOf } from "./plan.js";
import { colours, kindOf, place, placeWithAlpha, planes } from "./raster.js";
import { Reducer } from "./reduce.js";
import { NoMemory } from "./core.js";

const ROOM = 96 << 20; // bytes for what a run needs beside its images

/** Yields {top, height, rows, channels, done} from top to bottom of the result `scale` times as wide and high. */
export function* enlarge(network, picture, scale, memory, onPart = () => {}) {
  const { width, height } = picture, kind = kindOf(picture), channels = kind.alpha ? 4 : 3, own = network.config.scale;
  const lines = rowsOf(planFor(network, height, width, memory, kind));
  const work = lines.flat().reduce((sum, { sees }) => sum + sees.height * sees.width, 0);
  const toWidth = width * scale, toHeight = height * scale;
  const reducer = own === scale ? null : new Reducer(width * own, height * own, channels, toWidth, toHeight);
  let top = 0, before = 0;
  for (const [number, parts] of lines.entries()) {
    const rows = new Uint8Array(parts[0].height * own * width * own * channels);
    for (const part of parts) {
      const share = (part.sees.height * part.sees.width) / work;
      onPart(before, (before += share));
      fill(network, picture, kind, part, rows, width * own, channels);
    }
    const out = reducer ? reducer.push(rows, number === lines.length - 1) : rows;
    const count = out.length / (toWidth * channels);
    yield { top, height: count, rows: out, channels, width: toWidth };
    top += count;
  }
}

/** How many runs of the network a part takes. */
export const runsOf = (picture) => (kindOf(picture).alpha ? 2 : 1);

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

function fill(network, picture, { grey, alpha }, part, rows, width, channels) {
  const { sees } = part, { scale } = network.config, run = (pixels) => network.run(pixels, sees.height, sees.width);
  if (!alpha) return place(run(colours(picture, sees)), part, scale, rows, width, channels, grey);
  const plane = planes(picture, sees);
  return placeWithAlpha(run(plane.colour), run(plane.alpha), plane.alpha, part, scale, rows, width, grey);
}
