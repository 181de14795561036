// Plays /live/{edgeId}/master.m3u8 and shows latency, rendition, buffer and stalls.

const RETRY_MS = 1000;
const RECOVERY_INTERVAL_MS = 5000;
const JUMP_BEHIND_S = 3;
const JUMP_INTERVAL_MS = 5000;
const END_S = 0.5;
const Hls = window.Hls;
const edgeId = location.pathname.split('/').pop();
const source = `/live/${edgeId}/master.m3u8`;
const video = document.getElementById('video');
const element = Object.fromEntries(
  ['stage', 'notice', 'unmute', 'state', 'latency', 'rendition', 'playing', 'buffer', 'stalls', 'dropped'].map((id) => [
    id,
    document.getElementById(id),
  ]),
);

const facts = { stalls: 0, started: false, ended: false, error: null, session: null, timeShifted: false };
let hls = null;
let timer = 0;
let recoveredAt_ms = -Infinity;
let jumpedAt_ms = -Infinity;

// What the page is doing; `notice` covers the picture only while there is something to wait for.
function state(name, notice = '') {
  element.stage.dataset.state = name;
  element.state.textContent = name;
  element.notice.textContent = notice;
}

function start() {
  clearTimeout(timer);
  facts.ended = false;
  facts.timeShifted = false;
  if (Hls && Hls.isSupported()) startHls();
  else if (video.canPlayType('application/vnd.apple.mpegurl')) startNative();
  else state('not supported', 'This browser plays no HLS.');
}

function startHls() {
  if (hls) hls.destroy();
  // The distance to the live edge is the playlist's own: PART-HOLD-BACK, or HOLD-BACK of a classic stream. What has been
  // played is left to the browser to evict: hls.js (1.7.4) loses track of the part it is loading when it does that itself,
  // and stops until the buffer has run dry.
  hls = new Hls({
    lowLatencyMode: true,
    // A player that has fallen behind catches up by playing a little faster instead of jumping.
    maxLiveSyncPlaybackRate: 1.1,
    // Not the second of default: the first moment of playback may stall, and the distance is never taken back.
    liveSyncOnStallIncrease: 0.3,
    // The first choice comes from the ladder's middle until the network has been measured.
    abrEwmaDefaultEstimate: 2_500_000,
  });
  hls.on(Hls.Events.ERROR, onError);
  hls.on(Hls.Events.MANIFEST_LOADED, (_, data) => {
    facts.session = sessionOf(data.levels[0]?.url ?? '');
  });
  hls.on(Hls.Events.MANIFEST_PARSED, showRenditions);
  hls.on(Hls.Events.LEVEL_UPDATED, (_, data) => {
    facts.ended = !data.details.live;
  });
  hls.loadSource(source);
  hls.attachMedia(video);
}

function startNative() {
  video.onerror = () => retry('waiting', 'waiting for the stream');
  video.src = source;
  currentSession().then((session) => {
    facts.session = session;
  });
}

function onError(_, data) {
  if (!data.fatal) return undefined;
  facts.error = data.details;
  const early = [Hls.ErrorDetails.MANIFEST_LOAD_ERROR, Hls.ErrorDetails.LEVEL_EMPTY_ERROR];
  if (early.includes(data.details)) return retry('waiting', 'waiting for the stream');
  // A decoder that fails again at once is not helped by the same cure: begin anew.
  if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - recoveredAt_ms > RECOVERY_INTERVAL_MS) {
    recoveredAt_ms = performance.now();
    return hls.recoverMediaError();
  }
  return retry('reconnecting', 'reconnecting');
}

function retry(name, notice) {
  state(name, notice);
  facts.started = false;
  clearTimeout(timer);
  timer = setTimeout(start, RETRY_MS);
}

// The playlist of a session that has ended stays; started again, it would play from its beginning. Each session has
// an id of its own in its URLs, so a new one can be told.
async function waitForNextSession() {
  state('ended', 'The stream has ended. Waiting for the next one.');
  facts.started = false;
  clearTimeout(timer);
  const session = await currentSession();
  if (session && session !== facts.session) start();
  else timer = setTimeout(waitForNextSession, RETRY_MS);
}

async function currentSession() {
  try {
    const response = await fetch(source, { cache: 'no-store' });
    return response.ok ? sessionOf(await response.text()) : null;
  } catch (error) {
    console.debug('the server does not answer', error);
    return null;
  }
}

function sessionOf(text) {
  return text.match(/\bse_[0-9a-z]{26}\b/)?.[0] ?? null;
}

function showRenditions() {
  const wanted = element.rendition.selectedOptions[0]?.textContent;
  const options = hls.levels.map((level, index) => [`${Math.min(level.width, level.height)}p`, index, level.bitrate]);
  options.sort((one, other) => other[2] - one[2]);
  element.rendition.replaceChildren(new Option('Auto', '-1'), ...options.map(([text, index]) => new Option(text, String(index))));
  const kept = [...element.rendition.options].find((option) => option.textContent === wanted);
  element.rendition.value = kept ? kept.value : '-1';
  if (kept && kept.value !== '-1') hls.nextLevel = Number(kept.value);
}

function stats() {
  const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : { droppedVideoFrames: 0 };
  return {
    state: element.stage.dataset.state,
    latency_s: latency_s(),
    rendition: video.videoHeight ? `${video.videoWidth}x${video.videoHeight}` : null,
    buffer_s: ahead_s(),
    stalls: facts.stalls,
    dropped_frames: quality.droppedVideoFrames,
    playing: !video.paused && video.readyState > 2,
    ended: facts.ended,
    error: facts.error,
  };
}

function ahead_s() {
  return video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
}

// Beyond a certain distance hls.js plays at normal speed and stays behind for ever: jump. A viewer who has paused or
// gone back wants to be there.
function keepUp() {
  if (!hls || !facts.started || facts.ended || facts.timeShifted || video.paused || video.seeking) return;
  const catchesUp_s = hls.targetLatency + (hls.latestLevelDetails?.targetduration ?? Infinity);
  const behind_s = hls.latency - hls.targetLatency;
  const position_s = hls.liveSyncPosition;
  if (position_s === null || behind_s <= Math.min(JUMP_BEHIND_S, catchesUp_s)) return;
  if (position_s <= video.currentTime || performance.now() - jumpedAt_ms < JUMP_INTERVAL_MS) return;
  jumpedAt_ms = performance.now();
  video.currentTime = position_s;
}

// By the wall clock of the picture on the page where the playlist tells it, else by the player's own estimate.
function latency_s() {
  if (hls) {
    const date = hls.playingDate;
    return date ? (Date.now() - date.getTime()) / 1000 : hls.latency || null;
  }
  const start_ms = video.getStartDate ? video.getStartDate().getTime() : NaN;
  return Number.isNaN(start_ms) ? null : (Date.now() - start_ms) / 1000 - video.currentTime;
}

function show() {
  const now = stats();
  element.latency.textContent = now.latency_s === null || now.state === 'ended' ? '–' : `${now.latency_s.toFixed(2)} s`;
  element.playing.textContent = now.rendition ?? '–';
  element.buffer.textContent = `${now.buffer_s.toFixed(2)} s`;
  element.stalls.textContent = String(now.stalls);
  element.dropped.textContent = String(now.dropped_frames);
}

function showUnmute() {
  element.unmute.hidden = !video.muted || !facts.started;
}

video.addEventListener('playing', () => {
  facts.started = true;
  facts.error = null;
  state('playing');
  showUnmute();
});
video.addEventListener('pause', () => {
  if (!facts.started || video.ended) return;
  facts.timeShifted ||= !document.hidden;
  state('paused');
});
video.addEventListener('seeking', () => {
  if (hls && hls.liveSyncPosition !== null) facts.timeShifted = video.currentTime < hls.liveSyncPosition - JUMP_BEHIND_S;
});
video.addEventListener('waiting', () => {
  if (!facts.started || video.seeking) return;
  // Tracks rarely end at the same time, and a player that waits for more of one of them never says that it has ended.
  if (facts.ended && ahead_s() < END_S) {
    waitForNextSession();
    return;
  }
  facts.stalls += 1;
  state('buffering', 'buffering');
});
video.addEventListener('ended', waitForNextSession);
video.addEventListener('volumechange', showUnmute);
element.unmute.addEventListener('click', () => {
  video.muted = false;
  video.focus();
});
element.rendition.addEventListener('change', () => {
  if (hls) hls.nextLevel = Number(element.rendition.value);
});

window.antlivePlayer = { stats, get hls() { return hls; } };
state('connecting', 'connecting');
setInterval(() => {
  keepUp();
  show();
}, 250);
start();
