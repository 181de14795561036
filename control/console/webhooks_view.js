// Webhooks: list, create.

import { openDialog, tellDialog } from './dialog.js';
import { button, copyRow, h, replaceRows } from './dom.js';

const RELOAD_MS = 1000;

// Calls `load` soon after an event, however many come: once a second.
export class Reloader {
  constructor(load) {
    this.load = load;
    this.timer = 0;
  }

  soon() {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.load();
    }, RELOAD_MS);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
  }
}

export class WebhooksView {
  constructor(api) {
    this.api = api;
    this.reloader = new Reloader(() => this.open());
    this.rows = h('ul', { className: 'rows', 'aria-label': 'Webhooks' });
    this.problem = h('p', { className: 'problem', role: 'alert' });
    this.element = h(
      'section',
      {},
      h('div', { className: 'head' }, h('h1', {}, 'Webhooks'), h('div', { className: 'tools' }, button('New webhook', () => this.create(), 'primary'))),
      this.problem,
      this.rows,
    );
  }

  async open() {
    try {
      const { webhooks } = await this.api.get('/webhooks');
      const empty = h('li', { className: 'empty' }, 'No webhooks yet. Events are posted to each, signed, in order per stream, for a day if need be.');
      replaceRows(this.rows, webhooks.length ? webhooks.map((webhook) => this.row(webhook)) : [empty]);
      this.problem.textContent = '';
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  changed() {
    this.reloader.soon();
  }

  close() {
    this.reloader.stop();
  }

  row(webhook) {
    const { pending, delivered, dead } = webhook.deliveries;
    const state = webhook.enabled ? 'enabled' : webhook.disabledReason === 'gone' ? 'gone' : 'paused';
    return h(
      'li',
      {},
      h(
        'a',
        { href: `#/webhooks/${webhook.webhookId}`, className: 'webhook', 'data-key': webhook.webhookId },
        h('span', { className: `state state-${webhook.enabled ? 'live' : 'idle'}` }, state),
        h('span', { className: 'name', title: webhook.url }, webhook.url, webhook.description && h('span', { className: 'dim note' }, webhook.description)),
        h('span', { className: 'dim counts' }, `${pending} waiting · ${delivered} delivered · `, h('span', { className: dead ? 'bad' : '' }, `${dead} dead`)),
      ),
    );
  }

  create() {
    const fields = [
      h('label', { for: 'url' }, 'URL'),
      h('input', { id: 'url', name: 'url', type: 'url', required: true, placeholder: 'https://', autocomplete: 'off' }),
      h('label', { for: 'description' }, 'Note'),
      h('input', { id: 'description', name: 'description', maxlength: '200', autocomplete: 'off' }),
    ];
    openDialog('New webhook', fields, 'Create', async (data) => {
      const made = await this.api.post('/webhooks', { url: data.get('url'), description: data.get('description') });
      await this.open();
      const rows = [h('p', {}, 'Deliveries are signed with this secret. Copy it now: it is shown only this once.'), copyRow('Secret', made.secret)];
      return () => tellDialog('The webhook is ready', rows, 'I have it');
    });
  }
}
