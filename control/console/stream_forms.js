// Dialogs about a stream: create, change, and what must be confirmed.

import { openDialog, tellDialog } from './dialog.js';
import { copyRow, h } from './dom.js';

const KNOWN = {
  standard: 'standard: 720p, 480p, 360p',
  high: 'high: 1080p, 720p, 480p',
  passthrough: 'passthrough: as it comes',
};
let qualities = Object.keys(KNOWN);

// A node may have ladders of its own, which its API document lists.
fetch('/openapi.json')
  .then((response) => response.json())
  .then((api) => { qualities = api.components.schemas.CreateStream.properties.quality.enum; })
  .catch((error) => console.warn('the API document was not read', error));

function fields(stream) {
  const select = h(
    'select',
    { name: 'quality', id: 'quality' },
    qualities.map((value) => h('option', { value, selected: stream.quality === value }, KNOWN[value] ?? value)),
  );
  return [
    h('label', { for: 'name' }, 'Name'),
    h('input', { id: 'name', name: 'name', required: true, maxlength: '200', autocomplete: 'off', value: stream.name, autofocus: true }),
    h('label', { for: 'quality' }, 'Quality'),
    select,
    h('label', { className: 'check' }, h('input', { type: 'checkbox', name: 'lowLatency', checked: stream.lowLatency }), 'Low latency'),
    h('label', { className: 'check' }, h('input', { type: 'checkbox', name: 'recording', checked: stream.recording }), 'Record'),
  ];
}

function bodyOf(data) {
  return { name: data.get('name'), quality: data.get('quality'), lowLatency: data.has('lowLatency'), recording: data.has('recording') };
}

export function createStream(api, onCreated) {
  const blank = { name: '', quality: 'standard', lowLatency: true, recording: false };
  openDialog('New stream', fields(blank), 'Create', async (data) => {
    const created = await api.post('/live-streams', bodyOf(data));
    onCreated(created);
    return () => showKey('The stream is ready', created.ingest);
  });
}

export function changeStream(api, stream, onChanged) {
  openDialog(`Change ${stream.name}`, fields(stream), 'Save', async (data) => {
    onChanged(await api.patch(`/live-streams/${stream.streamId}`, bodyOf(data)));
  });
}

export function rotateKey(api, stream) {
  const text = 'The present key stops working at once, on every node. Encoders need the new one.';
  openDialog(`New key for ${stream.name}?`, h('p', {}, text), 'Make a new key', async () => {
    const rotated = await api.post(`/live-streams/${stream.streamId}/rotate-key`);
    return () => showKey('The new key', rotated);
  });
}

export function endSession(api, stream, onChanged) {
  const text = 'The encoder is cut off and viewers see the end. The key stays valid: an encoder that comes back begins anew.';
  const act = async () => onChanged(await api.post(`/live-streams/${stream.streamId}/end`));
  openDialog(`End ${stream.name} now?`, h('p', {}, text), 'End it', act, { danger: true });
}

export function deleteStream(api, stream, onDeleted) {
  const text = 'The stream, its key and its URLs are gone for good.';
  const act = async () => {
    await api.delete(`/live-streams/${stream.streamId}`);
    onDeleted();
  };
  openDialog(`Delete ${stream.name}?`, h('p', {}, text), 'Delete', act, { danger: true });
}

// Keys are shown once: this dialog is the only place.
function showKey(title, ingest) {
  const rows = [
    h('p', {}, 'Copy it now: it is shown only this once.'),
    copyRow('Stream key', ingest.streamKey),
    copyRow('RTMP with key', ingest.rtmpFullUrl),
    ...(ingest.rtmpsFullUrl ? [copyRow('RTMPS with key', ingest.rtmpsFullUrl)] : []),
    copyRow('SRT with key', ingest.srtFullUrl),
  ];
  tellDialog(title, rows, 'I have it');
}
