// Requests to the sampler. Everything comes from the page's own origin.

const GAP = 2; // between the images of a contact sheet, in pixels

/** Why a request failed: the server's line, and when to try again, in seconds (0: never). */
export class Refusal extends Error {
  constructor(status, line, retryAfter) {
    super(line);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function get(path, signal) {
  let response;
  try {
    response = await fetch(path, { signal });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Refusal(0, "The server does not answer.", 2);
  }
  if (!response.ok) {
    const line = (await response.text()).trim();
    const isTemporary = [429, 503, 504].includes(response.status);
    const wait = Number(response.headers.get("Retry-After")) || 2;
    throw new Refusal(response.status, line, isTemporary ? wait : 0);
  }
  return response;
}

/** The served models, what is not served and why, and where gRPC is. */
export async function listModels(signal) {
  const response = await get("/v1/models", signal);
  const { models = [], skipped = [] } = await response.json();
  const grpc = {
    address: `${location.hostname}:${response.headers.get("X-Grpc-Port")}`,
    tls: response.headers.get("X-Grpc-Tls") === "true",
  };
  return { models, skipped, grpc };
}

/** One version of a model, with its manifest. */
export async function getModel(model, version, signal) {
  const query = new URLSearchParams({ model, version });
  return (await get(`/v1/model?${query}`, signal)).json();
}

/**
 * Images, from a contact sheet: draw(i, canvas) draws one, pixel by pixel.
 *
 * `columns` must be those of the sheet.
 */
export async function getImages(path, columns, signal) {
  const response = await get(path, signal);
  const [width, height] = response.headers.get("X-Image-Shape").split("x").map(Number);
  const sheet = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  return {
    width,
    height,
    count: Number(response.headers.get("X-Image-Count")),
    model: response.headers.get("X-Model"),
    provider: response.headers.get("X-Provider"),
    draw(i, canvas) {
      canvas.width = width;
      canvas.height = height;
      const x = GAP + (i % columns) * (width + GAP);
      const y = GAP + Math.floor(i / columns) * (height + GAP);
      canvas.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
    },
  };
}

/** All images that the server has sent since its start, or null if it does not say. */
export async function countImages() {
  const response = await fetch("/metrics?name[]=sampler_images_total");
  if (!response.ok) return null;
  let total = 0;
  const lines = (await response.text()).matchAll(/^sampler_images_total\{.*\} (\S+)$/gm);
  for (const [, value] of lines) {
    total += Number(value);
  }
  return total;
}

/**
 * Does a task, again and again while the server refuses it for now.
 *
 * onWait(refusal, seconds) is called each second before the next try.
 */
export async function persist(task, onWait, signal) {
  for (;;) {
    try {
      return await task();
    } catch (e) {
      if (!(e instanceof Refusal) || !e.retryAfter) throw e;
      for (let left = e.retryAfter; left > 0; left--) {
        onWait(e, left);
        await pause(1000, signal);
      }
    }
  }
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
