// Pixels of a picture, RGBA in 8 bits, to what the network takes and back, as upscale/raster.py does.

import { grown } from "./plan.js";

const REACH = 20; // pixels from a transparent one within which colours of visible ones are looked for
const NO_ALPHA = 1e-6;

/** What a picture {data, width, height} is: whether its colours are grey, and whether anything is transparent. */
export function kindOf({ data }) {
  let grey = true, alpha = false;
  for (let i = 0; i < data.length; i += 4) {
    grey &&= data[i] === data[i + 1] && data[i] === data[i + 2];
    alpha ||= data[i + 3] !== 255;
  }
  return { grey, alpha };
}

/** The colours of a box as bytes, (height, width, 3). It may reach beyond the picture, which is continued there. */
export function colours({ data, width, height }, box) {
  const out = new Uint8ClampedArray(3 * box.height * box.width), inRow = sources(box.left, box.width, width);
  let to = 0;
  for (const inColumn of sources(box.top, box.height, height))
    for (const across of inRow)
      for (let c = 0; c < 3; c++) out[to++] = mixed(inColumn, across, (y, x) => data[4 * (y * width + x) + c]);
  return new Uint8Array(out.buffer);
}

/** Colours and alpha of a box as floats in 0..1, each (height, width, 3), with colours of visible pixels in hidden ones. */
export function planes(picture, box) {
  const { width, height } = picture;
  const outer = grown(grown(box, 0, height, width), REACH, height, width);
  const { alpha, colour } = split(picture, outer);
  spread(colour, alpha, outer);
  const result = { colour: new Float32Array(3 * box.height * box.width), alpha: new Float32Array(3 * box.height * box.width) };
  const at = (band) => (y, x) => band[(y - outer.top) * outer.width + x - outer.left];
  const bands = colour.map(at), opaque = at(alpha), inRow = sources(box.left, box.width, width);
  let to = 0;
  for (const inColumn of sources(box.top, box.height, height))
    for (const across of inRow) {
      const a = unit(mixed(inColumn, across, opaque));
      for (let c = 0; c < 3; c++, to++) result.colour[to] = unit(mixed(inColumn, across, bands[c])), result.alpha[to] = a;
    }
  return result;
}

/**
 * For `count` places along a side of `size` pixels: the pixels and their weights whose sum it is. Beyond the picture a pixel is as
 * far from the border's as the one that it mirrors, on the other side (odd reflection), so that slopes go on.
 */
function sources(first, count, size) {
  return Array.from({ length: count }, (_, i) => {
    const at = first + i, last = size - 1;
    if (at >= 0 && at <= last) return [[at, 1]];
    if (last === 0) return [[0, 1]];
    const turns = Math.round(at / (2 * last)), rest = at - 2 * last * turns;
    const near = rest < 0 ? [[0, 2], [-rest, -1]] : [[rest, 1]];
    return turns === 0 ? near : [...near, [last, 2 * turns], [0, -2 * turns]];
  });
}

function mixed(inColumn, inRow, value) {
  if (inColumn.length === 1 && inRow.length === 1) return value(inColumn[0][0], inRow[0][0]);
  let sum = 0;
  for (const [y, down] of inColumn) for (const [x, across] of inRow) sum += down * across * value(y, x);
  return sum;
}

function split({ data, width }, box) {
  const size = box.height * box.width, alpha = new Float32Array(size);
  const colour = [0, 1, 2].map(() => new Float32Array(size));
  for (let y = 0, to = 0; y < box.height; y++)
    for (let x = 0; x < box.width; x++, to++) {
      const from = 4 * ((box.top + y) * width + box.left + x);
      for (let c = 0; c < 3; c++) colour[c][to] = data[from + c] / 255;
      alpha[to] = data[from + 3] / 255;
    }
  return { alpha, colour };
}

function spread(colour, alpha, box) {
  if (!alpha.some((a) => a <= 0)) return;
  const filled = colour.map((band) => band.slice());
  for (const reach of [REACH, 2]) { // the nearest last, so that it wins
    const near = boxMean(alpha, box, reach);
    colour.forEach((band, c) => {
      const sums = boxMean(band.map((value, i) => value * alpha[i]), box, reach);
      for (let i = 0; i < alpha.length; i++)
        if (alpha[i] <= 0 && near[i] > NO_ALPHA) filled[c][i] = sums[i] / near[i];
    });
  }
  filled.forEach((band, c) => colour[c].set(band));
}

/** Mean of the square of `reach` pixels around each one, with zeros beyond the box. */
function boxMean(x, { height, width }, reach) {
  const once = new Float32Array(x.length), out = new Float32Array(x.length), side = 2 * reach + 1;
  for (let y = 0; y < height; y++) movingMean(x, once, y * width, 1, width, reach, side);
  for (let column = 0; column < width; column++) movingMean(once, out, column, width, height, reach, side);
  return out;
}

function movingMean(x, out, start, step, length, reach, side) {
  let sum = 0;
  for (let i = 0; i < Math.min(reach, length); i++) sum += x[start + i * step];
  for (let i = 0; i < length; i++) {
    if (i + reach < length) sum += x[start + (i + reach) * step];
    if (i > reach) sum -= x[start + (i - reach - 1) * step];
    out[start + i * step] = Math.max(0, sum) / side;
  }
}

/** Bytes as floats, and floats that may be beyond black and white as bytes; bytes as they are. */
export const floats = (pixels) => Float32Array.from(pixels, (value) => value / 255);
export const bytes = (pixels) => (pixels.BYTES_PER_ELEMENT === 1 ? pixels : Uint8Array.from(pixels, byte));

/** Writes the network's bytes for what a part sees into rows (.., width, 3) at the part's place. */
export function place(out, part, scale, rows, width, grey) {
  each(part, scale, width, (from, to) => {
    const [r, g, b] = [out[from], out[from + 1], out[from + 2]];
    if (grey) rows[3 * to] = rows[3 * to + 1] = rows[3 * to + 2] = Math.floor((r + g + b) / 3 + 0.5);
    else rows[3 * to] = r, rows[3 * to + 1] = g, rows[3 * to + 2] = b;
  });
}

/** As `place`, of floats and with an alpha that stays within that of each pixel's neighbours in `was`. */
export function placeWithAlpha(colour, alpha, was, part, scale, rows, width, grey) {
  const { low, high } = neighbours(was, part.sees);
  const pitch = part.sees.width * scale;
  each(part, scale, width, (from, to) => {
    const pixel = from / 3, y = Math.floor(Math.floor(pixel / pitch) / scale), x = Math.floor((pixel % pitch) / scale);
    const at = y * part.sees.width + x;
    let sum = 0, mean = 0;
    for (let c = 0; c < 3; c++) {
      sum += Math.min(Math.max(alpha[from + c], low[at]), high[at]);
      mean += colour[from + c] / 3;
    }
    for (let c = 0; c < 3; c++) rows[4 * to + c] = byte(grey ? mean : colour[from + c]);
    rows[4 * to + 3] = byte(sum / 3);
  });
}

/** For each pixel of a part's result: where it lies in what the network gave, (.., 3), and its number in the rows. */
function each({ top, left, height, width, sees }, scale, rowWidth, visit) {
  const pitch = sees.width * scale;
  for (let y = 0; y < height * scale; y++) {
    let from = 3 * (((top - sees.top) * scale + y) * pitch + (left - sees.left) * scale);
    let to = y * rowWidth + left * scale;
    for (let x = 0; x < width * scale; x++, from += 3, to++) visit(from, to);
  }
}

/** Least and greatest alpha (of three equal bands) of each pixel and its eight neighbours. */
function neighbours(alpha, { height, width }) {
  const low = new Float32Array(height * width), high = new Float32Array(height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let least = Infinity, most = -Infinity;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const value = alpha[3 * (v * width + u)];
          if (value < least) least = value;
          if (value > most) most = value;
        }
      low[y * width + x] = least, high[y * width + x] = most;
    }
  return { low, high };
}

const unit = (value) => Math.min(Math.max(value, 0), 1);
const byte = (value) => Math.floor(unit(value) * 255 + 0.5);
