// A result: its rows in Blobs, and while it is shown a canvas with as much of it as a screen can show.

const PREVIEW = 16e6; // pixels
const AT_ONCE = 4e6; // pixels that are drawn before others get their turn

export class Result {
  constructor(width, height) {
    const share = Math.min(1, Math.sqrt(PREVIEW / (width * height)));
    Object.assign(this, { width, height, channels: 3, bands: [], share, preview: null });
  }

  add(band) {
    const { top, height, channels, blob, image } = band;
    this.channels = channels;
    this.bands.push({ top, height, blob });
    if (this.preview) this.draw(top, image);
    image.close();
  }

  draw(top, image) {
    this.preview.getContext("2d").drawImage(image, 0, Math.round(top * this.share));
  }

  /** Makes the preview, of the rows that are there. */
  async load() {
    if (this.preview) return;
    const { width, height, share } = this, across = Math.max(1, Math.round(width * share));
    const preview = (this.preview = new OffscreenCanvas(across, Math.max(1, Math.round(height * share))));
    const rows = this.rows, step = Math.max(1, Math.floor(AT_ONCE / width));
    for (let top = 0; top < rows && this.preview === preview; top += step) {
      const count = Math.min(step, rows - top), high = Math.max(1, Math.round((top + count) * share) - Math.round(top * share));
      const image = await this.region(0, top, width, count, share < 1 ? { resizeWidth: across, resizeHeight: high, resizeQuality: "medium" } : {});
      if (this.preview === preview) this.draw(top, image);
      image.close();
    }
  }

  unload() {
    this.preview = null;
  }

  /** Rows that are there, from the top. */
  get rows() {
    return this.bands.reduce((sum, { height }) => sum + height, 0);
  }

  /** All pixels of a region that is there, as an ImageBitmap. */
  async region(left, top, width, height, options = {}) {
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
    return createImageBitmap(pixels, options);
  }
}
