// The selected images: a slider between two, a - b + c of three.

import { Refusal, persist } from "./server.js";
import { crisp, element } from "./page.js";

const MAX_FRAMES = 33;
const FRAME_COLUMNS = 8;
const MAX_FRAME_BYTES = 3 << 20; // a response has at most 4 MiB

export class Selection {
  #imagesAt;
  #shown = ""; // what the panel shows, as text
  #loading = new AbortController();
  #frames = null;

  /**
   * imagesAt(path, parameters, signal) gets images of the version that is shown; pick(points)
   * changes the selection.
   */
  constructor(imagesAt, pick) {
    this.#imagesAt = imagesAt;
    element("clear").addEventListener("click", () => pick([]));
    element("slider").addEventListener("input", () => this.#drawFrame());
  }

  /**
   * Shows what can be made of the selected images, each SEED:INDEX; `settings` is all else that
   * they depend on.
   */
  show(points, version, settings) {
    const what = JSON.stringify([points, version?.model, version?.version, settings]);
    if (what === this.#shown) return;
    this.#shown = what;
    this.#loading.abort();
    this.#loading = new AbortController();
    element("tray").hidden = points.length === 0;
    if (points.length > 0) this.#load(points, version, this.#loading.signal);
  }

  async #load(points, version, signal) {
    const titles = [
      "Select a second image",
      "From A to B",
      "A − B + C",
    ];
    element("tray-title").textContent = titles[points.length - 1];
    element("slider").hidden = points.length !== 2;
    element("tray").classList.toggle("sliding", points.length === 2);
    element("result").hidden = element("result-link").hidden = points.length === 1;
    this.#frames = null;
    const tell = (refusal, seconds) =>
      (element("tray-status").textContent = `${refusal.message} Trying again in ${seconds} s.`);
    try {
      await persist(() => this.#drawTerms(points, signal), tell, signal);
      if (points.length === 2) {
        await persist(() => this.#interpolate(points, version, signal), tell, signal);
      } else if (points.length === 3) {
        await persist(() => this.#add(points, signal), tell, signal);
      }
      element("tray-status").textContent = "";
    } catch (e) {
      if (signal.aborted) return;
      if (!(e instanceof Refusal)) throw e;
      element("tray-status").textContent = e.message;
    }
  }

  /** The selected images themselves, with the signs of the sum between them. */
  async #drawTerms(points, signal) {
    const images = await Promise.all(
      points.map(point => {
        const [seed, first] = point.split(":");
        const one = { seed, first, count: 1, format: "sheet", columns: 1 };
        return this.#imagesAt("/v1/images", one, signal).images();
      }),
    );
    if (signal.aborted) return;
    const signs = points.length === 3 ? ["", "−", "+"] : ["", ""];
    const terms = images.flatMap((image, i) => {
      const sign = document.createElement("span");
      sign.textContent = signs[i];
      const canvas = document.createElement("canvas");
      canvas.className = "pixels";
      canvas.title = `${"ABC"[i]}: image ${points[i].replace(/(.*):(.*)/, "$2 of seed $1")}`;
      image.draw(0, canvas);
      return i === 0 ? [canvas] : [sign, canvas];
    });
    element("terms").replaceChildren(...terms);
  }

  async #interpolate([from, to], version, signal) {
    const { width, height, channels } = version.manifest.shape;
    const fit = Math.floor(MAX_FRAME_BYTES / (width * height * channels));
    const count = Math.max(2, Math.min(MAX_FRAMES, fit));
    const parameters = { from, to, count, format: "sheet", columns: FRAME_COLUMNS };
    const { url, images } = this.#imagesAt("/v1/interpolate", parameters, signal);
    const frames = await images();
    if (signal.aborted) return;
    this.#frames = frames;
    element("slider").max = count - 1;
    element("slider").value = Math.floor((count - 1) / 2);
    element("result-link").href = url;
    element("result-link").textContent = `All ${count} images as PNG`;
    this.#drawFrame();
  }

  #drawFrame() {
    const slider = element("slider");
    const frame = Number(slider.value);
    slider.setAttribute("aria-valuetext", `${Math.round((100 * frame) / slider.max)} % of the way`);
    if (this.#frames) this.#draw(this.#frames, frame);
  }

  #draw(images, i) {
    images.draw(i, element("result"));
    element("result").style.width = `${crisp(images.width, innerWidth < 704 ? 140 : 176)}px`;
  }

  async #add([a, b, c], signal) {
    const sheet = { a, b, c, format: "sheet", columns: 1 };
    const sum = await this.#imagesAt("/v1/arithmetic", sheet, signal).images();
    if (signal.aborted) return;
    this.#draw(sum, 0);
    const link = this.#imagesAt("/v1/arithmetic", { a, b, c, scale: 4 }, signal);
    element("result-link").href = link.url;
    element("result-link").textContent = "Open as PNG";
  }
}
