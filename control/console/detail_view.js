// One stream: its state, its URLs, what can be done with it, how its ingest is, and the picture.

import { copyRow, formatTime, h } from './dom.js';
import { Health } from './health.js';
import { changeStream, deleteStream, endSession, rotateKey } from './stream_forms.js';
import { stateBadge } from './streams_view.js';

const RUNNING = ['connecting', 'live'];

export class DetailView {
  constructor(api, streamId, list) {
    this.api = api;
    this.streamId = streamId;
    this.list = list;
    this.stream = null;
    this.element = h('section', { className: 'detail' }, h('p', { className: 'dim' }, 'Loading …'));
    this.playerFor = null;
  }

  async open() {
    try {
      this.show(await this.api.get(`/live-streams/${this.streamId}`));
    } catch (error) {
      const gone = error.status === 404 ? 'There is no such stream.' : error.message;
      this.element.replaceChildren(h('p', { className: 'problem', role: 'alert' }, gone), h('a', { href: '#/streams' }, 'All streams'));
    }
  }

  close() {
    this.health?.stop();
  }

  // After an event of this stream the list has its newest form, but may be filtered: ask.
  async changed(event) {
    if (event.streamId !== this.streamId) return;
    if (event.type === 'stream.deleted') {
      location.hash = '#/streams';
    } else {
      await this.open();
    }
  }

  show(stream) {
    this.stream = stream;
    const running = RUNNING.includes(stream.state);
    if (!this.badge) this.build();
    this.title.textContent = stream.name;
    this.badge.replaceChildren(stateBadge(stream.state));
    this.facts.replaceChildren(
      ...[
        ['Quality', stream.quality],
        ['Low latency', stream.lowLatency ? 'yes' : 'no'],
        ['Recording', stream.recording ? 'yes' : 'no'],
        ['Reconnect window', `${stream.reconnectWindowSeconds} s`],
        ['Created', formatTime(stream.createdAt)],
        ['Went live', formatTime(stream.startedAt)],
        ['Ended', formatTime(stream.endedAt)],
        ['Id', stream.streamId],
      ].map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
    );
    this.urls.replaceChildren(
      copyRow('RTMP', stream.ingest.rtmpUrl),
      copyRow('SRT', stream.ingest.srtUrl),
      copyRow('HLS', stream.playback.hlsUrl),
      copyRow('Player', this.playerUrl),
    );
    for (const button of [this.change, this.rotate, this.remove]) {
      button.disabled = running;
      button.title = running ? 'Not while it is connecting or live: end the session first.' : '';
    }
    this.end.disabled = !running;
    this.health.follow(stream);
    this.drawPlayer(running);
  }

  get playerUrl() {
    return new URL(`/player/${this.stream.edgeId}`, this.stream.playback.hlsUrl).href;
  }

  build() {
    const button = (text, act, className = '') => h('button', { type: 'button', className, onclick: act }, text);
    const shown = (stream) => this.show(stream);
    this.title = h('h1', {});
    this.badge = h('span', { 'aria-live': 'polite' });
    this.facts = h('dl', { className: 'facts' });
    this.urls = h('div', { className: 'urls' });
    this.player = h('div', { className: 'player' });
    this.health = new Health(this.api, this.streamId);
    this.change = button('Change', () => changeStream(this.api, this.stream, shown));
    this.rotate = button('New key', () => rotateKey(this.api, this.stream));
    this.end = button('End session', () => endSession(this.api, this.stream, shown), 'danger');
    this.remove = button('Delete', () => deleteStream(this.api, this.stream, () => (location.hash = '#/streams')), 'danger');
    this.element.replaceChildren(
      h('a', { href: '#/streams', className: 'back' }, '← All streams'),
      h('div', { className: 'head' }, this.title, this.badge, h('div', { className: 'tools' }, this.change, this.rotate, this.end, this.remove)),
      this.player,
      this.health.element,
      h('h2', {}, 'URLs'),
      this.urls,
      h('h2', {}, 'Settings'),
      this.facts,
    );
  }

  drawPlayer(running) {
    const url = running ? this.playerUrl : null;
    if (url === this.playerFor) return;
    this.playerFor = url;
    // The origin may be another host, which may not be framed here: then a link.
    const framed = url && new URL(url).origin === location.origin;
    const frame = framed && h('iframe', { src: url, title: 'Player', allow: 'autoplay; fullscreen' });
    const link = url && h('a', { href: url, target: '_blank', rel: 'noopener' }, 'Open the player');
    this.player.replaceChildren(...[frame, link].filter(Boolean));
  }
}
