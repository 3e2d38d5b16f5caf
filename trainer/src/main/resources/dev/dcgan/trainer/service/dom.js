// Small helpers of the pages.

/** Makes an element: properties, then children (elements and texts). */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) {
      made[name] = value;
    } else {
      made.setAttribute(name, value);
    }
  }
  made.append(...children);
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Shows a message, or nothing if it is empty. */
export function show(message, text, kind = '') {
  message.hidden = text === '';
  message.className = `message ${kind}`;
  if (message.textContent !== text) {
    message.textContent = text;
  }
}

/** Replaces the entries of a list of facts, {name: value}. */
export function showFacts(list, facts) {
  list.replaceChildren(
    ...Object.entries(facts).map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value))));
}

/** Shows the image of an address, which then keeps its shape while another one loads. */
export function showImage(image, address) {
  if (image.getAttribute('src') !== address) {
    image.src = address;
  }
  image.hidden = false;
}

/** The state of a run in one word. */
export function stateOf(run) {
  return run.interrupted ? 'interrupted' : run.state.replace('RUN_STATE_', '').toLowerCase();
}

export function showState(badge, run) {
  const state = stateOf(run);
  badge.dataset.state = state;
  if (badge.textContent !== state) {
    badge.textContent = state;
  }
}

export function isActive(run) {
  return ['queued', 'running'].includes(stateOf(run));
}

/** The fraction of its steps that a run has done. */
export function fraction(run) {
  const steps = Number(run.progress?.steps ?? 0);
  return steps === 0 ? 0 : Number(run.progress.step) / steps;
}

/** 2 h 05 min, 3 min 20 s. */
export function duration(seconds) {
  const rounded = Math.round(seconds);
  const two = (number) => String(number).padStart(2, '0');
  if (rounded >= 3600) {
    return `${Math.floor(rounded / 3600)} h ${two(Math.floor(rounded / 60) % 60)} min`;
  }
  return rounded >= 60 ? `${Math.floor(rounded / 60)} min ${two(rounded % 60)} s` : `${rounded} s`;
}

/** The time that a run still takes, or how long it took. */
export function time(run) {
  if (stateOf(run) === 'running' && run.progress?.imagesPerSecond > 0) {
    return duration(run.progress.secondsLeft);
  }
  return run.started && run.ended
    ? duration((Date.parse(run.ended) - Date.parse(run.started)) / 1000)
    : '–';
}

export function number(value, digits = 3) {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/** The best Fréchet distance of a run. */
export function best(run) {
  return run.bestCheckpoint ? number(run.bestFrechetDistance, 2) : '–';
}

/** batchSize as "Batch size". */
export function title(name) {
  const words = name.replace(/[_-]/g, ' ').replace(/([A-Z0-9]+)/g, ' $1').toLowerCase().trim();
  return words.charAt(0).toUpperCase() + words.slice(1).replace(/ +/g, ' ');
}

/** A function that calls another one, once for all calls within some milliseconds. */
export function atMostEvery(milliseconds, call) {
  let isWaiting = false;
  return () => {
    if (!isWaiting) {
      isWaiting = true;
      setTimeout(() => {
        isWaiting = false;
        call();
      }, milliseconds);
    }
  };
}
