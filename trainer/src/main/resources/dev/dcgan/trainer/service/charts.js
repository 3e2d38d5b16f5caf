// Charts over epochs (uPlot): drag to zoom, double-click for all. A table has the same numbers.

import uPlot from './uPlot.esm.js';
import { element, number } from './dom.js';

const HEIGHT = 270;
const MAX_ROWS = 200;
const dark = matchMedia('(prefers-color-scheme: dark)');

/** A chart of lines in a card. */
export class Chart {
  #plot = null;
  #zoomed = false;
  #data;
  #series;
  #digits;
  #range;
  #place = element('div', { className: 'plot' });
  #table = element('table');
  #details;

  /**
   * @param parent receives the card
   * @param title of the chart
   * @param series [{label, color: 1 to 4, dashed}]
   * @param empty what to say while there is no data
   * @param digits of values, after the point
   * @param range of the vertical axis; undefined: that of the data
   */
  constructor(parent, title, series, empty, { digits = 3, range } = {}) {
    this.#series = series;
    this.#digits = digits;
    this.#range = range;
    this.#data = [[], ...series.map(() => [])];
    this.empty = element('p', { className: 'muted' }, empty);
    this.#details = element(
      'details',
      { hidden: true },
      element('summary', {}, 'Table'),
      element(
        'div',
        { className: 'scroll', tabIndex: 0, role: 'group', 'aria-label': title },
        this.#table));
    this.#details.addEventListener('toggle', () => this.#fillTable());
    this.card = element(
      'section',
      { className: 'card chart', 'aria-label': title },
      element('h2', {}, title),
      this.empty,
      this.#place,
      this.#details);
    this.#place.hidden = true;
    parent.append(this.card);
    new ResizeObserver(() => this.#resize()).observe(this.card);
    dark.addEventListener('change', () => this.#draw());
  }

  /** Shows columns: x, then one for each series. */
  update(data) {
    this.#data = data;
    const isEmpty = data[0].length === 0;
    this.empty.hidden = !isEmpty;
    this.#place.hidden = isEmpty;
    this.#details.hidden = isEmpty;
    if (isEmpty) {
      return;
    }
    if (this.#plot === null) {
      this.#draw();
    } else {
      this.#plot.setData(data, !this.#zoomed);
      if (this.#zoomed) {
        this.#plot.redraw();
      }
      this.#showLastSoon();
    }
    this.#fillTable();
  }

  #draw() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#zoomed = false;
    if (this.#data[0].length === 0) {
      return;
    }
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--grid'), width: 1 },
      ticks: { stroke: color('--grid'), width: 1 },
    };
    this.#plot = new uPlot(
      {
        width: this.#width(),
        height: HEIGHT,
        scales: { x: { time: false }, y: { range: this.#range } },
        cursor: { drag: { x: true, y: false } },
        axes: [axis, { ...axis, size: 56 }],
        series: [
          { label: 'epoch', value: (plot, value) => (value === null ? '–' : number(value, 2)) },
          ...this.#series.map(({ label, color: index, dashed }) => ({
            label,
            stroke: color(`--series-${index}`),
            width: dashed ? 1.5 : 2,
            dash: dashed ? [6, 4] : undefined,
            points: { show: (plot) => plot.data[0].length < 40 && !dashed },
            spanGaps: true,
            value: (plot, value) => (value == null ? '–' : number(value, this.#digits)),
          })),
        ],
        hooks: {
          setSelect: [
            (plot) => {
              this.#zoomed = plot.select.width > 0;
            },
          ],
        },
      },
      this.#data,
      this.#place);
    this.#plot.over.addEventListener('dblclick', () => {
      this.#zoomed = false;
    });
    this.#plot.over.addEventListener('mouseleave', () => this.#showLastSoon());
    this.#showLastSoon();
  }

  /** When the chart has drawn itself, which clears the legend. */
  #showLastSoon() {
    setTimeout(() => this.#showLast());
  }

  /** The legend has the newest values unless the pointer is on others. */
  #showLast() {
    if (this.#plot !== null && !this.#plot.over.matches(':hover')) {
      this.#plot.setLegend({ idx: this.#data[0].length - 1 });
    }
  }

  #width() {
    const style = getComputedStyle(this.card);
    return this.card.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  }

  #resize() {
    if (this.#plot !== null && Math.abs(this.#plot.width - this.#width()) > 1) {
      this.#plot.setSize({ width: this.#width(), height: HEIGHT });
    }
  }

  /** The newest rows, if they can be seen. */
  #fillTable() {
    if (!this.#details.open) {
      return;
    }
    const [x, ...columns] = this.#data;
    const first = Math.max(0, x.length - MAX_ROWS);
    const rows = [];
    for (let i = x.length - 1; i >= first; i--) {
      const cells = columns.map((column) =>
        element('td', {}, column[i] == null ? '–' : number(column[i], this.#digits)));
      rows.push(element('tr', {}, element('td', {}, number(x[i], 2)), ...cells));
    }
    const names = ['epoch', ...this.#series.map((one) => one.label)];
    this.#table.replaceChildren(
      element('thead', {},
        element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, name)))),
      element('tbody', {}, ...rows));
  }
}

/** Joins columns of two runs on one axis: x, then those of a, then those of b. */
export function join(a, b) {
  return uPlot.join([a, b].map((data) => (data[0].length === 0 ? [[], ...data.slice(1)] : data)));
}

/** From 0 up to the data. */
export function fromZero(plot, min, max) {
  return [0, max > 0 ? max * 1.05 : 1];
}
