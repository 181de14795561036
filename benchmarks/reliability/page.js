// hls.js and Shaka Player as their own pages tell people to embed them, and the product's player page in a frame.

const parameters = new URLSearchParams(location.search);
const source = parameters.get('source');
const copies = Number(parameters.get('copies') ?? 1);
window.fatal = {};

function addVideo(id) {
  const video = document.createElement('video');
  Object.assign(video, { id, muted: true, autoplay: true, playsInline: true });
  document.body.append(video);
  window.fatal[id] = [];
  return video;
}

function startHlsJs(id) {
  const video = addVideo(id);
  const logs = (...words) => console.debug(id, ...words);
  const debug = parameters.has('debug') && { debug: logs, log: logs, info: logs, warn: logs, error: logs };
  const hls = new Hls({ debug });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    window.fatal[id].push(data.details);
    // The two cures of hls.js's documentation.
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else if (data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR) setTimeout(() => hls.loadSource(source), 1000);
    else setTimeout(() => hls.startLoad(), 1000);
  });
  hls.loadSource(source);
  hls.attachMedia(video);
}

async function startShaka(id) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  await player.attach(addVideo(id));
  const load = async () => {
    for (;;) {
      try {
        return await player.load(source);
      } catch (error) {
        // Shaka Player (5.2.12) looks for captions in a segment that has only parts yet while a playlist is short.
        console.debug('Shaka Player does not load yet', error);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  };
  let loading = false;
  player.addEventListener('error', async ({ detail }) => {
    // A page can help where Shaka Player has met an exception of its own: its other errors it recovers from by itself.
    if (loading) return;
    window.fatal[id].push(String(detail.code ?? 'exception'));
    if (detail instanceof shaka.util.Error) return;
    console.debug('Shaka Player has thrown', detail, detail.stack);
    loading = true;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await load();
    loading = false;
  });
  await load();
}

for (let copy = 1; copy <= copies; copy += 1) {
  // Each with a phase of its own.
  setTimeout(() => startHlsJs(`hlsjs-${copy}`), copy * 170);
  setTimeout(() => startShaka(`shaka-${copy}`), copy * 170);
}
const frame = document.createElement('iframe');
frame.name = 'page';
frame.src = parameters.get('page');
document.body.append(frame);
