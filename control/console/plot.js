// A small plot of the last minutes: one line, its newest value and its largest.

import { h, svg } from './dom.js';

const WIDTH = 240;
const HEIGHT = 48;

export class Plot {
  constructor(label, format, { points = 150 } = {}) {
    this.label = label;
    this.format = format;
    this.points = points;
    this.values = [];
    this.line = svg('polyline', { fill: 'none', 'stroke-width': 1.5, 'vector-effect': 'non-scaling-stroke' });
    this.now = h('strong', {}, '–');
    this.most = h('span', { className: 'dim' }, '');
    const drawing = svg(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${label} of the last minutes` },
      this.line,
    );
    this.element = h('figure', { className: 'plot' }, h('figcaption', {}, `${label} `, this.now, ' ', this.most), drawing);
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.points) this.values.shift();
    const most = Math.max(...this.values.filter((each) => each !== null), 0);
    const scale = most > 0 ? (HEIGHT - 4) / most : 0;
    const step = WIDTH / (this.points - 1);
    const from = this.points - this.values.length;
    const places = this.values.map((each, index) =>
      each === null ? null : `${((from + index) * step).toFixed(1)},${(HEIGHT - 2 - each * scale).toFixed(1)}`,
    );
    this.line.setAttribute('points', places.filter((each) => each !== null).join(' '));
    this.now.textContent = value === null ? '–' : this.format(value);
    this.most.textContent = most > 0 ? `most ${this.format(most)}` : '';
  }
}
