// A form of the fields of a run's config, with the service's own validation.

import { ApiError, get, post } from './api.js';
import { byId, element, show, title } from './dom.js';

const MAIN = ['preset', 'data', 'dataset', 'epochs', 'evaluate_every', 'model'];
const fields = new Map(); // by name: {field, input, problem}
let presets = [];

function input(field, id) {
  if (field.name === 'preset') {
    return element(
      'select', { id }, ...['', ...presets].map((name) =>
        element('option', { value: name }, name === '' ? 'auto' : name)));
  }
  if (field.type === 'BOOLEAN') {
    return element(
      'select', { id },
      element('option', { value: '' }, 'default'),
      element('option', { value: 'true' }, 'yes'),
      element('option', { value: 'false' }, 'no'));
  }
  const isNumber = ['INT', 'LONG', 'FLOAT'].includes(field.type);
  return element('input', {
    id, type: 'text', inputMode: isNumber ? 'decimal' : 'text', autocomplete: 'off', spellcheck: false,
  });
}

function add(field) {
  const id = `field-${field.name}`;
  const made = input(field, id);
  const problem = element('span', { className: 'problem', id: `${id}-problem`, hidden: true });
  // It names other settings by their options.
  const text = field.help.replace(/--([a-z-]+)/g, (option, name) => `“${title(name)}”`);
  const help = element('small', { id: `${id}-help` }, text);
  made.setAttribute('aria-describedby', `${problem.id} ${help.id}`);
  fields.set(field.name, { field, input: made, problem });
  byId(MAIN.includes(field.name) ? 'main' : 'rest').append(
    element(
      'div', { className: 'field' },
      element('label', { htmlFor: id }, title(field.name)), made, problem, help));
}

/** The defaults of the chosen preset. */
function showDefaults() {
  const preset = fields.get('preset').input.value;
  for (const { field, input: made } of fields.values()) {
    const values = [...new Set(Object.values(field.defaults))];
    made.placeholder =
      field.defaults[preset] || field.defaultText
      || (values.length > 1 ? 'by the preset' : values[0] ?? '');
  }
}

function config() {
  const made = {};
  for (const { field, input: { value } } of fields.values()) {
    const text = value.trim();
    if (text !== '') {
      made[field.name] = field.type === 'BOOLEAN' ? text === 'true' : text;
    }
  }
  return made;
}

function mark(name, text) {
  const { input: made, problem } = fields.get(name);
  problem.hidden = text === '';
  problem.textContent = text;
  made.setAttribute('aria-invalid', String(text !== ''));
}

/** Shows each violation at its field; returns those of no field. */
function markAll(violations) {
  const others = [];
  let first = null;
  for (const name of fields.keys()) {
    mark(name, '');
  }
  for (const { field, description } of violations) {
    const name = field.replace(/^config\./, '');
    if (!fields.has(name)) {
      others.push(`${field}: ${description}`);
      continue;
    }
    mark(name, description);
    const { input: made } = fields.get(name);
    const details = made.closest('details');
    if (details !== null) {
      details.open = true;
    }
    first ??= made;
  }
  first?.focus();
  return others;
}

// A repeated call starts the run once.
let requestId = crypto.randomUUID?.() ?? '';

byId('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  byId('submit').disabled = true;
  try {
    const run = await post('v1/runs', { requestId, config: config() });
    location.href = `run.html?run=${encodeURIComponent(run.id)}`;
  } catch (e) {
    const others = markAll(e instanceof ApiError ? e.violations : []);
    show(
      byId('message'),
      e.violations?.length > 0 ? ['Some settings are wrong.', ...others].join(' ') : e.message,
      'error');
    requestId = crypto.randomUUID?.() ?? '';
  } finally {
    byId('submit').disabled = false;
  }
});

try {
  const form = await get('v1/form');
  presets = form.presets;
  const order = (field) => (MAIN.includes(field.name) ? MAIN.indexOf(field.name) : MAIN.length);
  [...form.fields].sort((a, b) => order(a) - order(b)).forEach(add);
  fields.get('preset').input.addEventListener('change', showDefaults);
  showDefaults();
  if (!form.actions) {
    byId('submit').disabled = true;
    show(
      byId('message'),
      'This service starts no runs over HTTP: see --http-address and --http-actions.',
      'warning');
  }
} catch (e) {
  show(byId('message'), e.message, 'error');
}
