// Elements from plain values. Text is only ever set as text: names come from strangers.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name === 'className' ? 'class' : name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

// Says something to those who do not see the screen.
export function announce(text) {
  document.getElementById('news').textContent = text;
}

// New rows for a list; what has the focus keeps it, found again by its `data-key`.
export function replaceRows(list, rows) {
  const key = list.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  list.replaceChildren(...rows);
  if (key) list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

export function button(text, act, className = '') {
  return h('button', { type: 'button', className, onclick: act }, text);
}

// Name and value, one below the other; what has no value is left out.
export function facts(rows) {
  return rows
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value instanceof Node ? value : `${value}`)));
}

export function copyButton(text, what) {
  const copy = h(
    'button',
    {
      type: 'button',
      className: 'copy',
      'aria-label': `Copy ${what}`,
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          copy.textContent = 'Copied';
          announce(`${what} copied`);
        } catch (error) {
          // Clipboards are for secure pages: select it instead, so that the keyboard can copy.
          console.debug('no clipboard', error);
          getSelection().selectAllChildren(copy.previousSibling);
          copy.textContent = 'Selected';
          announce(`${what} selected`);
        }
        setTimeout(() => (copy.textContent = 'Copy'), 1500);
      },
    },
    'Copy',
  );
  return copy;
}

export function copyRow(label, text) {
  return h('div', { className: 'copy-row' }, h('span', { className: 'label' }, label), h('code', {}, text), copyButton(text, label));
}
