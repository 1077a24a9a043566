// How a picture has suffered, measured on its pixels: media/quality.py, whose docstrings say what each measure means.

const BLOCK = 8, SAMPLES = 3, SIDE = 160, LEAST = 32;
const ZERO = 1.5, ZERO_IN_JPEG = 4, ACTIVE = 40, CALMEST = 10, EQUAL = 0.5, RISE = 5, HIGHEST = 97, DETAIL = 1, STRONG = 4;
const IMMERKAER = Math.sqrt(Math.PI / 2) / 6;
const TEXTURE = 0.3, DARKEST = 4, LIGHTEST = 251, FEW = 32;
const UNHURT = { blocks: 0, oneGrid: 0, noise: 0, grain: 0, fineness: null, steepness: 0.5, equal: 0, fewLevels: false };
const HIGH = Array.from({ length: 64 }, (_, i) => i).filter((i) => (i >> 3) + (i & 7) >= 5);
const order = (i) => (i >> 3) + (i & 7);
const LOW = [...Array(64).keys()].filter((i) => order(i) >= 2 && order(i) <= 4);
const FINE = [...Array(64).keys()].filter((i) => order(i) >= 10);
const DCT = Float32Array.from({ length: 64 }, (_, i) => {
  const k = i >> 3, n = i & 7;
  return Math.cos((Math.PI * (2 * n + 1) * k) / 16) * Math.sqrt((k ? 2 : 1) / 8);
});

/** Measures a picture {data, width, height} of RGBA, by the lossy coding of its file; null where it is too small. */
export function measure(picture, lossy) {
  const crops = cropsOf(picture);
  if (!crops.length) return null;
  const grey = crops.every(({ red, green, blue }) => red.every((value, i) => value === green[i] && value === blue[i]));
  const luma = crops.map(({ red, green, blue, height, width }) => ({
    height, width, y: grey ? red : red.map((r, i) => 0.299 * r + 0.587 * green[i] + 0.114 * blue[i]),
  }));
  const levels = Math.max(...luma.map(({ y }) => new Set(y).size));
  if (levels <= FEW) return { ...UNHURT, fewLevels: levels > 1 };
  const equal = equalOf(luma), flat = equal > EQUAL;
  const { blocks, oneGrid } = blocksOf(luma, lossy === "JPEG" ? ZERO_IN_JPEG : ZERO);
  const noise = flat || grey ? 0 : noiseOf(crops), grain = flat ? 0 : grainOf(luma);
  return { ...UNHURT, blocks, oneGrid, noise, grain, fineness: finenessOf(luma), steepness: steepnessOf(luma), equal };
}

function places(length) {
  if (length <= SAMPLES * SIDE) return [[0, length]];
  return [0, 1, 2].map((i) => [Math.floor(Math.floor(((length - SIDE) * i) / (SAMPLES - 1)) / BLOCK) * BLOCK, SIDE]);
}

function cropsOf({ data, width, height }) {
  const crops = [];
  for (const [top, rows] of places(height))
    for (const [left, columns] of places(width)) {
      if (Math.min(rows, columns) < LEAST) continue;
      const band = (c) => Float32Array.from({ length: rows * columns }, (_, i) =>
        data[4 * ((top + Math.floor(i / columns)) * width + left + (i % columns)) + c]);
      crops.push({ red: band(0), green: band(1), blue: band(2), height: rows, width: columns });
    }
  return crops;
}

function blocksOf(luma, zero) {
  const shares = [];
  for (let top = 0; top < BLOCK; top++) for (let left = 0; left < BLOCK; left++) shares.push(zeros(luma, top, left, zero));
  shares.sort((a, b) => a - b);
  const usual = (shares[31] + shares[32]) / 2, best = shares[63];
  return { blocks: (best - usual) / (1.02 - usual), oneGrid: best - shares[62] };
}

/** Share of zeros among the high coefficients of blocks that have other coefficients. */
function zeros(luma, top, left, zero) {
  let below = 0, count = 0;
  const half = new Float32Array(64), block = new Float32Array(64);
  for (const { y, height, width } of luma)
    for (let v = top; v + BLOCK <= height; v += BLOCK)
      for (let u = left; u + BLOCK <= width; u += BLOCK) {
        transform(y, v * width + u, width, half, block);
        let sum = 0;
        for (let i = 1; i < 64; i++) sum += Math.abs(block[i]);
        if (sum <= ACTIVE) continue;
        for (const i of HIGH) below += Math.abs(block[i]) < zero;
        count += HIGH.length;
      }
  return count >= 10 * HIGH.length ? below / count : 0;
}

function transform(y, at, pitch, half, block) {
  for (let k = 0; k < 8; k++)
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let n = 0; n < 8; n++) sum += DCT[8 * k + n] * y[at + n * pitch + x];
      half[8 * k + x] = sum;
    }
  for (let k = 0; k < 8; k++)
    for (let l = 0; l < 8; l++) {
      let sum = 0;
      for (let n = 0; n < 8; n++) sum += half[8 * k + n] * DCT[8 * l + n];
      block[8 * k + l] = sum;
    }
}

/** Share of neighbours, across and down, that have the same luma. */
function equalOf(luma) {
  let sum = 0;
  for (const { y, height, width } of luma) {
    let across = 0, down = 0;
    for (let v = 0, i = 0; v < height; v++)
      for (let u = 0; u < width; u++, i++) {
        across += u + 1 < width && y[i] === y[i + 1];
        down += v + 1 < height && y[i] === y[i + width];
      }
    sum += across / (height * (width - 1)) + down / ((height - 1) * width);
  }
  return sum / (2 * luma.length);
}

function noiseOf(crops) {
  const difference = (band) => crops.map((crop) => ({
    height: crop.height, width: crop.width, y: crop[band].map((value, i) => (value - crop.green[i]) / Math.SQRT2),
  }));
  return Math.min(noise(difference("red")), noise(difference("blue")));
}

function noise(planes) {
  const parts = [];
  for (const { y, height, width } of planes) {
    const at = (v, u) => y[v * width + u];
    const row = (v, u) => at(v, u) - 2 * at(v + 1, u) + at(v + 2, u);
    for (let v = 0; v + BLOCK <= height - 2; v += BLOCK)
      for (let u = 0; u + BLOCK <= width - 2; u += BLOCK) {
        let sum = 0;
        for (let i = 0; i < 64; i++) {
          const p = v + (i >> 3), q = u + (i & 7);
          sum += Math.abs(row(p, q) - 2 * row(p, q + 1) + row(p, q + 2));
        }
        parts.push(sum / 64);
      }
  }
  return IMMERKAER * percentile(Float32Array.from(parts), CALMEST);
}

function grainOf(luma) {
  const lows = [], fines = [], half = new Float32Array(64), block = new Float32Array(64);
  const power = (which) => which.reduce((sum, i) => sum + block[i] ** 2, 0) / which.length;
  for (const { y, height, width } of luma)
    for (let v = 0; v + BLOCK <= height; v += BLOCK)
      for (let u = 0; u + BLOCK <= width; u += BLOCK) {
        let least = 255, most = 0;
        for (let i = 0; i < 64; i++) {
          const value = y[(v + (i >> 3)) * width + u + (i & 7)];
          least = Math.min(least, value);
          most = Math.max(most, value);
        }
        if (least <= DARKEST || most >= LIGHTEST) continue;
        transform(y, v * width + u, width, half, block);
        lows.push(power(LOW));
        fines.push(power(FINE));
      }
  if (!lows.length) return 0;
  const limit = percentile(Float64Array.from(lows), CALMEST);
  const median = (values) => percentile(Float64Array.from(values.filter((_, i) => lows[i] <= limit)), 50);
  return Math.sqrt(Math.max(0, median(fines) - TEXTURE ** 2 * median(lows)));
}

function finenessOf(luma) {
  const below = powerMean(luma.map(halved).map(diagonals));
  return below > DETAIL ? powerMean(luma.map(diagonals)) / below : null;
}

const squares = ({ y, height, width }, value) => Float32Array.from({ length: (height >> 1) * (width >> 1) }, (_, i) => {
  const at = 2 * Math.floor(i / (width >> 1)) * width + 2 * (i % (width >> 1));
  return value(y[at], y[at + width], y[at + 1], y[at + width + 1]);
});
const diagonals = (plane) => squares(plane, (a, b, c, d) => Math.abs(a - b - c + d) * 0.5);
const halved = (plane) => ({
  height: plane.height >> 1, width: plane.width >> 1, y: squares(plane, (a, b, c, d) => (a + b + c + d) * 0.25),
});

function powerMean(arrays) {
  let sum = 0, count = 0;
  for (const array of arrays) {
    for (const value of array) sum += value ** STRONG;
    count += array.length;
  }
  return (sum / count) ** (1 / STRONG);
}

function steepnessOf(luma) {
  const rises = [], steps = [];
  for (const { y, height, width } of luma)
    for (const [lines, along, step, length] of [[height, width, 1, width], [width, 1, width, height]])
      for (let line = 0; line < lines; line++)
        for (let i = 0; i + RISE < length; i++) {
          const at = line * along + i * step;
          let most = 0;
          for (let k = 0; k < RISE; k++) most = Math.max(most, Math.abs(y[at + (k + 1) * step] - y[at + k * step]));
          rises.push(Math.abs(y[at + RISE * step] - y[at]));
          steps.push(most);
        }
  const least = Math.max(1, percentile(Float32Array.from(rises), HIGHEST));
  const highest = Float32Array.from(rises.map((rise, i) => (rise >= least ? steps[i] / rise : -1)).filter((x) => x >= 0));
  return highest.length ? percentile(highest, 50) : 0.5;
}

/** Linear between the two nearest, as NumPy's. */
function percentile(numbers, share) {
  numbers.sort();
  const at = ((numbers.length - 1) * share) / 100, low = Math.floor(at);
  return numbers[low] + (numbers[Math.min(low + 1, numbers.length - 1)] - numbers[low]) * (at - low);
}
