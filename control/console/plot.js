// A small plot of the last minutes: one line, its newest value and its largest. Where there is no value it has a gap.

import { h, svg } from './dom.js';

const WIDTH = 240;
const HEIGHT = 56;
const TOP = 4;
const POINTS_LEAST = 30;
const POINTS_MOST = 150;

export class Plot {
  constructor(label, format, { least = 0 } = {}) {
    this.label = label;
    this.format = format;
    this.least = least; // the scale reaches so far, however small the values are
    this.values = [];
    this.area = svg('path', { class: 'area' });
    this.line = svg('path', { class: 'line', 'vector-effect': 'non-scaling-stroke' });
    this.now = h('strong', {}, '–');
    this.most = h('span', { className: 'dim' }, '');
    const middle = svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: (HEIGHT + TOP) / 2, y2: (HEIGHT + TOP) / 2 });
    const top = svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: TOP, y2: TOP });
    const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${label} of the last minutes` };
    const caption = h('figcaption', {}, h('span', { className: 'label' }, label), this.now, this.most);
    this.element = h('figure', { className: 'plot' }, caption, svg('svg', attributes, top, middle, this.area, this.line));
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > POINTS_MOST) this.values.shift();
    const most = Math.max(...this.values.filter((each) => each !== null), 0);
    this.draw(Math.max(most, this.least));
    this.now.textContent = value === null ? '–' : this.format(value);
    this.most.textContent = most > 0 ? `max ${this.format(most)}` : '';
  }

  draw(full) {
    const shown = Math.max(POINTS_LEAST, this.values.length);
    const x = (index) => ((shown - this.values.length + index) * WIDTH) / (shown - 1);
    const y = (value) => HEIGHT - (full > 0 ? (value / full) * (HEIGHT - TOP) : 0);
    let line = '';
    let area = '';
    let begun = null;
    this.values.forEach((value, index) => {
      if (value !== null) {
        const point = `${x(index).toFixed(1)},${y(value).toFixed(1)}`;
        line += `${begun === null ? 'M' : 'L'}${point}`;
        area += begun === null ? `M${x(index).toFixed(1)},${HEIGHT}L${point}` : `L${point}`;
        begun ??= index;
      }
      const ends = value === null ? index - 1 : index === this.values.length - 1 ? index : null;
      if (begun !== null && ends !== null) {
        area += `L${x(ends).toFixed(1)},${HEIGHT}Z`;
        begun = null;
      }
    });
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', area);
  }
}
