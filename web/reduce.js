// Rows of a result made smaller by Lanczos, as libvips' reduce does and so the command where no network has the scale.

const A = 3, STEPS = 64, UNITS = 4096; // lobes; positions between two pixels; parts of a weight

/** Takes rows from top to bottom and gives those of the smaller picture. Of RGBA the colours count by their alpha. */
export class Reducer {
  constructor(width, height, channels, toWidth, toHeight) {
    this.whole = channels === 3; // libvips counts bytes in whole numbers; premultiplied ones are floats
    this.across = new Axis(width, toWidth, this.whole);
    this.down = new Axis(height, toHeight, this.whole);
    Object.assign(this, { width, channels, pending: [], first: 0, next: 0 });
  }

  /** Takes rows (.., width, channels) of bytes; the last ones with `isLast`. */
  push(rows, isLast) {
    const pitch = this.width * this.channels;
    for (let at = 0; at < rows.length; at += pitch) this.pending.push(this.premultiplied(rows.subarray(at, at + pitch)));
    const known = this.first + this.pending.length, lines = [];
    while (this.next < this.down.to && (isLast || this.down.start(this.next) + this.down.points <= known)) {
      lines.push(this.line(this.next++));
      const unused = Math.min(Math.max(0, this.down.start(this.next) - this.first), this.pending.length - 1);
      this.pending.splice(0, unused);
      this.first += unused;
    }
    const out = new Uint8Array(lines.length * this.across.to * this.channels);
    lines.forEach((line, i) => out.set(line, i * line.length));
    return out;
  }

  premultiplied(row) {
    if (this.whole) return row.slice();
    return Float32Array.from(row, (value, i) => (i % 4 === 3 ? value : (value * row[i | 3]) / 255));
  }

  line(y) {
    const start = this.down.start(y), mask = this.down.mask(y), last = this.first + this.pending.length - 1;
    const sums = new Float32Array(this.width * this.channels);
    mask.forEach((weight, k) => {
      const row = this.pending[Math.min(Math.max(start + k, this.first), last) - this.first];
      for (let i = 0; i < sums.length; i++) sums[i] += weight * row[i];
    });
    if (this.whole) for (let i = 0; i < sums.length; i++) sums[i] = byte(sums[i]);
    return this.unpremultiplied(this.narrowed(sums));
  }

  narrowed(row) {
    const { channels, width, across } = this, out = new Float32Array(across.to * channels);
    for (let x = 0; x < across.to; x++) {
      const start = across.start(x), mask = across.mask(x);
      for (let k = 0; k < mask.length; k++) {
        const from = Math.min(Math.max(start + k, 0), width - 1) * channels;
        for (let c = 0; c < channels; c++) out[x * channels + c] += mask[k] * row[from + c];
      }
    }
    return out;
  }

  unpremultiplied(row) {
    if (this.whole) return Uint8Array.from(row, byte);
    return Uint8Array.from(row, (value, i) => byte(i % 4 === 3 ? value : row[i | 3] > 0 ? (value * 255) / row[i | 3] : 0));
  }
}

/** Where the pixels of a shorter axis come from. */
class Axis {
  constructor(from, to, whole) {
    this.shrink = from / to;
    this.to = to;
    this.points = 2 * Math.round(A * this.shrink) + 1;
    this.masks = Array.from({ length: STEPS + 1 }, (_, i) => this.lanczos(i / STEPS, whole));
  }

  at = (i) => (i + 0.5) * this.shrink; // half a pixel beyond where it comes from
  start = (i) => Math.floor(this.at(i)) - Math.ceil(this.points / 2) + 1;
  mask = (i) => this.masks[(Math.floor(this.at(i) * STEPS * 2) % (STEPS * 2) + 1) >> 1];

  lanczos(x, whole) {
    const half = x + this.points / 2 - 1;
    const mask = Array.from({ length: this.points }, (_, i) => kernel((i - half) / this.shrink));
    const sum = mask.reduce((a, b) => a + b);
    return mask.map((weight) => (whole ? Math.trunc((weight / sum) * UNITS) / UNITS : weight / sum));
  }
}

function kernel(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= A) return 0;
  const turn = Math.PI * x;
  return (A * Math.sin(turn) * Math.sin(turn / A)) / (turn * turn);
}

const byte = (value) => Math.min(Math.max(Math.round(value), 0), 255);
