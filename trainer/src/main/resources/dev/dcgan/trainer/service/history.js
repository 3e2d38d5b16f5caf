// What the events of a run add up to.

/** The metrics of quality that charts show; each has a baseline of real images. */
export const QUALITY = {
  frechet: ['frechet_distance', 'frechet_floor'],
  precision: ['precision', 'precision_floor'],
  recall: ['recall', 'recall_floor'],
};

export class History {
  constructor() {
    this.steps = []; // {step, epoch, lossD, lossG, real, fake}
    this.evaluations = []; // {step, quality}
    this.samples = []; // {epoch, name}, ascending
    this.warnings = []; // {time, step, kind, message, cleared}
    this.published = []; // {epoch, model}
  }

  add(event) {
    if (event.step) {
      this.#addStep(event.step);
    } else if (event.epochCompleted) {
      const { metrics } = event.epochCompleted;
      const last = this.steps.at(-1);
      // Epochs of few steps have no events of steps.
      if (last === undefined || last.epoch < metrics.epoch) {
        this.#addStep(metrics);
      }
    } else if (event.evaluated) {
      const { step, quality } = event.evaluated;
      this.evaluations = this.evaluations.filter((one) => one.step < Number(step));
      this.evaluations.push({ step: Number(step), quality });
    } else if (event.samplesSaved) {
      const { epoch, name } = event.samplesSaved;
      this.samples = this.samples.filter((one) => one.epoch < epoch);
      this.samples.push({ epoch, name });
    } else if (event.warning) {
      this.warnings.push({ time: event.time, ...event.warning });
    } else if (event.modelPublished) {
      this.published.push(event.modelPublished);
    } else if (event.resumed) {
      // Later steps are repeated.
      const step = Number(event.resumed.step);
      this.steps = this.steps.filter((one) => one.step <= step);
      this.evaluations = this.evaluations.filter((one) => one.step <= step);
    }
  }

  #addStep(metrics) {
    this.steps.push({
      step: Number(metrics.step),
      epoch: metrics.epoch,
      lossD: Number(metrics.discriminatorLoss),
      lossG: Number(metrics.generatorLoss),
      real: Number(metrics.realScore),
      fake: Number(metrics.fakeScore),
    });
  }

  /** Columns for a chart: x in epochs, then a column for each named metric of the steps. */
  columns(stepsPerEpoch, ...names) {
    return [
      this.steps.map((one) => one.step / stepsPerEpoch),
      ...names.map((name) => this.steps.map((one) => one[name])),
    ];
  }

  /** As columns, for metrics of the evaluations. */
  quality(stepsPerEpoch, ...names) {
    return [
      this.evaluations.map((one) => one.step / stepsPerEpoch),
      ...names.map((name) => this.evaluations.map((one) => finite(one.quality[name]))),
    ];
  }
}

function finite(value) {
  const number = Number(value);
  return value === undefined || !Number.isFinite(number) ? null : number;
}

/** The steps of an epoch of a run; 1 before its first step. */
export function stepsPerEpoch(run) {
  return Number(run.progress?.steps ?? 0) / run.config.epochs || 1;
}
