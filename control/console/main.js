// Sign-in, the event feed, and which view is shown.

import { Api } from './api.js';
import { DetailView } from './detail_view.js';
import { h } from './dom.js';
import { EventFeed } from './events.js';
import { StreamList } from './stream_list.js';
import { StreamsView } from './streams_view.js';
import { WebhookView } from './webhook_view.js';
import { WebhooksView } from './webhooks_view.js';

const main = document.getElementById('main');
const bar = document.getElementById('bar');
const link = document.getElementById('link');
const LINK = { live: 'live', waiting: 'reconnecting …', refused: 'signed out' };

let api = null;
let feed = null;
let list = null;
let view = null;

function showSignIn(message = '') {
  bar.hidden = true;
  const input = h('input', { id: 'key', type: 'password', required: true, autocomplete: 'off', spellcheck: 'false', autofocus: true });
  const problem = h('p', { className: 'problem', role: 'alert' }, message);
  const form = h(
    'form',
    {
      className: 'sign-in',
      onsubmit: async (event) => {
        event.preventDefault();
        problem.textContent = '';
        const tried = new Api(input.value.trim());
        try {
          await tried.get('/live-streams?limit=1');
        } catch (error) {
          problem.textContent = error.status === 401 ? 'This API key is not valid.' : error.message;
          input.select();
          return;
        }
        tried.remember();
        signIn(tried);
      },
    },
    h('h1', { className: 'brand' }, h('img', { src: '/console/icon.svg', alt: '', width: 28, height: 28 }), 'antlive'),
    h('label', { for: 'key' }, 'API key'),
    input,
    h('button', { type: 'submit', className: 'primary' }, 'Sign in'),
    problem,
    h('p', { className: 'dim' }, 'It was printed when the service was started; ', h('code', {}, 'antlive keys'), ' makes more. It is kept in this tab only.'),
  );
  main.replaceChildren(form);
  input.focus();
}

function signIn(accepted) {
  api = accepted;
  api.onRefused = () => signOut('The API key is not valid any more.');
  list = new StreamList(api, (event) => {
    if (view instanceof StreamsView) view.draw(event);
  });
  feed = new EventFeed(api, {
    onEvent: take,
    onGap: () => load(),
    onState: (state) => {
      link.textContent = LINK[state];
      link.className = `link-${state}`;
      if (state === 'refused') signOut('The API key is not valid any more.');
      // What is loaded after the feed has begun misses nothing.
      if (state === 'live' && !feed.lastId) load();
    },
  });
  bar.hidden = false;
  route();
  feed.run();
}

function signOut(message = '') {
  api?.forget();
  feed?.stop();
  view?.close?.();
  api = feed = list = view = null;
  showSignIn(message);
}

async function load() {
  try {
    await list.load();
  } catch (error) {
    console.debug('the list was not loaded', error);
    if (view instanceof StreamsView) view.problem.textContent = error.message;
  }
}

async function take(event) {
  try {
    await Promise.all([list.take(event), view?.changed?.(event)]);
  } catch (error) {
    console.debug('after an event', error);
  }
}

function route() {
  if (!api) return;
  const [, kind, id] = location.hash.split('/');
  view?.close?.();
  if (kind === 'webhooks') view = id ? new WebhookView(api, id) : new WebhooksView(api);
  else view = id ? new DetailView(api, id) : new StreamsView(api, list);
  document.title = 'antlive console';
  for (const each of bar.querySelectorAll('nav a')) {
    if (each.hash === `#/${kind || 'streams'}`) each.setAttribute('aria-current', 'page');
    else each.removeAttribute('aria-current');
  }
  main.replaceChildren(view.element);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
  view.open?.();
}

document.getElementById('sign-out').addEventListener('click', () => signOut());
addEventListener('hashchange', route);
const remembered = Api.remembered();
if (remembered) signIn(remembered);
else showSignIn();
