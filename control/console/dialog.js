// Modal dialogs.

import { h } from './dom.js';

// A dialog with a form. `submit` gets the form's data; what it throws is shown, and the dialog stays. A function that it
// returns is called once the dialog is closed: a dialog that follows then gives the focus back to where all began.
export function openDialog(title, fields, action, submit, { danger = false } = {}) {
  const go = h('button', { type: 'submit', className: danger ? 'danger solid' : 'primary' }, action);
  const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
  const dialog = show(title, fields, [cancel, go], async (form, problem) => {
    go.disabled = true;
    problem.textContent = '';
    try {
      const then = await submit(new FormData(form));
      dialog.close();
      if (typeof then === 'function') then();
    } catch (error) {
      problem.textContent = error.message;
      const field = error.field && form.elements.namedItem(error.field);
      if (field && field.focus) field.focus();
    } finally {
      go.disabled = false;
    }
  });
  return dialog;
}

// A dialog that tells something, to be closed when it is read.
export function tellDialog(title, content, action) {
  const dialog = show(title, content, [h('button', { type: 'submit', className: 'primary' }, action)], () => dialog.close());
  dialog.classList.add('wide');
  return dialog;
}

function show(title, content, buttons, onSubmit) {
  const problem = h('p', { className: 'problem', role: 'alert' });
  const form = h(
    'form',
    {
      method: 'dialog',
      onsubmit: (event) => {
        event.preventDefault();
        onSubmit(form, problem);
      },
    },
    h('h2', {}, title),
    content,
    problem,
    h('div', { className: 'buttons' }, buttons),
  );
  const dialog = h('dialog', { 'aria-label': title }, form);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
