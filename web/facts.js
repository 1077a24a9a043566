// What the first bytes of a file say: its kind, and how its pixels have lost something, as media/codecs reads it.

const STEPS = [ // for luma at quality 50: ITU-T T.81, table K.1
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
  18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];
export const ENOUGH = 1 << 20; // bytes from a file's start that are looked at

/** {kind, lossy, quality, bits, animated} of a file that begins with these bytes; kind is null where it is none that is known. */
export function factsOf(bytes) {
  const facts = codingOf(bytes);
  return { bits: null, ...facts, animated: ANIMATED[facts.kind]?.(bytes) ?? false };
}

const ANIMATED = {
  GIF: (bytes) => latin(bytes).includes("NETSCAPE2.0"), // which loops
  PNG: (bytes) => latin(bytes).split("IDAT", 1)[0].includes("acTL"),
  WebP: (bytes) => latin(bytes.subarray(12, 16)) === "VP8X" && (bytes[20] & 2) > 0,
  AVIF: (bytes) => latin(bytes.subarray(8, 12)) === "avis",
};

function codingOf(bytes) {
  const text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { kind: "JPEG", lossy: "JPEG", quality: jpegQuality(bytes) };
  if (text(1, 3) === "PNG") return { kind: "PNG", lossy: null, quality: null };
  if (text(0, 3) === "GIF") return { kind: "GIF", lossy: null, quality: null };
  if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return { kind: "WebP", ...webpLoss(bytes, text), quality: null };
  if (text(4, 4) === "ftyp") return { ...ofHeif(bytes, text), quality: null };
  const kind = { BM: "BMP", II: "TIFF", MM: "TIFF" }[text(0, 2)] ?? null;
  return { kind, lossy: null, quality: null };
}

function jpegQuality(bytes) {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1], size = (bytes[at + 2] << 8) | bytes[at + 3];
    if (marker === 0xff) { at++; continue; }
    if (marker === 0xda) return null;
    const quality = marker === 0xdb ? tableQuality(bytes.subarray(at + 4, at + 2 + size)) : null;
    if (quality !== null) return quality;
    at += 2 + size;
  }
  return null;
}

function tableQuality(tables) {
  for (let at = 0; at < tables.length;) {
    const size = 1 + (tables[at] >> 4), steps = tables.subarray(at + 1, at + 1 + 64 * size);
    if ((tables[at] & 15) === 0 && steps.length === 64 * size) {
      let sum = 0;
      for (let i = 0; i < 64; i++) sum += size === 1 ? steps[i] : (steps[2 * i] << 8) | steps[2 * i + 1];
      let best = 1;
      const off = (quality) => Math.abs(sumOfSteps(quality, 256 ** size - 1) - sum);
      for (let quality = 2; quality <= 100; quality++) if (off(quality) < off(best)) best = quality;
      return best;
    }
    at += 1 + 64 * size;
  }
  return null;
}

/** As libjpeg makes them. */
function sumOfSteps(quality, most) {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return STEPS.reduce((sum, step) => sum + Math.min(most, Math.max(1, Math.floor((step * scale + 50) / 100))), 0);
}

function webpLoss(bytes, text) {
  for (let at = 12; at + 8 <= bytes.length;) {
    const kind = text(at, 4), size = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
    if (kind === "VP8L") return { lossy: null };
    if (kind === "VP8 ") return { lossy: "lossy WebP", bits: vp8Bits(size, bytes.subarray(at + 8, at + 18)) };
    at += 8 + (kind === "ANMF" ? 16 : size + (size % 2));
  }
  return { lossy: null };
}

function vp8Bits(size, start) {
  if (start.length < 10) return null;
  const pixels = ((start[6] | (start[7] << 8)) & 0x3fff) * ((start[8] | (start[9] << 8)) & 0x3fff);
  return pixels ? (8 * size) / pixels : null;
}

/** AVIF and HEIC, which lose nothing only where they state the identity matrix of ITU-T H.273. */
function ofHeif(bytes, text) {
  const kind = /^avi[fs]/.test(text(8, 4)) ? "AVIF" : "HEIC";
  const at = latin(bytes).indexOf("colrnclx");
  const lossless = at >= 0 && bytes[at + 12] === 0 && bytes[at + 13] === 0;
  return { kind, lossy: lossless ? null : `lossy ${kind}`, bits: kind === "AVIF" && !lossless ? av1Bits(bytes, text) : null };
}

/** Bits for each pixel of the largest picture that is described. */
function av1Bits(bytes, text) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let most = 0, coded = 0;
  for (let at = 0; at + 8 <= bytes.length && !coded;) {
    const size = view.getUint32(at), kind = text(at + 4, 4);
    if (kind === "mdat") coded = size;
    if (kind === "meta")
      for (const { index } of latin(bytes.subarray(at + 8, at + 8 + size)).matchAll(/ispe[^]{12}/g))
        most = Math.max(most, view.getUint32(at + index + 16) * view.getUint32(at + index + 20));
    if (size < 8) break;
    at += size;
  }
  return coded && most ? (8 * coded) / most : null;
}

const latin = (bytes) => new TextDecoder("latin1").decode(bytes);
