// A result that came as a file, and while it is shown a canvas with as much of it as a screen can show.

const PREVIEW = 16e6; // pixels

export class Whole {
  /** Of a file; one that this browser cannot show has no rows. */
  static async of(blob, name) {
    const image = await createImageBitmap(blob).catch(() => null);
    const whole = Object.assign(new Whole(), { blob, name, width: image?.width, height: image?.height, rows: image?.height ?? 0, preview: null });
    whole.share = Math.min(1, Math.sqrt(PREVIEW / (whole.width * whole.height)));
    image?.close();
    return whole;
  }

  async load() {
    if (this.preview || !this.rows) return;
    const { blob, width, height, share } = this;
    this.preview = await createImageBitmap(blob, share < 1 ? { resizeWidth: Math.round(width * share), resizeHeight: Math.round(height * share) } : {});
  }

  unload() {
    this.preview?.close();
    this.preview = null;
  }

  /** All pixels of a region, as an ImageBitmap. */
  region(left, top, width, height) {
    return createImageBitmap(this.blob, left, top, width, height);
  }
}
