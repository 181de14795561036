// What happened to one stream, newest first.

import { h, replaceRows } from './dom.js';
import { pastEvents } from './events.js';

const SHOWN = 20;
const KINDS = { live: 'live', reconnected: 'live', connecting: 'connecting', disconnected: 'connecting', error: 'error' };

export class History {
  constructor(api, streamId) {
    this.api = api;
    this.streamId = streamId;
    this.events = new Map();
    this.rows = h('ol', { className: 'history', 'aria-label': 'What happened, newest first' });
    this.element = h('section', { className: 'card', hidden: true }, h('h2', {}, 'What happened'), this.rows);
  }

  async open() {
    for (const event of await pastEvents(this.api, this.streamId)) this.events.set(event.id, event);
    this.draw();
  }

  add(event) {
    this.events.set(event.id, event);
    this.draw();
  }

  draw() {
    const newest = [...this.events.values()].sort((one, other) => other.seq - one.seq).slice(0, SHOWN);
    this.element.hidden = !newest.length;
    replaceRows(this.rows, newest.map(row));
  }
}

function row(event) {
  const name = event.type.replace('stream.', '');
  const at = new Date(event.at);
  const when = at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
  const why = event.reason === 'api' ? '' : event.reason.replaceAll('_', ' ');
  return h(
    'li',
    {},
    h('time', { datetime: event.at, className: 'dim' }, when),
    h('span', { className: `dot state-${KINDS[name] ?? 'idle'}` }, name.replaceAll('_', ' ')),
    h('span', { className: 'dim why' }, why),
  );
}
