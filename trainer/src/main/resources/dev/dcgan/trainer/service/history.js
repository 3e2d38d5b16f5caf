// What the events of a run add up to.

/** The metrics of quality that charts show; each has a baseline of real images. */
export const QUALITY = {
  frechet: ['frechet_distance', 'frechet_floor'],
  precision: ['precision', 'precision_floor'],
  recall: ['recall', 'recall_floor'],
};

export class History {
  constructor() {
    this.steps = []; // {step, lossD, lossG, real, fake} of single steps
    this.epochs = []; // the same, means of epochs
    this.evaluations = []; // {step, quality}
    this.samples = []; // {epoch, name}, ascending
    this.warnings = []; // {time, step, kind, message, cleared}
    this.published = []; // {epoch, model}
  }

  add(event) {
    if (event.step) {
      this.steps.push(metricsOf(event.step));
    } else if (event.epochCompleted) {
      this.epochs.push(metricsOf(event.epochCompleted.metrics));
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
      this.epochs = this.epochs.filter((one) => one.step <= step);
      this.evaluations = this.evaluations.filter((one) => one.step <= step);
    }
  }

  /**
   * Columns for a chart: x in epochs, then a column for each named metric: of single steps, or of
   * whole epochs if those are so short that hardly a step of them has an event.
   */
  columns(stepsPerEpoch, ...names) {
    const shown = this.steps.length < 3 * this.epochs.length ? this.epochs : this.steps;
    return [
      shown.map((one) => one.step / stepsPerEpoch),
      ...names.map((name) => shown.map((one) => one[name])),
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

function metricsOf(step) {
  return {
    step: Number(step.step),
    lossD: Number(step.discriminatorLoss),
    lossG: Number(step.generatorLoss),
    real: Number(step.realScore),
    fake: Number(step.fakeScore),
  };
}

function finite(value) {
  const number = Number(value);
  return value === undefined || !Number.isFinite(number) ? null : number;
}

/** The steps of an epoch of a run; 1 before its first step. */
export function stepsPerEpoch(run) {
  return Number(run.progress?.steps ?? 0) / run.config.epochs || 1;
}
