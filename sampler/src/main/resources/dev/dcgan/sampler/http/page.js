// What all parts of the page need.

export function element(id) {
  return document.getElementById(id);
}

/** The most CSS pixels, up to `room`, at which each of `pixels` is whole pixels of the screen. */
export function crisp(pixels, room) {
  const times = Math.floor((room * devicePixelRatio) / pixels);
  return times < 1 ? room : (times * pixels) / devicePixelRatio;
}

/** Tells users of a screen reader. */
export function announce(text) {
  element("announce").textContent = text;
}

/** Copies a text and says so on the button. */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // There is no clipboard on pages that came over plain HTTP from another machine.
    const area = document.createElement("textarea");
    area.value = text;
    button.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => (button.textContent = label), 1500);
}
