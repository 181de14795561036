// The streams that the console knows, newest first, kept up to date by events.

const PAGE = 50;

export class StreamList {
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
    this.streams = new Map();
    this.total = 0;
    this.nextCursor = null;
    this.state = '';
    this.generation = 0;
  }

  get newestFirst() {
    return [...this.streams.values()].sort((one, other) => (one.streamId < other.streamId ? 1 : -1));
  }

  async load(state = this.state) {
    this.state = state;
    this.generation += 1;
    const generation = this.generation;
    const page = await this.api.get(`/live-streams?limit=${PAGE}${state ? `&state=${state}` : ''}`);
    // A newer question is on its way, and its answer counts.
    if (generation !== this.generation) return;
    this.streams = new Map(page.streams.map((stream) => [stream.streamId, stream]));
    this.total = page.total;
    this.nextCursor = page.nextCursor ?? null;
    this.onChange(null);
  }

  async more() {
    const filter = this.state ? `&state=${this.state}` : '';
    const page = await this.api.get(`/live-streams?limit=${PAGE}&cursor=${this.nextCursor}${filter}`);
    for (const stream of page.streams) this.streams.set(stream.streamId, stream);
    this.nextCursor = page.nextCursor ?? null;
    this.onChange(null);
  }

  async take(event) {
    const known = this.streams.get(event.streamId);
    if (event.type === 'stream.deleted') {
      if (this.streams.delete(event.streamId)) this.total -= 1;
    } else if (event.type === 'stream.created' || !known) {
      await this.refresh(event.streamId);
    } else {
      // The state is told at once; times and names follow.
      known.state = event.state;
      this.onChange(event);
      await this.refresh(event.streamId);
    }
    this.onChange(event);
  }

  async refresh(streamId) {
    try {
      this.put(await this.api.get(`/live-streams/${streamId}`));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.streams.delete(streamId);
    }
  }

  put(stream) {
    const fits = !this.state || stream.state === this.state;
    const known = this.streams.has(stream.streamId);
    if (fits && !known) this.total += 1;
    if (!fits && known) this.total -= 1;
    if (fits) this.streams.set(stream.streamId, stream);
    else this.streams.delete(stream.streamId);
  }
}
