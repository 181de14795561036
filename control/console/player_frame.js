// The player of a stream, framed when it is served from here; else a link, for another host may not be framed.

import { h } from './dom.js';

let here = null;

async function isHere(edgeId) {
  try {
    return (await fetch(`/player/${edgeId}`, { method: 'HEAD' })).ok;
  } catch (error) {
    console.debug('no player here', error);
    return false;
  }
}

export class PlayerFrame {
  constructor() {
    this.element = h('div', { className: 'player' });
    this.shown = null;
  }

  // `url` is the player's public one.
  async show(edgeId, url, running) {
    const wanted = running ? edgeId : null;
    if (wanted === this.shown) return;
    this.shown = wanted;
    if (!running) {
      this.element.replaceChildren();
      return;
    }
    here ??= isHere(edgeId);
    const framed = await here;
    if (this.shown !== wanted) return;
    const frame = framed && h('iframe', { src: `/player/${edgeId}`, title: 'Player', allow: 'autoplay; fullscreen' });
    const link = h('a', { href: framed ? `/player/${edgeId}` : url, target: '_blank', rel: 'noopener' }, 'Open the player in a tab');
    this.element.replaceChildren(...[frame, link].filter(Boolean));
  }
}
