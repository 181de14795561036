// Ingest health of a live stream, with plots of the last minutes. Asked for only while it is looked at.

import { facts, h } from './dom.js';
import { Plot } from './plot.js';

const EVERY_MS = 2000;
const CODECS = { h264: 'H.264', hevc: 'HEVC', av1: 'AV1', vp9: 'VP9', aac: 'AAC', mp3: 'MP3', mp2: 'MP2', opus: 'Opus' };

const mbps = (bps) => (bps < 1e6 ? `${(bps / 1e3).toFixed(0)} kbit/s` : `${(bps / 1e6).toFixed(2)} Mbit/s`);
const fps = (value) => `${value.toFixed(value % 1 < 0.005 || value % 1 > 0.995 ? 0 : 2)} fps`;
const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 2 : 0)} %`;
const codec = (name) => CODECS[name] ?? name;
const words = (...texts) => texts.filter(Boolean).join(' ');

export class Health {
  // `heard` is called with the stream each time it was asked for.
  constructor(api, streamId, heard) {
    this.api = api;
    this.streamId = streamId;
    this.heard = heard;
    this.timer = 0;
    this.running = false;
    this.srt = null;
    this.facts = h('dl', { className: 'facts' });
    this.warnings = h('ul', { className: 'warnings', 'aria-label': 'Warnings' });
    this.bitrate = new Plot('Bitrate', mbps);
    this.fps = new Plot('Frame rate', fps);
    this.loss = new Plot('SRT loss', percent, { least: 0.01 });
    this.note = h('p', { className: 'dim' });
    this.plots = h('div', { className: 'plots' }, this.bitrate.element, this.fps.element, this.loss.element);
    this.element = h('section', { className: 'card health', hidden: true }, h('h2', {}, 'Ingest'), this.note, this.warnings, this.plots, this.facts);
  }

  follow(stream) {
    const running = stream.state === 'live' || stream.state === 'connecting';
    this.element.hidden = !running;
    if (running) this.draw(stream.ingest.health);
    if (running && !this.running) this.timer = setInterval(() => this.ask(), EVERY_MS);
    if (!running) this.stop();
    this.running = running;
  }

  stop() {
    clearInterval(this.timer);
    this.running = false;
  }

  async ask() {
    if (document.hidden) return;
    try {
      const stream = await this.api.get(`/live-streams/${this.streamId}`);
      this.draw(stream.ingest.health);
      this.heard(stream);
    } catch (error) {
      this.note.textContent = error.message;
    }
  }

  draw(health) {
    this.note.textContent = health ? '' : 'No encoder is connected at this moment.';
    this.plots.hidden = !health;
    this.warnings.replaceChildren(...(health?.warnings ?? []).map((warning) => h('li', {}, h('b', {}, warning.code), ` ${warning.message}`)));
    if (!health) return this.facts.replaceChildren();
    this.bitrate.add(health.bitrateBps ?? null);
    this.fps.add(health.video?.fpsMeasured ?? null);
    this.loss.element.hidden = !health.srt;
    if (health.srt) this.loss.add(this.lossShare(health.srt));
    const { video, audio, srt } = health;
    this.facts.replaceChildren(
      ...facts([
        ['Protocol', health.protocol.toUpperCase()],
        ['Encoder', health.encoder],
        ['Video', video && words(codec(video.codec), video.widthPx && `${video.widthPx}×${video.heightPx}`)],
        ['Audio', audio && words(codec(audio.codec), audio.sampleRateHz && `${audio.sampleRateHz / 1000} kHz`, audio.channels && `${audio.channels} ch`)],
        ['GOP', video?.gopS && `${video.gopS.toFixed(1)} s`],
        ['Round trip', srt && `${srt.rttMs.toFixed(1)} ms`],
        ['Packets lost', srt && `${srt.packetsLost}, ${srt.packetsDropped} given up`],
        ['Timestamp jumps', health.timestampJumps],
      ]),
    );
    return undefined;
  }

  // Lost of what should have come since the last look.
  lossShare(srt) {
    const before = this.srt ?? { packetsReceived: 0, packetsLost: 0 };
    this.srt = srt;
    const lost = srt.packetsLost - before.packetsLost;
    const all = srt.packetsReceived - before.packetsReceived + lost;
    return all > 0 ? Math.max(0, lost / all) : 0;
  }
}
