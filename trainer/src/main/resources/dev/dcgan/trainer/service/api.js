// Calls the service: JSON of its messages (dcgan/v1/trainer.proto).

/** A refused call; violations are {field, description} of the request. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message ?? `the server answered with status ${status}`);
    this.status = status;
    const detail = body?.details?.find((one) => one.fieldViolations);
    this.violations = detail ? detail.fieldViolations : [];
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('the server cannot be reached; trying again');
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    throw new ApiError(response.status, body);
  }
  return body;
}

export function get(path) {
  return call(path, { cache: 'no-store' });
}

export function post(path, body = {}) {
  return call(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export function runPath(id) {
  return `v1/runs/${encodeURIComponent(id)}`;
}

export function samplesPath(id, name) {
  return `${runPath(id)}/samples/${encodeURIComponent(name)}`;
}

/**
 * Follows the events of a run, from the first; the browser connects again by itself, and goes on
 * after the last event that it has.
 *
 * @param onEvent receives each RunEvent once
 * @param onEnd is called when the run has ended, or with an error if its events cannot be read
 * @return stops
 */
export function follow(id, onEvent, onEnd) {
  const source = new EventSource(`${runPath(id)}/events`);
  let next = 0;
  source.addEventListener('message', (message) => {
    const event = JSON.parse(message.data);
    if (Number(event.index) >= next) {
      next = Number(event.index) + 1;
      onEvent(event);
    }
  });
  source.addEventListener('end', () => {
    source.close();
    onEnd(null);
  });
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) {
      onEnd(new Error('its events cannot be read: another process may be training it'));
    }
  });
  return () => source.close();
}
