// The list of runs, newest first.

import { get, samplesPath } from './api.js';
import {
  best, byId, element, fraction, isActive, show, showFacts, showImage, showState, stateOf, time,
} from './dom.js';

const POLL_MS = 2000;
const PAGE_SIZE = 50;
const cards = new Map(); // by run id
const chosen = new Set();
let limit = PAGE_SIZE;

function card(run) {
  const thumbnail = element('img', {
    className: 'thumbnail pixels', alt: '', hidden: true,
  });
  const state = element('span', { className: 'state' });
  const progress = element('progress', { max: 1, 'aria-label': `Steps of ${run.id} done` });
  const facts = element('dl', { className: 'facts' });
  const reason = element('p', { className: 'muted' });
  const choose = element('input', { type: 'checkbox' });
  choose.addEventListener('change', () => {
    if (choose.checked) {
      chosen.add(run.id);
    } else {
      chosen.delete(run.id);
    }
    byId('compare').disabled = chosen.size !== 2;
  });
  const item = element(
    'li',
    { className: 'card run' },
    element('div', { className: 'thumbnail' }, thumbnail),
    element(
      'div',
      { className: 'body' },
      element(
        'div',
        { className: 'actions' },
        element('a', { className: 'name', href: `run.html?run=${encodeURIComponent(run.id)}` }, run.id),
        state),
      progress,
      facts,
      reason),
    element(
      'label', { className: 'choose' }, choose, 'Compare', element('span', { className: 'unseen' }, ` ${run.id}`)));
  return { item, thumbnail, state, progress, facts, reason };
}

function update({ thumbnail, state, progress, facts, reason }, run) {
  if (run.samples) {
    // The name of the run's newest grid changes with each epoch.
    showImage(thumbnail, samplesPath(run.id, run.samples));
  }
  showState(state, run);
  progress.value = fraction(run);
  showFacts(facts, {
    epoch: `${run.progress?.epoch ?? 0} of ${run.config.epochs}`,
    preset: run.config.preset,
    [isActive(run) ? 'time left' : 'time']: time(run),
    'best Fréchet distance': best(run),
  });
  const text = stateOf(run) === 'succeeded' ? '' : run.reason;
  reason.hidden = text === '';
  reason.textContent = text;
}

async function refresh() {
  const runs = [];
  let nextPageToken = '';
  do { // A page may have fewer than were asked for.
    const page = await get(
      `v1/runs?page_size=${limit - runs.length}&page_token=${nextPageToken}`);
    runs.push(...page.runs);
    ({ nextPageToken } = page);
  } while (nextPageToken !== '' && runs.length < limit);
  const list = byId('runs');
  runs.forEach((run, position) => {
    if (!cards.has(run.id)) {
      cards.set(run.id, card(run));
    }
    const shown = cards.get(run.id);
    update(shown, run);
    if (list.children[position] !== shown.item) {
      list.insertBefore(shown.item, list.children[position] ?? null);
    }
  });
  byId('more').hidden = nextPageToken === '';
  show(byId('message'), runs.length === 0 ? 'No runs yet.' : '');
}

async function poll() {
  if (!document.hidden) {
    try {
      await refresh();
    } catch (e) {
      show(byId('message'), e.message, 'error');
    }
  }
  setTimeout(poll, POLL_MS);
}

byId('compare').addEventListener('click', () => {
  location.href = `compare.html?runs=${[...chosen].map(encodeURIComponent).join(',')}`;
});
byId('more').addEventListener('click', () => {
  limit = Math.min(1000, limit + PAGE_SIZE);
  refresh().catch((e) => show(byId('message'), e.message, 'error'));
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) {
    refresh().catch(() => {}); // The next poll says so.
  }
});
get('v1/form').then((form) => {
  byId('start').hidden = !form.actions;
}, () => {});
poll();
