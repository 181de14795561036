// Each player as its documentation embeds it, behind one interface: `window.player`.

const parameters = new URLSearchParams(location.search);
const source = parameters.get('source');
const video = document.getElementById('video');
const errors = [];

function hlsJs() {
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal) errors.push(data.details);
  });
  hls.loadSource(source);
  hls.attachMedia(video);
  return {
    switchTo: (height) => {
      hls.nextLevel = hls.levels.findIndex((level) => level.height === height);
    },
    toLive: () => {
      video.currentTime = hls.liveSyncPosition;
    },
  };
}

function shakaPlayer() {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  player.addEventListener('error', ({ detail }) => errors.push(`${detail.code ?? detail} ${(detail.data ?? []).slice(0, 2).join(' ')}`));
  player.attach(video).then(() => player.load(source)).catch((error) => errors.push(`load: ${error.code ?? error}`));
  return {
    switchTo: (height) => {
      player.configure({ abr: { enabled: false } });
      player.selectVariantTrack(player.getVariantTracks().find((track) => track.height === height));
    },
    toLive: () => player.goToLive(),
  };
}

function videoJs() {
  const player = videojs(video, { liveui: true, muted: true, autoplay: true, html5: { vhs: { overrideNative: true, llhls: false } } });
  player.on('error', () => errors.push(`${player.error()?.code} ${player.error()?.message}`));
  player.src({ src: source, type: 'application/vnd.apple.mpegurl' });
  return {
    switchTo: (height) => {
      // As its own choice of the rendition does it: `representations()` empties the buffer first.
      const { vhs } = player.tech({ IWillNotUseThisInPlugins: true });
      vhs.selectPlaylist = () => vhs.playlists.main.playlists.find(({ attributes }) => attributes.RESOLUTION.height === height);
    },
    toLive: () => player.liveTracker.seekToLiveEdge(),
    element: () => player.el().querySelector('video'),
  };
}

const kind = { hlsjs: hlsJs, shaka: shakaPlayer, videojs: videoJs }[parameters.get('player')];
window.player = { errors, ...kind() };
