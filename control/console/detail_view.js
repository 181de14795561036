// One stream: its state, its URLs, what can be done with it, how its ingest is, what happened, and the picture.

import { button, copyRow, facts, h } from './dom.js';
import { Health } from './health.js';
import { History } from './history.js';
import { PlayerFrame } from './player_frame.js';
import { changeStream, deleteStream, endSession, rotateKey } from './stream_forms.js';
import { stateBadge } from './streams_view.js';
import { exactTime, since } from './times.js';

const RUNNING = ['connecting', 'live'];

export class DetailView {
  constructor(api, streamId) {
    this.api = api;
    this.streamId = streamId;
    this.stream = null;
    this.shownUrls = '';
    this.element = h('section', { className: 'detail' }, h('p', { className: 'dim' }, 'Loading …'));
  }

  async open() {
    await this.load();
    await this.history?.open();
  }

  async load() {
    try {
      this.show(await this.api.get(`/live-streams/${this.streamId}`));
    } catch (error) {
      const gone = error.status === 404 ? 'There is no such stream.' : error.message;
      this.element.replaceChildren(h('a', { href: '#/streams', className: 'back' }, '← All streams'), h('div', { role: 'alert' }, h('h1', {}, gone)));
      this.badge = null;
    }
  }

  close() {
    this.health?.stop();
    clearInterval(this.clock);
  }

  // After an event of this stream the list has its newest form, but may be filtered: ask.
  async changed(event) {
    if (event.streamId !== this.streamId) return;
    if (event.type === 'stream.deleted') {
      location.hash = '#/streams';
    } else {
      this.history?.add(event);
      await this.load();
    }
  }

  show(stream) {
    this.stream = stream;
    const running = RUNNING.includes(stream.state);
    if (!this.badge) this.build();
    document.title = `${stream.name} – antlive`;
    this.title.textContent = stream.name;
    this.badge.replaceChildren(stateBadge(stream.state));
    this.facts.replaceChildren(
      ...facts([
        ['Quality', stream.quality],
        ['Low latency', stream.lowLatency ? 'yes' : 'no'],
        ['Recording', stream.recording ? 'yes' : 'no'],
        ['Reconnect window', `${stream.reconnectWindowSeconds} s`],
        ['Created', exactTime(stream.createdAt)],
        ['Went live', exactTime(stream.startedAt)],
        ['Ended', exactTime(stream.endedAt)],
        ...(stream.error ? [['Error', stream.error.message]] : []),
      ]),
    );
    this.showUrls(stream);
    for (const each of [this.change, this.rotate, this.remove]) {
      each.disabled = running;
      each.title = running ? 'Not while it is connecting or live: end the session first.' : '';
    }
    this.end.disabled = !running;
    this.showViewers(stream);
    this.health.follow(stream);
    this.player.show(stream.edgeId, this.playerUrl, running);
    this.top.classList.toggle('running', running);
    this.tick();
  }

  // Rows that stay as they are keep the focus.
  showUrls(stream) {
    const rows = [
      ['RTMP', stream.ingest.rtmpUrl],
      ...(stream.ingest.rtmpsUrl ? [['RTMPS', stream.ingest.rtmpsUrl]] : []),
      ['SRT', stream.ingest.srtUrl],
      ['HLS', stream.playback.hlsUrl],
      ['Player', this.playerUrl],
      ['Id', stream.streamId],
    ];
    if (JSON.stringify(rows) === this.shownUrls) return;
    this.shownUrls = JSON.stringify(rows);
    this.urls.replaceChildren(...rows.map(([label, text]) => copyRow(label, text)));
  }

  showViewers({ state, playback: { viewers } }) {
    if (state !== 'live') this.viewers.textContent = '';
    else if (viewers !== undefined) this.viewers.textContent = viewers === 1 ? '1 viewer' : `${viewers} viewers`;
  }

  tick() {
    this.uptime.textContent = this.stream.state === 'live' ? `for ${since(this.stream.startedAt)}` : '';
  }

  get playerUrl() {
    return new URL(`/player/${this.stream.edgeId}`, this.stream.playback.hlsUrl).href;
  }

  build() {
    const shown = (stream) => this.show(stream);
    this.title = h('h1', {});
    this.badge = h('span', { 'aria-live': 'polite' });
    this.uptime = h('span', { className: 'dim' });
    this.facts = h('dl', { className: 'facts' });
    this.urls = h('div', { className: 'urls' });
    this.shownUrls = '';
    this.player = new PlayerFrame();
    this.viewers = h('span', { className: 'dim' });
    this.health = new Health(this.api, this.streamId, (stream) => this.showViewers(stream));
    this.history = new History(this.api, this.streamId);
    this.change = button('Change', () => changeStream(this.api, this.stream, shown));
    this.rotate = button('New key', () => rotateKey(this.api, this.stream));
    this.end = button('End session', () => endSession(this.api, this.stream, shown), 'danger');
    this.remove = button('Delete', () => deleteStream(this.api, this.stream, () => (location.hash = '#/streams')), 'danger');
    this.top = h('div', { className: 'watch' }, this.player.element, this.health.element);
    const urls = h('section', { className: 'card' }, h('h2', {}, 'URLs'), this.urls);
    const settings = h('section', { className: 'card' }, h('h2', {}, 'Settings'), this.facts);
    this.element.replaceChildren(
      h('a', { href: '#/streams', className: 'back' }, '← All streams'),
      h('div', { className: 'head' }, this.title, this.badge, this.uptime, this.viewers, h('div', { className: 'tools' }, this.change, this.rotate, this.end, this.remove)),
      this.top,
      h('div', { className: 'cards' }, urls, settings, this.history.element),
    );
    clearInterval(this.clock);
    this.clock = setInterval(() => this.tick(), 1000);
  }
}
