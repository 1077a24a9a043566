// The plan for a picture, as upscale/plan.py makes it: whole where memory holds it, else tiles that see more than they own.

export const EDGE = 6; // pixels by which a picture is continued around it
const OVERLAP = 32;
const TILES = [2048, 1024, 768, 512, 384, 256, 192, 128, 64];
const BASE = 150e6, IMAGES = 6; // as upscale/core_engine.py counts them

/** A box is {top, left, height, width}; `by` more pixels on each side, as far as a picture reaches with `edge` around it. */
export function grown(box, by, height, width, edge = 0) {
  const top = Math.max(-edge, box.top - by), left = Math.max(-edge, box.left - by);
  const bottom = Math.min(height + edge, box.top + box.height + by), right = Math.min(width + edge, box.left + box.width + by);
  return { top, left, height: bottom - top, width: right - left };
}

/** A box as it lies in a larger one. */
export const within = (box, outer) => ({ ...box, top: box.top - outer.top, left: box.left - outer.left });

/** The largest parts that the command would take with so much memory, in bytes; `smaller` is how many steps below that. */
export function plan(config, height, width, memory, smaller = 0) {
  const sides = [null, ...TILES];
  const fits = sides.findIndex((tile) => need(config, height, width, tile) <= memory);
  const at = Math.min((fits < 0 ? sides.length : fits) + smaller, sides.length - 1);
  const tile = sides[at], isLast = at === sides.length - 1;
  return { height, width, tile: isWhole(height, width, tile) ? null : tile, isLast };
}

const isWhole = (height, width, tile) => tile === null || (height <= tile && width <= tile);

function need(config, height, width, tile) {
  const whole = isWhole(height, width, tile);
  const side = (size) => (whole ? size + 2 * EDGE : Math.min(size + 2 * EDGE, tile + 2 * OVERLAP));
  const rows = side(height), columns = side(width), square = config.scale ** 2;
  const network = 4 * (IMAGES * config.channels + 16 * square) * rows * columns;
  return BASE + network + 36 * square * (whole ? height : rows) * width;
}

/** The parts by rows: they cover every pixel once. Each has what the network `sees` for it, `overlap` more than it `owns`. */
export function rowsOf({ height, width, tile }, overlap = tile === null ? 0 : OVERLAP) {
  const part = (top, rows, left, columns) => {
    const box = { top, left, height: rows, width: columns }, owns = withEdge(box, height, width);
    return { ...box, owns, sees: grown(owns, overlap, height, width, EDGE) };
  };
  return cuts(height, tile).map(([top, rows]) => cuts(width, tile).map(([left, columns]) => part(top, rows, left, columns)));
}

function withEdge({ top, left, height, width }, ofHeight, ofWidth) {
  const above = top === 0 ? EDGE : 0, before = left === 0 ? EDGE : 0;
  const below = top + height === ofHeight ? EDGE : 0, behind = left + width === ofWidth ? EDGE : 0;
  return { top: top - above, left: left - before, height: height + above + below, width: width + before + behind };
}

function cuts(size, tile) {
  const count = tile === null ? 1 : Math.ceil(size / tile);
  const edges = Array.from({ length: count + 1 }, (_, i) => Math.floor((size * i) / count));
  return edges.slice(1).map((end, i) => [edges[i], end - edges[i]]);
}
