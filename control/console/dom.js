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

export function formatTime(iso) {
  return iso ? new Date(iso).toLocaleString() : '–';
}

// A modal dialog with a form. `submit` gets the form's data; what it throws is shown, and the dialog stays.
export function openDialog(title, fields, action, submit, { danger = false } = {}) {
  const problem = h('p', { className: 'problem', role: 'alert' });
  const go = h('button', { type: 'submit', className: danger ? 'danger' : 'primary' }, action);
  const dialog = h('dialog', { 'aria-label': title });
  const form = h(
    'form',
    {
      method: 'dialog',
      onsubmit: async (event) => {
        event.preventDefault();
        go.disabled = true;
        problem.textContent = '';
        try {
          await submit(new FormData(form), dialog);
          dialog.close();
        } catch (error) {
          problem.textContent = error.message;
          const field = error.field && form.elements.namedItem(error.field);
          if (field && field.focus) field.focus();
        } finally {
          go.disabled = false;
        }
      },
    },
    h('h2', {}, title),
    fields,
    problem,
    h('div', { className: 'buttons' }, h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), go),
  );
  dialog.append(form);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function copyButton(text, what) {
  const button = h(
    'button',
    {
      type: 'button',
      className: 'copy',
      'aria-label': `Copy ${what}`,
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = 'Copied';
          announce(`${what} copied`);
        } catch (error) {
          // Clipboards are for secure pages: select it instead, so that the keyboard can copy.
          console.debug('no clipboard', error);
          getSelection().selectAllChildren(button.previousSibling);
          button.textContent = 'Selected';
        }
        setTimeout(() => (button.textContent = 'Copy'), 1500);
      },
    },
    'Copy',
  );
  return button;
}

export function copyRow(label, text) {
  return h('div', { className: 'copy-row' }, h('span', { className: 'label' }, label), h('code', {}, text), copyButton(text, label));
}
