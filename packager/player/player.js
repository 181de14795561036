// Plays /live/{edgeId}/master.m3u8 and shows latency, rendition, buffer and stalls.

const RETRY_MS = 1000;
const RECOVERY_INTERVAL_MS = 5000;
const JUMP_BEHIND_S = 3;
const JUMP_INTERVAL_MS = 5000;
const LATE_S = 0.08;
const ON_TIME_S = 0.02;
const FASTER = 1.05;
const FASTER_BEHIND_1_S = 1.1;
const FORGET_STALLS_MS = 60_000;
const FORGET_FIRST_STALLS_MS = 3000;
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
let forgetStallsAt_ms = Infinity;
let shownAt_s = 0;

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
  shownAt_s = 0;
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
    // `keepUp` does what this is for: hls.js (1.7.4) plays faster only with more than a second in its buffer, which a
    // low-latency stream never has, so it keeps whatever distance it has begun with.
    maxLiveSyncPlaybackRate: 1,
    // Not the second of default. `forgetStalls` takes it back.
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
  showPoster();
  currentSession().then((session) => {
    facts.session = session;
  });
}

function onError(_, data) {
  if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR && facts.started) {
    forgetStallsAt_ms = Math.max(forgetStallsAt_ms, performance.now() + FORGET_STALLS_MS);
  }
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

// What the stream looks like now, for the time before its first picture, and for who must press play.
function showPoster() {
  video.poster = `/live/${edgeId}/poster.jpg`;
}

function showRenditions() {
  showPoster();
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

// A viewer who has fallen behind comes back by playing a little faster, or beyond a few seconds by a jump. One who has
// paused or gone back wants to be there.
function keepUp() {
  const details = hls?.latestLevelDetails;
  if (!details || facts.ended || facts.timeShifted || !facts.started || video.paused) {
    setRate(1);
    return;
  }
  forgetStalls(details);
  const behind_s = details.edge + details.age - video.currentTime - hls.targetLatency;
  if (behind_s > JUMP_BEHIND_S) jump();
  // What is left in the buffer must last until the next part has come.
  const mayHurry = ahead_s() > (details.partTarget || details.targetduration);
  if (!mayHurry || behind_s < ON_TIME_S) setRate(1);
  else if (behind_s > 1) setRate(FASTER_BEHIND_1_S);
  else if (behind_s > LATE_S || video.playbackRate > 1) setRate(FASTER);
}

function setRate(rate) {
  if (hls && video.playbackRate !== rate) video.playbackRate = rate;
}

function jump() {
  const position_s = hls.liveSyncPosition;
  if (position_s === null || position_s <= video.currentTime) return;
  if (performance.now() - jumpedAt_ms < JUMP_INTERVAL_MS) return;
  jumpedAt_ms = performance.now();
  video.currentTime = position_s;
}

// hls.js adds to its distance with every stall, for ever. The first moments of playback often stall; later ones count
// for a minute.
function forgetStalls(details) {
  if (performance.now() < forgetStallsAt_ms) return;
  forgetStallsAt_ms = Infinity;
  hls.targetLatency = details.partHoldBack || details.holdBack;
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
  if (!facts.started) forgetStallsAt_ms = performance.now() + FORGET_FIRST_STALLS_MS;
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
// Viewers go back. Forward, over a hole, goes hls.js, too: where it lands and finds nothing, `keepUp` has to help.
video.addEventListener('seeking', () => {
  if (!hls || hls.liveSyncPosition === null) return;
  if (video.currentTime >= hls.liveSyncPosition - JUMP_BEHIND_S) facts.timeShifted = false;
  else if (video.currentTime < shownAt_s) facts.timeShifted = true;
});
video.addEventListener('timeupdate', () => {
  if (!video.seeking) shownAt_s = video.currentTime;
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
