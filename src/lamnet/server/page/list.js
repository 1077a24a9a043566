// The list of pictures: a button for each, with the picture in small, whose name says how it is doing.

const STATES = { waiting: "waiting", running: "being enlarged", done: "done", failed: "failed", stopped: "cancelled" };

export class List {
  /** In an element, which is hidden where there is no choice; `choose` gets the picture whose button is pressed. */
  constructor(element, choose) {
    Object.assign(this, { element, choose });
  }

  /** Makes the picture's button; `refresh` puts it into the list. */
  add(picture) {
    const item = document.createElement("li"), button = document.createElement("button"), image = document.createElement("img");
    picture.address = URL.createObjectURL(picture.file);
    Object.assign(image, { src: picture.address, alt: "", loading: "lazy", decoding: "async", onerror: () => image.replaceWith(picture.name) });
    Object.assign(button, { title: picture.name, type: "button", onclick: () => this.choose(picture) });
    button.append(image);
    item.append(button);
    picture.button = button;
  }

  release(picture) {
    URL.revokeObjectURL(picture.address);
  }

  refresh(pictures, current) {
    this.element.hidden = pictures.length < 2;
    const items = pictures.map(({ button }) => button.parentElement);
    if (this.element.childElementCount !== items.length) this.element.replaceChildren(...items);
    for (const picture of pictures) {
      picture.button.setAttribute("aria-label", `${picture.name}, ${STATES[picture.state]}`);
      picture.button.className = picture.state;
      picture.button.toggleAttribute("aria-current", picture === current);
    }
  }
}
