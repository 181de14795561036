// Times as people say them; the exact one is a hover, or a tap, away.

import { h } from './dom.js';

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;

export function duration(seconds) {
  if (seconds < MINUTE_S) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min`;
  if (seconds < DAY_S) return `${Math.floor(seconds / HOUR_S)} h ${Math.floor((seconds % HOUR_S) / MINUTE_S)} min`;
  return `${Math.floor(seconds / DAY_S)} d`;
}

export function since(iso) {
  return duration((Date.now() - Date.parse(iso)) / 1000);
}

// `say` gets the duration since then, and makes a text of it.
export function time(iso, say = (ago) => `${ago} ago`) {
  return iso ? h('time', { datetime: iso, title: new Date(iso).toLocaleString() }, say(since(iso))) : null;
}

export function exactTime(iso) {
  return iso ? h('time', { datetime: iso }, new Date(iso).toLocaleString()) : null;
}
