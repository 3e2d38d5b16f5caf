// The address of the page names what it shows: /?seed=42&count=25. Parameters are those of
// /v1/images; "selected" and "image" are the page's own.

/** What a query shows. Values stay text: the server checks them, and says what is wrong. */
export function parse(query) {
  const given = new URLSearchParams(query);
  const selected = (given.get("selected") ?? "").split(",").filter(one => /^\d+:\d+$/.test(one));
  return {
    seed: given.get("seed") || "0",
    count: given.get("count") || "25",
    columns: given.get("columns") ?? "",
    temperature: given.get("temperature") || "1",
    model: given.get("model") ?? "",
    version: given.get("version") ?? "",
    label: given.get("label") ?? "",
    selected: [...new Set(selected)].slice(0, 3),
    image: /^\d+$/.test(given.get("image") ?? "") ? Number(given.get("image")) : null,
  };
}

/** The query that shows it; what is as by default is left out, except for seed and count. */
export function format(view) {
  const query = new URLSearchParams();
  if (view.model) query.set("model", view.model);
  if (view.version) query.set("version", view.version);
  query.set("seed", view.seed);
  query.set("count", view.count);
  if (view.columns) query.set("columns", view.columns);
  if (view.temperature !== "1") query.set("temperature", view.temperature);
  if (view.label) query.set("label", view.label);
  if (view.selected.length) query.set("selected", view.selected.join(","));
  if (view.image !== null) query.set("image", view.image);
  return "?" + query.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
}

/** The seed that is `by` away; seeds are unsigned 64-bit numbers and wrap around. */
export function step(seed, by) {
  return /^\d+$/.test(seed) ? String(BigInt.asUintN(64, BigInt(seed) + BigInt(by))) : "0";
}

/** A random seed that is short enough to read out. */
export function random() {
  return String(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
}
