// One webhook: test, pause, delete; its deliveries, dead ones too.

import { openDialog } from './dialog.js';
import { button, h, replaceRows } from './dom.js';
import { duration, time } from './times.js';
import { Reloader } from './webhooks_view.js';

const STATES = { pending: 'connecting', delivered: 'live', dead: 'error' };

export class WebhookView {
  constructor(api, webhookId) {
    this.api = api;
    this.path = `/webhooks/${webhookId}`;
    this.state = '';
    this.reloader = new Reloader(() => this.open());
    this.problem = h('p', { className: 'problem', role: 'alert' });
    this.title = h('h1', { className: 'url' });
    this.note = h('p', { className: 'dim' });
    this.rows = h('ul', { className: 'rows', 'aria-label': 'Deliveries' });
    this.toggle = button('Pause', () => this.act(() => this.api.patch(this.path, { enabled: !this.webhook.enabled })));
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
    const tools = [button('Send a test', () => this.act(() => this.api.post(`${this.path}/test`))), this.toggle, button('Delete', () => this.remove(), 'danger')];
    this.element = h(
      'section',
      {},
      h('a', { href: '#/webhooks', className: 'back' }, '← All webhooks'),
      h('div', { className: 'head' }, this.title, h('div', { className: 'tools' }, tools)),
      this.note,
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
      this.note.textContent = this.about();
      this.toggle.textContent = this.webhook.enabled ? 'Pause' : 'Resume';
      const empty = h('li', { className: 'empty' }, this.state ? `No delivery is ${this.state}.` : 'Nothing was delivered yet.');
      replaceRows(this.rows, deliveries.length ? deliveries.map((delivery) => this.row(delivery)) : [empty]);
      this.problem.textContent = '';
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  about() {
    const { webhook } = this;
    const types = webhook.eventTypes.length ? webhook.eventTypes.join(', ') : 'all events';
    const state = webhook.enabled ? '' : webhook.disabledReason === 'gone' ? 'Disabled: the receiver answered 410. ' : 'Paused. ';
    return `${state}${webhook.description ? `${webhook.description} · ` : ''}Gets ${types}.`;
  }

  changed() {
    this.reloader.soon();
  }

  close() {
    this.reloader.stop();
  }

  async act(work) {
    this.problem.textContent = '';
    try {
      await work();
      await this.open();
      this.reloader.soon();
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  row(delivery) {
    const again = () => this.act(() => this.api.post(`${this.path}/deliveries/${delivery.deliveryId}/redeliver`));
    const attempts = `${delivery.attempts} ${delivery.attempts === 1 ? 'attempt' : 'attempts'}`;
    const wait_s = delivery.nextAttemptAt ? (Date.parse(delivery.nextAttemptAt) - Date.now()) / 1000 : 0;
    const next = wait_s > 0 ? `, next in ${duration(wait_s)}` : '';
    const why = delivery.error ?? (delivery.statusCode ? `answered ${delivery.statusCode}` : '');
    return h(
      'li',
      { className: 'delivery' },
      h('span', { className: `state state-${STATES[delivery.state]}` }, delivery.state),
      h('span', { className: 'name' }, delivery.type, ' ', h('span', { className: 'dim' }, `#${delivery.number}`)),
      h('span', { className: 'dim why' }, `${attempts}${next}${why ? ` · ${why}` : ''}`),
      h('span', { className: 'dim when' }, time(delivery.lastAttemptAt ?? delivery.createdAt)),
      h('button', { type: 'button', disabled: delivery.state === 'pending', onclick: again, 'data-key': delivery.deliveryId }, 'Deliver again'),
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
