// PNG: written row by row, so that the result of any size has room; read by ourselves where it is transparent, for a
// canvas multiplies colours by alpha and loses some of them.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** A Blob of a picture whose rows (.., width, channels) of bytes come in parts: grey 1, RGB 3 or RGBA 4. */
export async function encode(width, height, channels, parts) {
  const header = new Uint8Array(13), kind = { 1: 0, 3: 2, 4: 6 }[channels];
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, kind, 0, 0, 0], 8);
  const pieces = [Uint8Array.from(SIGNATURE), ...chunk("IHDR", header), ...chunk("sRGB", Uint8Array.of(0))];
  const packed = new CompressionStream("deflate");
  const read = collect(packed.readable, pieces);
  const writer = packed.writable.getWriter();
  let above = new Uint8Array(width * channels);
  for await (const rows of parts) {
    await writer.write(filtered(rows, above, channels));
    above = rows.slice(rows.length - above.length);
  }
  await writer.close();
  await read;
  return new Blob([...pieces, ...chunk("IEND", new Uint8Array(0))], { type: "image/png" });
}

async function collect(readable, pieces) {
  const reader = readable.getReader();
  for (let next; !(next = await reader.read()).done;) pieces.push(new Blob(chunk("IDAT", next.value)));
}

/** Rows with the filter Paeth before each, which suits photographs. */
function filtered(rows, above, channels) {
  const pitch = above.length, count = rows.length / pitch, out = new Uint8Array(rows.length + count);
  for (let y = 0, to = 0; y < count; y++) {
    const row = rows.subarray(y * pitch, (y + 1) * pitch), up = y ? rows.subarray((y - 1) * pitch, y * pitch) : above;
    out[to++] = 4;
    for (let i = 0; i < channels; i++) out[to++] = row[i] - up[i];
    for (let i = channels; i < pitch; i++) out[to++] = row[i] - paeth(row[i - channels], up[i], up[i - channels]);
  }
  return out;
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const a = Math.abs(guess - left), b = Math.abs(guess - up), c = Math.abs(guess - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function chunk(name, data) {
  const head = new Uint8Array(8), tail = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, data.length);
  for (let i = 0; i < 4; i++) head[4 + i] = name.charCodeAt(i);
  new DataView(tail.buffer).setUint32(0, ~crc(data, crc(head.subarray(4), ~0)) >>> 0);
  return [head, data, tail];
}

function crc(bytes, sum) {
  for (let i = 0; i < bytes.length; i++) sum = CRC[(sum ^ bytes[i]) & 255] ^ (sum >>> 8);
  return sum;
}

/** {data, width, height} in RGBA of a transparent PNG in sRGB; null for every other, which the browser shall decode. */
export async function decodeTransparent(bytes) {
  const { header, chunks } = chunksOf(bytes);
  const transparent = header?.kind === 4 || header?.kind === 6 || chunks.tRNS;
  const profiled = chunks.iCCP || chunks.cICP || (!chunks.sRGB && (chunks.gAMA || chunks.cHRM));
  if (!header || !transparent || profiled) return null;
  const packed = new Blob(chunks.IDAT).stream().pipeThrough(new DecompressionStream("deflate"));
  const lines = new Uint8Array(await new Response(packed).arrayBuffer());
  const picture = { data: new Uint8ClampedArray(4 * header.width * header.height), width: header.width, height: header.height };
  let at = 0;
  for (const pass of header.interlaced ? ADAM7 : [[0, 0, 1, 1]]) at = readPass(lines, at, picture, header, chunks, pass);
  return picture;
}

const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), chunks = { IDAT: [] };
  let header = null;
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = view.getUint32(at), name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + size);
    if (name === "IHDR")
      header = { width: view.getUint32(at + 8), height: view.getUint32(at + 12), depth: data[8], kind: data[9], interlaced: data[12] };
    if (name === "IDAT") chunks.IDAT.push(data);
    else chunks[name] = data;
    at += 12 + size;
  }
  return { header, chunks };
}

function readPass(lines, at, picture, header, chunks, [left, top, stepX, stepY]) {
  const width = Math.ceil((header.width - left) / stepX), height = Math.ceil((header.height - top) / stepY);
  if (width <= 0 || height <= 0) return at;
  const bits = SAMPLES[header.kind] * header.depth, pitch = Math.ceil((width * bits) / 8), step = Math.max(1, bits >> 3);
  let above = new Uint8Array(pitch);
  for (let y = 0; y < height; y++, at += pitch + 1) {
    if (at + pitch + 1 > lines.length) throw new Error("expected a whole PNG, found a truncated one");
    const row = lines.subarray(at + 1, at + 1 + pitch);
    unfilter(row, above, lines[at], step);
    for (let x = 0; x < width; x++) {
      const to = 4 * ((top + y * stepY) * header.width + left + x * stepX);
      picture.data.set(colourAt(row, x, header, chunks), to);
    }
    above = row;
  }
  return at;
}

function unfilter(row, above, filter, step) {
  for (let i = 0; i < row.length; i++) {
    const left = i < step ? 0 : row[i - step], corner = i < step ? 0 : above[i - step];
    row[i] += [0, left, above[i], (left + above[i]) >> 1, paeth(left, above[i], corner)][filter];
  }
}

function colourAt(row, x, { kind, depth }, { PLTE, tRNS }) {
  const count = SAMPLES[kind], samples = [];
  for (let c = 0; c < count; c++) samples.push(sample(row, x * count + c, depth));
  if (kind === 3) return [...PLTE.subarray(3 * samples[0], 3 * samples[0] + 3), tRNS[samples[0]] ?? 255];
  const hidden = tRNS && samples.every((value, c) => value === ((tRNS[2 * c] << 8) | tRNS[2 * c + 1]));
  const [a, b, c, d] = samples.map((value) => (depth === 16 ? Math.round(value / 257) : (value * 255) / ((1 << depth) - 1)));
  if (kind === 4) return [a, a, a, b];
  return kind === 0 ? [a, a, a, hidden ? 0 : 255] : [a, b, c, d ?? (hidden ? 0 : 255)];
}

function sample(row, number, depth) {
  if (depth === 8) return row[number];
  if (depth === 16) return (row[2 * number] << 8) | row[2 * number + 1];
  const bit = number * depth;
  return (row[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}
