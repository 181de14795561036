// Webhooks: list, create, test, delete; the deliveries of one, dead ones too.

import { copyRow, formatTime, h, openDialog } from './dom.js';

export class WebhooksView {
  constructor(api) {
    this.api = api;
    this.rows = h('ul', { className: 'rows', 'aria-label': 'Webhooks' });
    this.problem = h('p', { className: 'problem', role: 'alert' });
    const create = h('button', { type: 'button', className: 'primary', onclick: () => this.create() }, 'New webhook');
    this.element = h(
      'section',
      {},
      h('div', { className: 'head' }, h('h1', {}, 'Webhooks'), h('div', { className: 'tools' }, create)),
      this.problem,
      this.rows,
    );
  }

  async open() {
    try {
      const { webhooks } = await this.api.get('/webhooks');
      const empty = h('li', { className: 'empty' }, 'No webhooks. Events are posted to each, signed, in order per stream, for a day if need be.');
      this.rows.replaceChildren(...(webhooks.length ? webhooks.map((webhook) => this.row(webhook)) : [empty]));
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  row(webhook) {
    const { pending, delivered, dead } = webhook.deliveries;
    const state = webhook.enabled ? 'enabled' : 'disabled';
    return h(
      'li',
      {},
      h(
        'a',
        { href: `#/webhooks/${webhook.webhookId}` },
        h('span', { className: `state state-${webhook.enabled ? 'live' : 'idle'}` }, state),
        h('span', { className: 'name' }, webhook.url),
        h('span', { className: 'dim' }, `${pending} waiting, ${delivered} delivered, ${dead} dead`),
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
      openDialog('The webhook is ready', rows, 'I have it', async () => {}).classList.add('wide');
    });
  }
}

export class WebhookView {
  constructor(api, webhookId) {
    this.api = api;
    this.path = `/webhooks/${webhookId}`;
    this.state = '';
    this.problem = h('p', { className: 'problem', role: 'alert' });
    this.title = h('h1', { className: 'url' });
    this.rows = h('ul', { className: 'rows', 'aria-label': 'Deliveries' });
    this.toggle = h('button', { type: 'button', onclick: () => this.act(() => this.api.patch(this.path, { enabled: !this.webhook.enabled })) });
    const button = (text, act, className = '') => h('button', { type: 'button', className, onclick: act }, text);
    const filter = h(
      'select',
      {
        'aria-label': 'Deliveries shown',
        onchange: () => {
          this.state = filter.value;
          this.open();
        },
      },
      ['', 'pending', 'delivered', 'dead'].map((state) => h('option', { value: state }, state || 'all deliveries')),
    );
    this.element = h(
      'section',
      {},
      h('a', { href: '#/webhooks', className: 'back' }, '← All webhooks'),
      h(
        'div',
        { className: 'head' },
        this.title,
        h(
          'div',
          { className: 'tools' },
          button('Send a test', () => this.act(() => this.api.post(`${this.path}/test`))),
          this.toggle,
          button('Delete', () => this.remove(), 'danger'),
        ),
      ),
      this.problem,
      h('div', { className: 'head' }, h('h2', {}, 'Deliveries'), h('div', { className: 'tools' }, filter, button('Reload', () => this.open()))),
      this.rows,
    );
  }

  async open() {
    try {
      this.webhook = await this.api.get(this.path);
      const { deliveries } = await this.api.get(`${this.path}/deliveries?limit=50${this.state ? `&state=${this.state}` : ''}`);
      this.title.textContent = this.webhook.url;
      this.toggle.textContent = this.webhook.enabled ? 'Pause' : 'Resume';
      const empty = h('li', { className: 'empty' }, 'Nothing was delivered yet.');
      this.rows.replaceChildren(...(deliveries.length ? deliveries.map((delivery) => this.row(delivery)) : [empty]));
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  async act(work) {
    this.problem.textContent = '';
    try {
      await work();
      await this.open();
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  row(delivery) {
    const again = () => this.act(() => this.api.post(`${this.path}/deliveries/${delivery.deliveryId}/redeliver`));
    const what = delivery.error ?? (delivery.statusCode ? `${delivery.statusCode}` : '');
    return h(
      'li',
      { className: 'delivery' },
      h('span', { className: `state state-${{ pending: 'connecting', delivered: 'live', dead: 'error' }[delivery.state]}` }, delivery.state),
      h('span', { className: 'name' }, delivery.type),
      h('span', { className: 'dim' }, `${delivery.attempts} attempts ${what}`),
      h('span', { className: 'dim when' }, formatTime(delivery.lastAttemptAt ?? delivery.createdAt)),
      h('button', { type: 'button', disabled: delivery.state === 'pending', onclick: again }, 'Deliver again'),
    );
  }

  remove() {
    const text = 'What waits for it is not sent any more.';
    const act = async () => {
      await this.api.delete(this.path);
      location.hash = '#/webhooks';
    };
    openDialog('Delete this webhook?', h('p', {}, text), 'Delete', act, { danger: true });
  }
}
