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
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) this.take(block);
    }
  }

  take(block) {
    const fields = {};
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
    }
    if (fields.id) this.lastId = fields.id;
    if (fields.event === 'events.lost') this.onGap();
    else if (fields.data) this.onEvent(JSON.parse(fields.data));
  }
}
