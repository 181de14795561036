// GET /v1/events with an Authorization header, which EventSource cannot send. Goes on after the last event it got.

const RETRY_MS = [500, 1000, 2000, 5000];

export class EventFeed {
  // `onState` hears 'live', 'waiting' or 'refused'; `onEvent` each event; `onGap` that some were missed for good.
  constructor(api, { onEvent, onState, onGap }) {
    this.api = api;
    this.onEvent = onEvent;
    this.onState = onState;
    this.onGap = onGap;
    this.lastId = null;
    this.stopped = false;
    this.abort = new AbortController();
  }

  async run() {
    let tries = 0;
    let first = true;
    while (!this.stopped) {
      try {
        const headers = this.lastId ? { 'Last-Event-ID': this.lastId } : {};
        const response = await fetch('/v1/events', { headers: this.api.headers(headers), signal: this.abort.signal });
        if (response.status === 401) return this.onState('refused');
        if (response.ok) {
          this.onState('live');
          tries = 0;
          // Without an id to go on after, what happened in between is not known.
          if (!first && !this.lastId) this.onGap();
          first = false;
          await this.read(response.body.pipeThrough(new TextDecoderStream()).getReader());
        }
      } catch (error) {
        if (this.stopped) return undefined;
        console.debug('event feed', error);
      }
      this.onState('waiting');
      await new Promise((resume) => setTimeout(resume, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
      tries += 1;
    }
    return undefined;
  }

  stop() {
    this.stopped = true;
    this.abort.abort();
  }

  async read(reader) {
    for await (const fields of messages(reader)) {
      if (fields.id) this.lastId = fields.id;
      if (fields.event === 'events.lost') this.onGap();
      else if (fields.data) this.onEvent(JSON.parse(fields.data));
    }
  }
}

// The fields of one message after the other.
async function* messages(reader) {
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
      }
      yield fields;
    }
  }
}

const HISTORY_MS = 86400000;
const QUIET_MS = 700;

// What happened to a stream within a day, oldest first. The feed has no end: it is left when it has been quiet.
export async function pastEvents(api, streamId) {
  const leave = new AbortController();
  const events = [];
  let timer = setTimeout(() => leave.abort(), 5 * QUIET_MS);
  try {
    const headers = api.headers({ 'Last-Event-ID': `${Date.now() - HISTORY_MS}` });
    const response = await fetch(`/v1/events?streamId=${streamId}`, { headers, signal: leave.signal });
    if (!response.ok) return events;
    for await (const fields of messages(response.body.pipeThrough(new TextDecoderStream()).getReader())) {
      if (fields.data && fields.event !== 'events.lost') events.push(JSON.parse(fields.data));
      clearTimeout(timer);
      timer = setTimeout(() => leave.abort(), QUIET_MS);
    }
  } catch (error) {
    if (!leave.signal.aborted) console.debug('past events', error);
  } finally {
    clearTimeout(timer);
    leave.abort();
  }
  return events;
}
