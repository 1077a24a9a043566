// The stage: a picture before and after, either side of a line, as large as one likes.

const SMALLEST = 0.01, LARGEST = 32; // screen pixels for one of the result
const STEP = 1.25, ARROW = 60;
const SOON = 120; // ms until all pixels are fetched

export class View {
  constructor(canvas, line, onZoom) {
    Object.assign(this, { canvas, line, onZoom, context: canvas.getContext("2d"), zoom: null, x: 0, y: 0 });
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("dblclick", (event) => (this.zoom ? this.fit() : this.zoomTo(1, this.at(event))));
    line.addEventListener("input", () => this.draw());
    const squares = new OffscreenCanvas(16, 16), context = squares.getContext("2d");
    context.fillStyle = "#d8d8d8", context.fillRect(0, 0, 16, 16);
    context.fillStyle = "#fff", context.fillRect(0, 0, 8, 8), context.fillRect(8, 8, 8, 8);
    this.squares = this.context.createPattern(squares, "repeat");
  }

  /** Shows a picture {key, before: ImageBitmap or null, result: or null, width, height: of the result}; null for none. */
  show(shown) {
    const same = this.shown && shown && this.shown.width === shown.width && this.shown.key === shown.key;
    this.shown = shown;
    this.detail = null;
    if (same) this.draw();
    else this.fit();
  }

  fit() {
    this.zoom = null;
    this.draw();
  }

  /** Zooms to so many screen pixels for one of the result, around a point of the canvas. */
  zoomTo(zoom, around = { x: this.canvas.width / 2, y: this.canvas.height / 2 }) {
    if (!this.shown) return;
    const was = this.place();
    this.zoom = Math.min(Math.max(zoom, SMALLEST), LARGEST);
    const { width, height } = this.shown;
    this.x = width / 2 - (around.x - was.left) / was.zoom + (around.x - this.canvas.width / 2) / this.zoom;
    this.y = height / 2 - (around.y - was.top) / was.zoom + (around.y - this.canvas.height / 2) / this.zoom;
    this.draw();
  }

  zoomBy(steps, around) {
    this.zoomTo(this.place().zoom * STEP ** steps, around);
  }

  /** Where the picture lies on the canvas, in whole screen pixels: between them its own would be mixed. */
  place() {
    const { canvas, shown } = this;
    const zoom = this.zoom ?? Math.min(canvas.width / shown.width, canvas.height / shown.height);
    const place = (side, size, by) => {
      const most = Math.max(0, (size * zoom - side) / 2), shift = this.zoom ? Math.min(Math.max(by * zoom, -most), most) : 0;
      return Math.round((side - size * zoom) / 2 + shift);
    };
    return { zoom, left: place(canvas.width, shown.width, this.x), top: place(canvas.height, shown.height, this.y) };
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { canvas, context, shown } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!shown) return;
    const { zoom, left, top } = this.place(), { width, height, before, result } = shown;
    canvas.style.touchAction = this.zoom ? "none" : "pan-y pinch-zoom"; // as a whole it leaves scrolling to the page
    const line = !result ? canvas.width : before ? Math.round((canvas.width * this.line.value) / 100) : 0;
    const part = (from, to, draw) => {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, canvas.height);
      context.clip();
      context.fillStyle = this.squares;
      context.fillRect(left, top, width * zoom, height * zoom);
      draw();
      context.restore();
    };
    context.imageSmoothingQuality = "high";
    context.imageSmoothingEnabled = true;
    if (before) part(0, line, () => context.drawImage(before, left, top, width * zoom, height * zoom));
    if (result) part(line, canvas.width, () => this.paintResult(left, top, zoom));
    this.onZoom(zoom, line / canvas.width);
  }

  paintResult(left, top, zoom) {
    const { context, shown: { before, result, width, height } } = this;
    if (!result.preview) return; // let go, while another picture is on its way
    if (before && result.rows < height) context.drawImage(before, left, top, width * zoom, height * zoom);
    context.imageSmoothingEnabled = zoom < 2;
    const rows = (result.rows / height) * result.preview.height;
    if (rows >= 1) context.drawImage(result.preview, 0, 0, result.preview.width, rows, left, top, width * zoom, result.rows * zoom);
    if (result.share === 1 || zoom <= result.share) return;
    if (this.detail) {
      const { image, x, y } = this.detail;
      context.drawImage(image, left + x * zoom, top + y * zoom, image.width * zoom, image.height * zoom);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetchDetail(left, top, zoom), SOON);
  }

  /** All pixels of what is seen of a result that is larger than its preview. */
  async fetchDetail(left, top, zoom) {
    const { canvas, shown } = this, { result } = shown;
    const x = Math.max(0, Math.floor(-left / zoom)), y = Math.max(0, Math.floor(-top / zoom));
    const right = Math.min(result.width, Math.ceil((canvas.width - left) / zoom));
    const bottom = Math.min(result.rows, Math.ceil((canvas.height - top) / zoom));
    const key = [x, y, right, bottom].join();
    if (this.detail?.key === key || right <= x || bottom <= y) return;
    const image = await result.region(x, y, right - x, bottom - y);
    if (this.shown !== shown) return;
    this.detail = { key, image, x, y };
    this.draw();
  }

  resize() {
    const { canvas } = this, dense = devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * dense));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * dense));
    this.draw();
  }

  /** Where on the canvas an event is, in screen pixels. */
  at(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect(), dense = this.canvas.width / width;
    return { x: (event.clientX - left) * dense, y: (event.clientY - top) * dense };
  }

  wheel(event) {
    if (!this.shown) return;
    event.preventDefault();
    this.zoomBy(-Math.sign(event.deltaY), this.at(event));
  }

  /** Moves the line where the picture is seen as a whole, and the picture where it is not. */
  grab(event) {
    if (!this.shown) return;
    const { canvas } = this, start = this.at(event), { x, y } = this;
    canvas.setPointerCapture(event.pointerId);
    const move = (event) => {
      const now = this.at(event), { zoom } = this.place();
      if (this.zoom) this.x = x + (now.x - start.x) / zoom, this.y = y + (now.y - start.y) / zoom;
      else this.line.value = (100 * now.x) / canvas.width;
      this.draw();
    };
    canvas.addEventListener("pointermove", move);
    const end = () => canvas.removeEventListener("pointermove", move);
    canvas.addEventListener("pointerup", end, { once: true });
    canvas.addEventListener("pointercancel", end, { once: true });
  }

  key(event) {
    const by = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!this.shown || event.ctrlKey || event.metaKey || event.altKey) return;
    if (by && this.zoom) this.x += (by[0] * ARROW) / this.zoom, this.y += (by[1] * ARROW) / this.zoom;
    else if (event.key === "+" || event.key === "=") this.zoomBy(1);
    else if (event.key === "-") this.zoomBy(-1);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.zoomTo(1);
    else return;
    event.preventDefault();
    this.draw();
  }
}
