// A picture file to pixels, upright and in sRGB as the browser makes it.

import { factsOf, ENOUGH } from "./facts.js";
import { decodeTransparent } from "./png.js";

/** {data, width, height} in RGBA, and the facts of the file. */
export async function decode(file) {
  const start = new Uint8Array(await file.slice(0, ENOUGH).arrayBuffer()), facts = factsOf(start);
  const exact = await exactly(file, facts);
  return { picture: exact ?? (await byCanvas(file, facts.kind)), facts };
}

/** The pixels where a canvas would lose some of a transparent picture's colours; null where it loses none. */
async function exactly(file, { kind }) {
  if (kind === "PNG") return decodeTransparent(new Uint8Array(await file.arrayBuffer()));
  if ((kind === "WebP" || kind === "AVIF") && self.ImageDecoder && (await ImageDecoder.isTypeSupported(file.type))) return byDecoder(file);
  return null;
}

async function byDecoder(file) {
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: file.type, premultiplyAlpha: "none" });
  const { image } = await decoder.decode();
  try {
    if (!/^(BGRA|RGBA)$/.test(image.format)) return null; // opaque; and in another format some browsers multiply by alpha
    const data = new Uint8ClampedArray(image.allocationSize());
    await image.copyTo(data);
    if (image.format === "BGRA") for (let i = 0; i < data.length; i += 4) [data[i], data[i + 2]] = [data[i + 2], data[i]];
    return { data, width: image.codedWidth, height: image.codedHeight };
  } finally {
    image.close();
  }
}

async function byCanvas(file, kind) {
  const bitmap = await createImageBitmap(file).catch(() => {
    const isForeign = kind === "HEIC" || kind === "TIFF" || kind === "AVIF";
    throw new Error(isForeign ? `this browser cannot read ${kind}; save it as JPEG or PNG first` : "this browser cannot read it as a picture");
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`${width} × ${height} pixels are more than this browser can hold`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
