// The list of streams.

import { announce, formatTime, h } from './dom.js';
import { createStream } from './stream_forms.js';

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
    const focused = document.activeElement?.dataset?.streamId;
    const streams = this.list.newestFirst;
    this.count.textContent = `${this.list.total}`;
    this.more.hidden = !this.list.nextCursor;
    const empty = h('li', { className: 'empty' }, 'No streams here. Make one, enter its URL and key in your encoder, and watch it appear.');
    this.rows.replaceChildren(...(streams.length ? streams.map((stream) => this.row(stream)) : [empty]));
    if (focused) this.rows.querySelector(`[data-stream-id="${CSS.escape(focused)}"]`)?.focus();
    const changed = event && this.list.streams.get(event.streamId);
    if (changed) announce(`${changed.name} is ${changed.state}`);
  }

  row(stream) {
    const when = stream.state === 'live' ? `since ${formatTime(stream.startedAt)}` : stream.endedAt ? `ended ${formatTime(stream.endedAt)}` : '';
    return h(
      'li',
      {},
      h(
        'a',
        { href: `#/streams/${stream.streamId}`, 'data-stream-id': stream.streamId },
        stateBadge(stream.state),
        h('span', { className: 'name' }, stream.name),
        h('span', { className: 'dim' }, stream.quality),
        h('span', { className: 'dim when' }, when),
      ),
    );
  }
}
