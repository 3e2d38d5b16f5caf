// One run, live.

import { follow, get, post, runPath, samplesPath } from './api.js';
import { Chart, fromZero } from './charts.js';
import {
  atMostEvery, best, byId, element, fraction, isActive, number, show, showFacts, showImage,
  showState, stateOf, time, title,
} from './dom.js';
import { History, QUALITY, stepsPerEpoch } from './history.js';

const REFRESH_MS = 500;
const PLAY_MS = 400;
const POLL_MS = 5000;
const MAX_WARNINGS = 50;
const id = new URLSearchParams(location.search).get('run') ?? '';
const history = new History();
const slider = byId('slider');
const charts = {
  loss: new Chart(
    byId('charts'),
    'Loss',
    [{ label: 'discriminator', color: 1 }, { label: 'generator', color: 2 }],
    'No steps yet.',
    { range: fromZero }),
  scores: new Chart(
    byId('charts'),
    'Discriminator’s scores',
    [{ label: 'D(x), real', color: 1 }, { label: 'D(G(z)), generated', color: 2 }],
    'No steps yet.',
    { range: [0, 1] }),
  frechet: new Chart(
    byId('charts'),
    'Fréchet distance (lower is better)',
    [{ label: 'generated', color: 1 }, { label: 'real vs real', color: 3, dashed: true }],
    'Not evaluated yet. The setting “Evaluate every” says when.',
    { digits: 2, range: fromZero }),
  manifold: new Chart(
    byId('charts'),
    'Precision and recall (higher is better)',
    [
      { label: 'precision', color: 1 },
      { label: 'precision, real', color: 1, dashed: true },
      { label: 'recall', color: 2 },
      { label: 'recall, real', color: 2, dashed: true },
    ],
    'Not evaluated yet.',
    { range: [0, 1.02] }),
};

let run = null;
let newest = null; // state and reason that are not drawn yet
let actions = false;
let playing = 0;

const draw = atMostEvery(50, drawNow);

function drawNow() {
  if (newest !== null) {
    run = { ...run, ...newest };
    newest = null;
    drawRun();
  }
  const perEpoch = stepsPerEpoch(run);
  charts.loss.update(history.columns(perEpoch, 'lossD', 'lossG'));
  charts.scores.update(history.columns(perEpoch, 'real', 'fake'));
  charts.frechet.update(history.quality(perEpoch, ...QUALITY.frechet));
  charts.manifold.update(history.quality(perEpoch, ...QUALITY.precision, ...QUALITY.recall));
  drawSamples();
  drawWarnings();
}

// Samples

function drawSamples() {
  const count = history.samples.length;
  const wasLast = Number(slider.value) >= Number(slider.max);
  slider.max = Math.max(0, count - 1);
  slider.disabled = count < 2;
  byId('play').disabled = count < 2;
  if (wasLast && playing === 0) {
    slider.value = slider.max;
  }
  byId('no-samples').hidden = count > 0;
  if (count > 0) {
    showSamples();
  }
}

function showSamples() {
  const shown = history.samples[Number(slider.value)];
  const last = history.samples.at(-1);
  showImage(byId('grid'), samplesPath(id, shown.name));
  byId('epoch').textContent =
    shown.epoch === 0 ? 'before the first step' : `epoch ${shown.epoch} of ${run.config.epochs}`;
  slider.setAttribute('aria-valuetext', `epoch ${shown.epoch}`);
  // The same real images in each epoch.
  if (byId('real').hidden) {
    showImage(byId('real'), `${runPath(id)}/real-vs-generated.png`);
  }
  byId('grid').alt = `Images generated after epoch ${shown.epoch}; the newest are of ${last.epoch}`;
}

function play() {
  if (playing !== 0) {
    clearInterval(playing);
    playing = 0;
  } else {
    slider.value = 0;
    showSamples();
    playing = setInterval(() => {
      if (Number(slider.value) >= Number(slider.max)) {
        play();
        return;
      }
      slider.value = Number(slider.value) + 1;
      showSamples();
    }, PLAY_MS);
  }
  byId('play').textContent = playing === 0 ? 'Play' : 'Pause';
}

/** The left half of real-vs-generated.png has the shape of a grid. */
byId('grid').addEventListener('load', () => {
  const { naturalWidth, naturalHeight } = byId('grid');
  for (const image of [byId('grid'), byId('real')]) {
    image.style.aspectRatio = `${naturalWidth} / ${naturalHeight}`;
  }
});
slider.addEventListener('input', showSamples);
byId('play').addEventListener('click', play);

// Progress, checkpoints, settings

function drawWarnings() {
  const { warnings } = history;
  byId('warnings').hidden = warnings.length === 0;
  const newestFirst = warnings.slice(-MAX_WARNINGS).reverse().map((one) =>
    element(
      'li',
      { className: one.cleared ? 'message' : 'message warning' },
      `${one.cleared ? 'Resolved at step' : 'Step'} ${one.step}: ${one.message}`));
  byId('newest-warnings').replaceChildren(...newestFirst.slice(0, 2));
  byId('earlier-warnings').replaceChildren(...newestFirst.slice(2));
  byId('earlier').hidden = newestFirst.length <= 2;
  byId('published').replaceChildren(
    ...history.published.map((one) =>
      element(
        'li', {}, `Published ${one.model.name}/${one.model.version}, of epoch ${one.epoch}`)));
}

function drawRun() {
  const percent = Math.round(100 * fraction(run));
  document.title = isActive(run) ? `${percent} % · ${id}` : `${stateOf(run)} · ${id}`;
  showState(byId('state'), run);
  byId('reason').textContent = run.reason;
  byId('progress').value = fraction(run);
  showFacts(byId('facts'), {
    epoch: `${run.progress?.epoch ?? 0} of ${run.config.epochs}`,
    step: `${Number(run.progress?.step ?? 0).toLocaleString('en')}`,
    'images/s': number(run.progress?.imagesPerSecond ?? NaN, 0),
    [isActive(run) ? 'time left' : 'time']: time(run),
    'best Fréchet distance': best(run),
    device: run.device || run.config.device,
  });
  byId('actions').hidden = !actions;
  byId('stop').hidden = !isActive(run);
  byId('resume').hidden = !['stopped', 'failed', 'succeeded'].includes(stateOf(run));
  drawCheckpoints();
  byId('config').querySelector('dl').replaceChildren(
    ...Object.entries(run.config)
      .filter(([, value]) => value !== '')
      .map(([name, value]) =>
        element('div', {}, element('dt', {}, title(name)), element('dd', {}, String(value)))));
}

function drawCheckpoints() {
  const list = byId('files');
  const files = run.checkpoints.join() + run.bestCheckpoint;
  if (list.dataset.files === files) {
    return; // Someone may be typing there.
  }
  list.dataset.files = files;
  list.replaceChildren(...[...run.checkpoints].reverse().map(checkpoint));
  byId('no-checkpoints').hidden = run.checkpoints.length > 0;
}

function checkpoint(file) {
  const use = element('div', { className: 'use' });
  if (actions) {
    const model = element('input', {
      value: run.config.model, 'aria-label': `Name to publish ${file} under`,
    });
    const button = element('button', { type: 'submit' }, 'Publish');
    const form = element('form', {}, model, button);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      publish(file, model, button);
    });
    use.append(
      element('a', { className: 'button', href: `${runPath(id)}/checkpoints/${file}` }, 'Download'),
      form);
  }
  const name = file === run.bestCheckpoint ? `${file} (best)` : file;
  return element('li', { className: 'checkpoint' }, element('code', {}, name), use);
}

async function publish(file, model, button) {
  button.disabled = true;
  byId('publishing').textContent = 'Publishing …';
  try {
    const { model: made } = await post(
      `${runPath(id)}:publish`, { checkpoint: file, model: model.value });
    byId('publishing').textContent = `Published ${made.name}/${made.version}`;
  } catch (e) {
    byId('publishing').textContent = `Cannot publish: ${e.message}`;
  } finally {
    button.disabled = false;
  }
}

// Calls

async function act(action) {
  try {
    await action();
    show(byId('message'), '');
  } catch (e) {
    show(byId('message'), e.message, 'error');
  }
}

byId('stop').addEventListener('click', () =>
  act(async () => {
    run = await post(`${runPath(id)}:stop`);
    drawRun();
    refreshSoon();
  }));
byId('resume').addEventListener('submit', (event) => {
  event.preventDefault();
  act(async () => {
    const epochs = Number(byId('epochs').value);
    const next = await post(
      `${runPath(id)}:resume`,
      epochs === run.config.epochs && stateOf(run) !== 'succeeded' ? {} : { epochs });
    location.href = `run.html?run=${encodeURIComponent(next.id)}`;
  });
});

async function refresh() {
  run = await get(runPath(id));
  drawRun();
}

let refreshing = 0;

/** Reads the run once after many events. */
function refreshSoon() {
  if (refreshing === 0) {
    refreshing = setTimeout(() => {
      refreshing = 0;
      refresh().catch((e) => {
        // `trainer train` ends with its run; the events have said how.
        show(byId('message'), isActive(run) ? e.message : '', 'error');
      });
    }, REFRESH_MS);
  }
}

async function begin() {
  byId('title').textContent = id;
  await act(async () => {
    actions = (await get('v1/form')).actions;
    await refresh();
    byId('epochs').value =
      stateOf(run) === 'succeeded' ? 2 * run.config.epochs : run.config.epochs;
    follow(
      id,
      (event) => {
        history.add(event);
        newest = event.stateChanged ?? newest;
        draw();
        refreshSoon();
      },
      (error) => {
        refreshSoon();
        if (error !== null) {
          show(byId('message'), error.message, 'warning');
          setInterval(refreshSoon, POLL_MS);
        }
      });
  });
}

begin();
