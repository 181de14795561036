// hls.js and Shaka Player as their own pages tell people to embed them, and the product's player page in a frame.

const parameters = new URLSearchParams(location.search);
const source = parameters.get('source');
window.fatal = { hlsjs: [], shaka: [] };

function startHlsJs() {
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    window.fatal.hlsjs.push(data.details);
    // The two cures of hls.js's documentation.
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else if (data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR) setTimeout(() => hls.loadSource(source), 1000);
    else setTimeout(() => hls.startLoad(), 1000);
  });
  hls.loadSource(source);
  hls.attachMedia(document.getElementById('hlsjs'));
  window.hls = hls;
}

async function startShaka() {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  await player.attach(document.getElementById('shaka'));
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
    window.fatal.shaka.push(String(detail.code ?? 'exception'));
    if (detail instanceof shaka.util.Error) return;
    loading = true;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await load();
    loading = false;
  });
  await load();
}

startHlsJs();
startShaka();
const frame = document.createElement('iframe');
frame.name = 'page';
frame.src = parameters.get('page');
document.body.append(frame);
