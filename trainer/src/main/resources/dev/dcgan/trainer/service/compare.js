// Two runs: curves on one chart, grids side by side.

import { follow, get, runPath, samplesPath } from './api.js';
import { Chart, fromZero, join } from './charts.js';
import { atMostEvery, byId, element, show, showImage, title } from './dom.js';
import { History, QUALITY, stepsPerEpoch } from './history.js';

const SIDES = ['a', 'b'];
const slider = byId('slider');
const pair = (name) => SIDES.map((side, i) => ({ label: `${side.toUpperCase()} ${name}`.trim(), color: i + 1 }));
const charts = {
  lossG: new Chart(byId('charts'), 'Generator’s loss', pair(''), 'No steps yet.', { range: fromZero }),
  lossD: new Chart(byId('charts'), 'Discriminator’s loss', pair(''), 'No steps yet.', { range: fromZero }),
  frechet: new Chart(
    byId('charts'), 'Fréchet distance (lower is better)',
    [...pair(''), { label: 'real vs real', color: 3, dashed: true }], 'Not evaluated yet.',
    { digits: 2, range: fromZero }),
  precision: new Chart(
    byId('charts'), 'Precision and recall (higher is better)',
    [
      { label: 'A precision', color: 1 }, { label: 'A recall', color: 1, dashed: true },
      { label: 'B precision', color: 2 }, { label: 'B recall', color: 2, dashed: true },
    ],
    'Not evaluated yet.',
    { range: [0, 1.02] }),
};
let shown = []; // {run, history, stop} of A and B

const draw = atMostEvery(50, drawNow);

function drawNow() {
  const [a, b] = shown;
  const columns = (one, ...names) => one.history.columns(stepsPerEpoch(one.run), ...names);
  const quality = (one, ...names) => one.history.quality(stepsPerEpoch(one.run), ...names);
  for (const name of ['lossG', 'lossD']) {
    charts[name].update(join(columns(a, name), columns(b, name)));
  }
  const frechet = join(quality(a, QUALITY.frechet[0]), quality(b, ...QUALITY.frechet));
  charts.frechet.update(frechet);
  const manifold = [QUALITY.precision[0], QUALITY.recall[0]];
  charts.precision.update(join(quality(a, ...manifold), quality(b, ...manifold)));
  const last = Math.max(0, ...shown.map((one) => one.history.samples.at(-1)?.epoch ?? 0));
  const wasLast = Number(slider.value) >= Number(slider.max);
  slider.max = last;
  slider.disabled = last === 0;
  if (wasLast) {
    slider.value = last;
  }
  drawSamples();
}

/** The grid of the chosen epoch, or the last one before it. */
function drawSamples() {
  const epoch = Number(slider.value);
  byId('epoch').textContent = epoch === 0 ? 'before the first step' : `epoch ${epoch}`;
  SIDES.forEach((side, i) => {
    const { run, history } = shown[i];
    const grid = history.samples.findLast((one) => one.epoch <= epoch);
    byId(`name-${side}`).textContent =
      `${side.toUpperCase()}: ${run.id}${grid ? `, epoch ${grid.epoch}` : ''}`;
    byId(`grid-${side}`).hidden = !grid;
    if (grid) {
      showImage(byId(`grid-${side}`), samplesPath(run.id, grid.name));
    }
  });
}

function drawSettings() {
  const [a, b] = shown.map((one) => one.run.config);
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  byId('settings').querySelector('tbody').replaceChildren(
    ...names
      .filter((name) => a[name] !== b[name])
      .map((name) =>
        element(
          'tr', {}, element('th', { scope: 'row' }, title(name)),
          element('td', {}, String(a[name] ?? '–')), element('td', {}, String(b[name] ?? '–')))));
}

async function compare() {
  shown.forEach((one) => one.stop());
  const ids = SIDES.map((side) => byId(side).value);
  window.history.replaceState(null, '', `compare.html?runs=${ids.map(encodeURIComponent).join(',')}`);
  try {
    const runs = await Promise.all(ids.map((id) => get(runPath(id))));
    slider.value = slider.max;
    shown = runs.map((run) => ({ run, history: new History(), stop: () => {} }));
    shown.forEach((one) => {
      one.stop = follow(
        one.run.id,
        (event) => {
          one.history.add(event);
          draw();
        },
        (error) => {
          if (error !== null) {
            show(byId('message'), `${one.run.id}: ${error.message}`, 'warning');
          }
        });
    });
    show(byId('message'), '');
    drawSettings();
    draw();
  } catch (e) {
    show(byId('message'), e.message, 'error');
  }
}

slider.addEventListener('input', drawSamples);
try {
  const { runs } = await get('v1/runs?page_size=200');
  const asked = (new URLSearchParams(location.search).get('runs') ?? '').split(',');
  SIDES.forEach((side, i) => {
    byId(side).append(...runs.map((run) => element('option', {}, run.id)));
    const fallback = runs[Math.min(i, runs.length - 1)]?.id ?? '';
    byId(side).value = runs.some((run) => run.id === asked[i]) ? asked[i] : fallback;
    byId(side).addEventListener('change', compare);
  });
  if (runs.length === 0) {
    show(byId('message'), 'No runs yet.');
  } else {
    await compare();
  }
} catch (e) {
  show(byId('message'), e.message, 'error');
}
