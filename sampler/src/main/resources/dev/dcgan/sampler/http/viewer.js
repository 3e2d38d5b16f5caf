// One image: large, with its permalink, downloads, and the call that makes it.

import { calls, fileName } from "./calls.js";
import { copy, crisp, element } from "./page.js";

const SCALES = [1, 4, 8];
const MAX_BYTES = 4 << 20; // of a response
const LANGUAGES = ["grpcurl", "Python", "Java", "curl"];

export class Viewer {
  #go;
  #dialog = element("image");
  #image = null;
  #count = 0;
  #calls = {};
  #language = LANGUAGES[0];

  /** go(index) opens another image, go(null) none. */
  constructor(go) {
    this.#go = go;
    element("image-previous").addEventListener("click", () => this.#step(-1));
    element("image-next").addEventListener("click", () => this.#step(1));
    this.#dialog.addEventListener("keydown", event => {
      if (event.target.matches("input, [role=tab]")) return;
      if (event.key === "ArrowLeft") this.#step(-1);
      if (event.key === "ArrowRight") this.#step(1);
    });
    element("image-close").addEventListener("click", () => go(null));
    this.#dialog.addEventListener("cancel", event => {
      event.preventDefault();
      go(null);
    });
    // A click beside the dialog is one on its backdrop.
    this.#dialog.addEventListener("click", event => event.target === this.#dialog && go(null));
    element("copy-permalink").addEventListener("click", event => {
      copy(element("permalink").value, event.target);
    });
    element("permalink").addEventListener("focus", event => event.target.select());
    element("copy-call").addEventListener("click", event => {
      copy(this.#calls[this.#language], event.target);
    });
    this.#makeTabs();
  }

  /** Opens an image; see calls() for `image`. `path` is its URL. */
  open(image, images, path, grpc) {
    const url = new URL(path, location.href).href;
    this.#image = image;
    this.#count = images.count;
    this.#calls = calls(image, grpc, url);
    const label = image.label ? `, class ${image.label}` : "";
    element("image-title").textContent = `Image ${image.index} of seed ${image.seed}${label}`;
    element("image-previous").disabled = image.index === 0;
    element("image-next").disabled = image.index === images.count - 1;
    images.draw(image.index, element("image-pixels"));
    const room = Math.min(364, innerWidth - 66);
    element("image-pixels").style.width = `${crisp(images.width, room)}px`;
    element("permalink").value = url;
    this.#showDownloads(image, images, path);
    this.#choose(this.#language);
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** At the scales at which the image fits into a response. */
  #showDownloads(image, { width, height }, path) {
    const scales = SCALES.filter(scale => width * height * 3 * scale * scale < MAX_BYTES);
    const links = scales.map(scale => {
      const link = document.createElement("a");
      link.className = "button";
      link.href = scale === 1 ? path : `${path}&scale=${scale}`;
      link.download = fileName(image, scale);
      link.textContent = `${scale}×`;
      link.setAttribute("aria-label", `Download at ${scale} times the size`);
      return link;
    });
    element("downloads").replaceChildren(element("downloads").firstElementChild, ...links);
  }

  /** Returns whether an image was open. */
  close() {
    const wasOpen = this.#dialog.open;
    if (wasOpen) this.#dialog.close();
    return wasOpen;
  }

  #step(by) {
    const index = this.#image.index + by;
    if (index >= 0 && index < this.#count) this.#go(index);
  }

  /** Tabs as in the ARIA Authoring Practices: arrow keys move between them. */
  #makeTabs() {
    const list = this.#dialog.querySelector("[role=tablist]");
    for (const language of LANGUAGES) {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `tab-${language}`;
      tab.textContent = language;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "call");
      tab.addEventListener("click", () => this.#choose(language));
      list.append(tab);
    }
    list.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      const next = (LANGUAGES.indexOf(this.#language) + by + LANGUAGES.length) % LANGUAGES.length;
      this.#choose(LANGUAGES[next]);
      element(`tab-${this.#language}`).focus();
    });
  }

  #choose(language) {
    this.#language = language;
    for (const one of LANGUAGES) {
      const tab = element(`tab-${one}`);
      tab.setAttribute("aria-selected", String(one === language));
      tab.tabIndex = one === language ? 0 : -1;
    }
    element("call").setAttribute("aria-labelledby", `tab-${language}`);
    element("call-text").textContent = this.#calls[language];
  }
}
