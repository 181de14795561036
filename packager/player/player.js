// Plays /live/{edgeId}/master.m3u8 and shows latency, rendition, buffer and stalls.

const RETRY_MS = 1000;
const Hls = window.Hls;
const edgeId = location.pathname.split('/').pop();
const source = `/live/${edgeId}/master.m3u8`;
const video = document.getElementById('video');
const element = Object.fromEntries(
  ['notice', 'unmute', 'latency', 'rendition', 'playing', 'buffer', 'stalls', 'dropped'].map((id) => [id, document.getElementById(id)]),
);

const facts = { stalls: 0, started: false, ended: false, error: null };
let hls = null;
let retryTimer = 0;

function notice(text) {
  element.notice.textContent = text;
}

function start() {
  clearTimeout(retryTimer);
  if (Hls && Hls.isSupported()) startHls();
  else if (video.canPlayType('application/vnd.apple.mpegurl')) startNative();
  else notice('This browser plays no HLS.');
}

function startHls() {
  if (hls) hls.destroy();
  hls = new Hls({
    lowLatencyMode: true,
    // A player that has fallen behind catches up by playing a little faster instead of jumping.
    maxLiveSyncPlaybackRate: 1.1,
    backBufferLength: 30,
    // The first choice comes from the ladder's middle until the network has been measured.
    abrEwmaDefaultEstimate: 2_500_000,
  });
  hls.on(Hls.Events.ERROR, onError);
  hls.on(Hls.Events.MANIFEST_PARSED, showRenditions);
  hls.on(Hls.Events.LEVEL_UPDATED, (_, data) => {
    if (!data.details.live) facts.ended = true;
  });
  hls.loadSource(source);
  hls.attachMedia(video);
}

function startNative() {
  video.src = source;
  video.addEventListener('error', () => retry('waiting for the stream'), { once: true });
}

function onError(_, data) {
  if (!data.fatal) return;
  facts.error = data.details;
  if (data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR) return retry('waiting for the stream');
  if (data.type === Hls.ErrorTypes.MEDIA_ERROR) return hls.recoverMediaError();
  return retry('reconnecting');
}

function retry(text) {
  notice(text);
  facts.started = false;
  clearTimeout(retryTimer);
  retryTimer = setTimeout(start, RETRY_MS);
}

function showRenditions() {
  const current = element.rendition.value;
  const options = hls.levels.map((level, index) => new Option(`${level.height}p`, String(index)));
  element.rendition.replaceChildren(new Option('Auto', '-1'), ...options.reverse());
  element.rendition.value = current;
}

function stats() {
  const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : { droppedVideoFrames: 0 };
  const ahead = video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
  return {
    latency_s: latency(),
    rendition: video.videoHeight ? `${video.videoWidth}x${video.videoHeight}` : null,
    buffer_s: ahead,
    stalls: facts.stalls,
    dropped_frames: quality.droppedVideoFrames,
    playing: !video.paused && video.readyState > 2,
    ended: facts.ended,
    error: facts.error,
  };
}

// By the wall clock of the picture on the page where the playlist tells it, else by the player's own estimate.
function latency() {
  if (!hls) return null;
  const date = hls.playingDate;
  return date ? (Date.now() - date.getTime()) / 1000 : hls.latency || null;
}

function show() {
  const now = stats();
  element.latency.textContent = now.latency_s === null ? '–' : `${now.latency_s.toFixed(2)} s`;
  element.playing.textContent = now.rendition ?? '–';
  element.buffer.textContent = `${now.buffer_s.toFixed(2)} s`;
  element.stalls.textContent = String(now.stalls);
  element.dropped.textContent = String(now.dropped_frames);
}

video.addEventListener('playing', () => {
  facts.started = true;
  facts.error = null;
  notice('');
  element.unmute.hidden = !video.muted;
});
video.addEventListener('waiting', () => {
  if (!facts.started || video.seeking) return;
  facts.stalls += 1;
  notice('buffering');
});
video.addEventListener('ended', () => retry('The stream has ended. Waiting for the next one.'));
video.addEventListener('volumechange', () => {
  element.unmute.hidden = !video.muted;
});
element.unmute.addEventListener('click', () => {
  video.muted = false;
});
element.rendition.addEventListener('change', () => {
  if (hls) hls.nextLevel = Number(element.rendition.value);
});
// A tab in the background is slowed down by the browser: go back to the live edge when it is seen again.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && hls && hls.liveSyncPosition && hls.latency > 6) video.currentTime = hls.liveSyncPosition;
});

window.antlivePlayer = { stats };
setInterval(show, 250);
start();
