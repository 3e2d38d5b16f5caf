// The page: what the address names, the controls, the grid, and the state of the server.

import * as address from "./address.js";
import { Refusal, countImages, getImages, getModel, listModels, pause, persist } from "./server.js";
import { Selection } from "./selection.js";
import { Viewer } from "./viewer.js";
import { announce, copy, crisp, element } from "./page.js";

const SHEET_COLUMNS = 16;
const FIELDS = ["seed", "count", "columns", "temperature", "model", "version", "label"];
const MAX_COLUMNS = 100;
const TICK = 1000; // milliseconds between looks at the server, while the page is visible
const TICKS_BETWEEN_LISTS = 5;
const TICKS_BETWEEN_COUNTS = 2;

const grid = element("grid");
const selection = new Selection(imagesAt, picked => change({ selected: picked }, redraw));
const viewer = new Viewer(index => change({ image: index }, openOrClose));

let view = address.parse(location.search);
let catalog = null; // what listModels returned last
let chosen = null; // the version that the address names
let shown = null; // the images in the grid, and the version that made them
let loading = new AbortController();
let rate; // images per second; undefined: not known yet
let isPicking = false; // whether a click on an image selects it
let current = 0; // the image in the grid that Tab leads to

/** Changes what the page shows, and its address; then does what is needed. */
function change(by, then) {
  view = { ...view, ...by };
  const query = address.format(view);
  if (query !== location.search) history.pushState(null, "", query);
  then();
}

/** The path of images, of the version in the grid unless another is named. */
function imagePath(path, parameters, version = shown) {
  const named = { model: version.model, version: version.version };
  const query = new URLSearchParams({ ...named, ...parameters });
  if (view.temperature !== "1") query.set("temperature", view.temperature);
  if (view.label) query.set("label", view.label);
  return `${path}?${query.toString().replaceAll("%3A", ":")}`;
}

function imagesAt(path, parameters, signal) {
  const url = imagePath(path, parameters);
  return { url, images: () => getImages(url, Number(parameters.columns ?? 1), signal) };
}

/** Gets the images that the address names, and shows them; waits while the server is overloaded. */
async function load() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  grid.classList.add("stale");
  try {
    catalog ??= await persist(() => listModels(signal), tellWait, signal);
    if (catalog.models.length === 0) {
      tellNoModel();
      return;
    }
    const next = await persist(() => find(signal), tellWait, signal);
    chosen = next;
    fillControls();
    const { seed, count } = view;
    const sheet = { seed, count, format: "sheet", columns: SHEET_COLUMNS };
    const path = imagePath("/v1/images", sheet, next);
    next.images = await persist(() => getImages(path, SHEET_COLUMNS, signal), tellWait, signal);
    if (signal.aborted) return;
    shown = next;
    tell("");
    tellError("");
    redraw();
    announce(`${shown.images.count} images of seed ${shown.seed}`);
  } catch (e) {
    if (!signal.aborted) tellError(e instanceof Refusal ? e.message : `This page failed: ${e}`);
    if (!(e instanceof Refusal) && !signal.aborted) throw e;
  }
}

/** The version that the address names, or the one in service. */
async function find(signal) {
  const name = view.model || catalog.models[0].manifest.model.name;
  const served = catalog.models.find(one => one.manifest.model.name === name);
  let version = view.version || served?.servingVersion || "0";
  let manifest = served?.manifest;
  if (version !== served?.servingVersion) {
    const found = await getModel(name, version, signal);
    manifest = found.manifest;
    version = manifest.model.version;
  }
  return { model: name, version, manifest, seed: view.seed, served };
}

/** Shows what was loaded. */
function redraw() {
  if (!shown) return;
  const count = shown.images.count;
  while (grid.children.length > count) grid.lastChild.remove();
  while (grid.children.length < count) grid.append(tile(grid.children.length));
  current = Math.min(current, count - 1);
  [...grid.children].forEach((item, i) => {
    const name = `Image ${i} of seed ${shown.seed}`;
    const [button, pick] = [item.querySelector("button"), item.querySelector("input")];
    shown.images.draw(i, item.querySelector("canvas"));
    button.setAttribute("aria-label", name);
    pick.setAttribute("aria-label", `Select ${name.toLowerCase()}`);
    button.tabIndex = pick.tabIndex = i === current ? 0 : -1;
    const place = view.selected.indexOf(`${shown.seed}:${i}`);
    pick.checked = place >= 0;
    pick.disabled = place < 0 && view.selected.length === 3;
    item.classList.toggle("picked", place >= 0);
    item.dataset.letter = "ABC"[place] ?? "";
  });
  grid.classList.remove("stale");
  grid.classList.toggle("picking", isPicking || view.selected.length > 0);
  document.title = `seed ${shown.seed} · ${shown.model}/${shown.version}`;
  fillControls();
  tellServing();
  fit();
  selection.show(view.selected, shown, `${view.temperature} ${view.label}`);
  openOrClose();
}

/** One image of the grid: a button that opens it, and a box that selects it. */
function tile(index) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tile";
  const canvas = document.createElement("canvas");
  canvas.className = "pixels";
  button.append(canvas);
  button.addEventListener("click", () => {
    if (isPicking) toggle(index);
    else change({ image: index }, openOrClose);
  });
  const box = document.createElement("span");
  box.className = "pick";
  const pick = document.createElement("input");
  pick.type = "checkbox";
  pick.addEventListener("change", () => toggle(index));
  box.append(pick);
  item.append(button, box);
  item.addEventListener("focusin", () => moveTo(index, false));
  return item;
}

function toggle(index) {
  const point = `${shown.seed}:${index}`;
  const others = view.selected.filter(one => one !== point);
  const isNew = others.length === view.selected.length;
  if (isNew && others.length === 3) {
    announce("Three images are selected already");
    return;
  }
  change({ selected: isNew ? [...others, point] : others }, redraw);
}

function openOrClose() {
  const isThere = shown && view.image !== null && view.image < shown.images.count;
  if (!isThere) {
    const last = current;
    if (viewer.close()) moveTo(last, true);
    return;
  }
  const image = { model: shown.model, version: shown.version, seed: shown.seed, index: view.image };
  if (view.temperature !== "1") image.temperature = view.temperature;
  if (view.label) image.label = view.label;
  const one = { seed: shown.seed, first: view.image, count: 1, format: "png" };
  const path = imagePath("/v1/images", one);
  viewer.open(image, shown.images, path, catalog.grpc);
  moveTo(view.image, false);
}

/** Moves Tab's place in the grid, as arrow keys do. */
function moveTo(index, withFocus) {
  const [from, to] = [grid.children[current], grid.children[index]];
  if (!to) return;
  from?.querySelectorAll("button, input").forEach(one => (one.tabIndex = -1));
  to.querySelectorAll("button, input").forEach(one => (one.tabIndex = 0));
  current = index;
  if (withFocus) to.querySelector("button").focus();
}

grid.addEventListener("keydown", event => {
  const columns = Number(grid.style.getPropertyValue("--columns"));
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const last = grid.children.length - 1;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in moves) moveTo(current + moves[event.key], true);
  else if (event.key === "Home") moveTo(0, true);
  else if (event.key === "End") moveTo(last, true);
  else if (event.key === "s") toggle(current);
  else return;
  event.preventDefault();
});

/** Chooses columns so that all images fit and are large, unless the address names a number. */
function fit() {
  if (!shown) return;
  const { width, height, count } = shown.images;
  const gap = parseFloat(getComputedStyle(grid).columnGap);
  const padding = parseFloat(getComputedStyle(grid.parentElement).paddingLeft);
  const room = grid.parentElement.clientWidth - 2 * padding;
  const below = innerHeight - (grid.getBoundingClientRect().top + scrollY) - padding;
  const side = columns => crisp(width, (room - gap * (columns - 1)) / columns);
  const asked = Math.round(Number(view.columns)) || 0;
  const columns = asked > 0 ? Math.min(asked, MAX_COLUMNS) : best();
  grid.style.setProperty("--columns", columns);
  grid.style.setProperty("--side", `${side(columns)}px`);
  grid.style.setProperty("--ratio", `${width} / ${height}`);

  /** The number that fits with the largest images; a full last row, where that costs little. */
  function best() {
    const smallest = room < 600 ? 80 : 96;
    const most = Math.max(1, Math.min(count, Math.floor((room + gap) / (smallest + gap))));
    let found = most;
    let score = 0;
    for (let n = 1; n <= most; n++) {
      const rows = Math.ceil(count / n);
      const isLow = rows * ((side(n) * height) / width + gap) <= below;
      const value = side(n) * (0.75 + (0.25 * count) / (n * rows));
      if (isLow && value > score) [found, score] = [n, value];
    }
    return found;
  }
}

/** Shows in the controls what the address names, except where someone is typing. */
function fillControls() {
  for (const name of ["seed", "count", "columns", "temperature"]) {
    if (element(name) !== document.activeElement) element(name).value = view[name];
  }
  element("temperature-value").textContent = element("temperature").value;
  if (!catalog?.models.length) return;
  const names = catalog.models.map(one => one.manifest.model.name);
  element("model-field").hidden = names.length < 2;
  fillSelect("model", names.map(name => [name, name]), chosen?.model ?? view.model);
  if (!chosen) return;
  const { servingVersion, availableVersions = [] } = chosen.served ?? {};
  const versions = availableVersions.map(version => [version, version]);
  fillSelect("version", [["", `${servingVersion} (in service)`], ...versions], view.version);
  const classes = chosen.manifest.classes ?? [];
  element("label-field").hidden = classes.length === 0;
  fillSelect("label", [["", "all"], ...classes.map(one => [one.name, one.name])], view.label);
}

function fillSelect(id, options, value) {
  const select = element(id);
  // Not made anew for nothing: that would close a list that is open.
  const before = [...select.options].map(option => [option.value, option.text]);
  if (JSON.stringify(before) !== JSON.stringify(options)) {
    select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  }
  select.value = value;
}

function tell(text, ...more) {
  const status = element("status");
  status.hidden = !text;
  status.replaceChildren(text, ...more);
}

function tellWait(refusal, seconds) {
  element("status").classList.add("warning");
  const busy = refusal.status === 0 ? "" : "The server is busy: ";
  tell(`${busy}${refusal.message} Trying again in ${seconds} s.`);
}

function tellNoModel() {
  shown = chosen = null;
  grid.replaceChildren();
  selection.show([], null, "");
  element("status").classList.remove("warning");
  const skipped = catalog.skipped.slice(0, 5).map(one => {
    const line = document.createElement("div");
    line.className = "muted";
    line.textContent = `Not served: ${one.path}: ${one.reason}`;
    return line;
  });
  tell("No model is served yet. Images appear here as soon as one is published.", ...skipped);
  tellServing();
}

/** Shows the server's line, and at which field it is. */
function tellError(line) {
  const error = element("error");
  error.hidden = !line;
  if (error.textContent !== line) error.textContent = line;
  const field = FIELDS.find(name => new RegExp(`^${name}\\b`).test(line));
  for (const name of FIELDS) {
    element(name).toggleAttribute("aria-invalid", false);
    element(name).removeAttribute("aria-describedby");
  }
  if (!line) return;
  tell("");
  if (field) {
    element(field).setAttribute("aria-invalid", "true");
    element(field).setAttribute("aria-describedby", "error");
    if (field !== "seed") element("more").open = true;
  }
}

function tellServing() {
  const parts = [];
  if (shown) {
    const { width, height, model, provider } = shown.images;
    parts.push(model, `${width} × ${height} pixels`, provider);
  }
  if (rate !== undefined) parts.push(`${rate} images/s`);
  element("serving").textContent = parts.join(" · ");
}

/** While the page is visible, looks at the server: its models, and images per second. */
async function watch() {
  let count = null;
  let countedAt = 0;
  for (let tick = 0; ; tick++) {
    await pause(TICK);
    if (document.hidden) {
      count = null;
      continue;
    }
    try {
      if (tick % TICKS_BETWEEN_LISTS === 0 || catalog?.models.length === 0) await refresh();
      if (tick % TICKS_BETWEEN_COUNTS === 0) {
        const now = await countImages();
        const seconds = (performance.now() - countedAt) / 1000;
        if (count !== null && now !== null) rate = Math.max(0, Math.round((now - count) / seconds));
        count = now;
        countedAt = performance.now();
      }
    } catch (e) {
      count = null; // The server is away; load() says so, if anything is to be loaded.
    }
    tellServing();
  }
}

/** Loads again if another version is in service, or a model has appeared. */
async function refresh() {
  const serving = () =>
    JSON.stringify(catalog?.models.map(one => [one.manifest.model, one.availableVersions]));
  const before = serving();
  const hadModels = catalog?.models.length > 0;
  catalog = await listModels();
  if (serving() === before) return;
  if (hadModels || catalog.models.length > 0) load();
}

element("controls").addEventListener("change", event => {
  const { id, value } = event.target;
  if (!FIELDS.includes(id)) return;
  const by = { [id]: value.trim() };
  if (id === "model") Object.assign(by, { version: "", label: "" });
  if (id === "seed" && by.seed === "") by.seed = "0";
  if (id === "count" && by.count === "") by.count = "25";
  change(by, id === "columns" ? redraw : load);
});
element("controls").addEventListener("submit", event => {
  event.preventDefault();
});
element("temperature").addEventListener("input", event => {
  element("temperature-value").textContent = event.target.value;
});

function goTo(seed) {
  change({ seed }, () => {
    element("seed").value = seed;
    load();
  });
}
element("previous").addEventListener("click", () => goTo(address.step(view.seed, -1)));
element("next").addEventListener("click", () => goTo(address.step(view.seed, 1)));
element("random").addEventListener("click", () => goTo(address.random()));
element("copy-link").addEventListener("click", event => {
  const pinned = shown ? { ...view, model: shown.model, version: shown.version } : view;
  copy(new URL(address.format(pinned), location.href).href, event.target);
});
addEventListener("popstate", () => {
  view = address.parse(location.search);
  document.activeElement.blur();
  load();
});
element("picking").addEventListener("click", event => {
  isPicking = !isPicking;
  event.target.setAttribute("aria-pressed", String(isPicking));
  redraw();
});
addEventListener("resize", fit);
element("more").addEventListener("toggle", fit);
const wide = matchMedia("(min-width: 44.01rem)");
wide.addEventListener("change", () => (element("more").open = wide.matches));
element("more").open = wide.matches;

fillControls();
load();
watch();
