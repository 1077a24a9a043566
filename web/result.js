// A result: its rows in Blobs, and a canvas with as much of it as a screen can show.

const PREVIEW = 16e6; // pixels

export class Result {
  constructor(width, height) {
    const share = Math.min(1, Math.sqrt(PREVIEW / (width * height)));
    Object.assign(this, { width, height, channels: 3, bands: [], share });
    this.preview = new OffscreenCanvas(Math.max(1, Math.round(width * share)), Math.max(1, Math.round(height * share)));
    this.context = this.preview.getContext("2d");
  }

  add({ top, height, channels, blob, image }) {
    this.channels = channels;
    this.bands.push({ top, height, blob });
    this.context.drawImage(image, 0, Math.round(top * this.share));
    image.close();
  }

  /** Rows that are there, from the top. */
  get rows() {
    return this.bands.reduce((sum, { height }) => sum + height, 0);
  }

  /** All pixels of a region that is there, as an ImageBitmap. */
  async region(left, top, width, height) {
    const pixels = new ImageData(width, height), { channels } = this, pitch = this.width * channels;
    for (const band of this.bands) {
      const first = Math.max(top, band.top), last = Math.min(top + height, band.top + band.height);
      if (first >= last) continue;
      const piece = band.blob.slice((first - band.top) * pitch, (last - band.top) * pitch);
      const bytes = new Uint8Array(await piece.arrayBuffer());
      for (let y = first; y < last; y++)
        for (let x = 0; x < width; x++) {
          const from = (y - first) * pitch + (left + x) * channels, to = 4 * ((y - top) * width + x);
          for (let c = 0; c < 3; c++) pixels.data[to + c] = bytes[from + c];
          pixels.data[to + 3] = channels === 4 ? bytes[from + 3] : 255;
        }
    }
    return createImageBitmap(pixels);
  }
}
