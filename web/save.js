// A worker that writes a result into a file: PNG row by row, JPEG and WebP as the browser does.

import { encode } from "./png.js";

const QUALITY = 0.95;

onmessage = async ({ data: { result, type } }) => {
  try {
    postMessage({ blob: type === "image/png" ? await png(result) : await byCanvas(result, type) });
  } catch (error) {
    postMessage({ reason: error.message });
  }
};

const png = ({ width, height, channels, bands }) => encode(width, height, channels, rowsOf(bands));

async function* rowsOf(bands) {
  for (const { blob } of bands) yield new Uint8Array(await blob.arrayBuffer());
}

async function byCanvas({ width, height, channels, bands }, type) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  const tooLarge = new Error(`this browser cannot write ${width} × ${height} pixels in this format; choose PNG`);
  if (!context) throw tooLarge;
  if (type === "image/jpeg") context.fillStyle = "white", context.fillRect(0, 0, width, height);
  for (const { top, height: rows, blob } of bands) {
    const pixels = rgba(new Uint8Array(await blob.arrayBuffer()), channels);
    const image = await createImageBitmap(new ImageData(pixels, width, rows));
    context.drawImage(image, 0, top);
    image.close();
  }
  const blob = await context.canvas.convertToBlob({ type, quality: QUALITY });
  if (blob.type !== type) throw tooLarge;
  return blob;
}

function rgba(bytes, channels) {
  if (channels === 4) return new Uint8ClampedArray(bytes.buffer);
  const out = new Uint8ClampedArray((bytes.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    out[to] = bytes[from], out[to + 1] = bytes[from + 1], out[to + 2] = bytes[from + 2];
  }
  return out;
}
