// The list of streams.

import { announce, h, replaceRows } from './dom.js';
import { createStream } from './stream_forms.js';
import { time } from './times.js';

const STATES = ['', 'live', 'connecting', 'idle', 'ended', 'error'];

export function stateBadge(state) {
  return h('span', { className: `state state-${state}` }, state);
}

export class StreamsView {
  constructor(api, list) {
    this.api = api;
    this.list = list;
    this.rows = h('ul', { className: 'rows', 'aria-label': 'Streams' });
    this.count = h('span', { className: 'dim' });
    this.more = h('button', { type: 'button', onclick: () => this.tell(list.more()) }, 'Load more');
    this.problem = h('p', { className: 'problem', role: 'alert' });
    const filter = h(
      'select',
      { 'aria-label': 'State', onchange: () => this.tell(list.load(filter.value)) },
      STATES.map((state) => h('option', { value: state, selected: state === list.state }, state || 'all states')),
    );
    const create = h('button', { type: 'button', className: 'primary', onclick: () => this.create() }, 'New stream');
    this.element = h(
      'section',
      { className: 'streams' },
      h('div', { className: 'head' }, h('h1', {}, 'Streams'), this.count, h('div', { className: 'tools' }, filter, create)),
      this.problem,
      this.rows,
      this.more,
    );
    this.draw(null);
  }

  async tell(work) {
    this.problem.textContent = '';
    try {
      await work;
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  create() {
    createStream(this.api, (created) => {
      this.tell(this.list.refresh(created.streamId).then(() => this.draw(null)));
    });
  }

  draw(event) {
    const streams = this.list.newestFirst;
    this.count.textContent = `${this.list.total}`;
    this.count.title = this.list.state ? `${this.list.state} streams` : 'streams in all';
    this.more.hidden = !this.list.nextCursor;
    const hint = this.list.state ? `No stream is ${this.list.state}.` : 'No streams yet. Make one, enter its URL and key in your encoder, and watch it go live here.';
    const empty = h('li', { className: 'empty' }, hint);
    replaceRows(this.rows, streams.length ? streams.map((stream) => this.row(stream)) : [empty]);
    const changed = event && this.list.streams.get(event.streamId);
    if (changed) announce(`${changed.name} is ${changed.state}`);
  }

  // What says "for 5 min" must go on saying the truth.
  open() {
    this.clock = setInterval(() => this.draw(null), 20000);
  }

  close() {
    clearInterval(this.clock);
  }

  row(stream) {
    const when = stream.state === 'live' ? time(stream.startedAt, (ago) => `for ${ago}`) : time(stream.endedAt, (ago) => `ended ${ago} ago`);
    return h(
      'li',
      {},
      h(
        'a',
        { href: `#/streams/${stream.streamId}`, 'data-key': stream.streamId },
        stateBadge(stream.state),
        h('span', { className: 'name', title: stream.name }, stream.name),
        h('span', { className: 'dim what' }, stream.quality),
        h('span', { className: 'dim when' }, when),
      ),
    );
  }
}
