// Plays /vod/{recordingId}/master.m3u8 and shows its storyboard where the seek bar is pointed at.

const Hls = window.Hls;
const base = `/vod/${location.pathname.split('/').pop()}`;
const [video, notice, preview, thumbnail, moment, position, clock] = [
  'video', 'notice', 'preview', 'thumbnail', 'moment', 'position', 'clock',
].map((id) => document.getElementById(id));
let cues = [];
let dragging = false;

function start() {
  if (Hls && Hls.isSupported()) {
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
      else notice.textContent = 'There is no such recording, or it can’t be reached.';
    });
    // A recording that grows is played from its beginning, too.
    hls.on(Hls.Events.MANIFEST_PARSED, () => hls.startLoad(0));
    hls.config.autoStartLoad = false;
    hls.loadSource(`${base}/master.m3u8`);
    hls.attachMedia(video);
    window.antliveRecording = { hls, cueAt };
  } else {
    video.src = `${base}/master.m3u8`;
    window.antliveRecording = { hls: null, cueAt };
  }
}

async function loadStoryboard() {
  const response = await fetch(`${base}/thumbnails.vtt`);
  if (response.ok) cues = parse(await response.text());
}

// Only what the recorder writes: "start --> end", then a URI with the place on its sheet.
function parse(text) {
  const found = [];
  for (const block of text.split('\n\n').slice(1)) {
    const match = block.match(/^(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/);
    if (!match) continue;
    const [x, y, width, height] = match.slice(4).map(Number);
    found.push({ start_s: seconds(match[1]), end_s: seconds(match[2]), url: `${base}/${match[3]}`, x, y, width, height });
  }
  return found;
}

function seconds(text) {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

function cueAt(at_s) {
  return cues.find((cue) => at_s < cue.end_s) ?? cues.at(-1);
}

function shown(at_s) {
  const whole = Math.floor(at_s);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

function showPreview(at_s) {
  const length_s = Number(position.max);
  const cue = cueAt(at_s);
  preview.hidden = !length_s;
  moment.textContent = shown(at_s);
  preview.style.left = `${length_s ? (at_s / length_s) * 100 : 0}%`;
  thumbnail.hidden = !cue;
  if (!cue) return;
  thumbnail.style.width = `${cue.width}px`;
  thumbnail.style.height = `${cue.height}px`;
  thumbnail.style.backgroundImage = `url("${cue.url}")`;
  thumbnail.style.backgroundPosition = `-${cue.x}px -${cue.y}px`;
}

function showPosition() {
  const length_s = Number.isFinite(video.duration) ? video.duration : 0;
  position.max = String(length_s);
  if (!dragging) position.value = String(video.currentTime);
  clock.textContent = `${shown(video.currentTime)} / ${shown(length_s)}`;
}

position.addEventListener('pointermove', (event) => {
  const box = position.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  showPreview(share * Number(position.max));
});
position.addEventListener('pointerleave', () => {
  if (!dragging) preview.hidden = true;
});
position.addEventListener('input', () => {
  dragging = true;
  showPreview(Number(position.value));
});
position.addEventListener('change', () => {
  dragging = false;
  preview.hidden = true;
  video.currentTime = Number(position.value);
});
for (const name of ['timeupdate', 'durationchange', 'seeked']) video.addEventListener(name, showPosition);
video.addEventListener('loadeddata', () => {
  notice.textContent = '';
});
start();
loadStoryboard().catch((error) => console.debug('no storyboard', error));
