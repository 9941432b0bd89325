// Elements from data. Text only ever goes in as text nodes and attributes, never as markup: a NIC's
// name, an alias or a driver's string is whatever somebody chose.

/** A new element: attributes (`class`, `data-…`, `aria-…`; false, null and undefined are left out), `on` for listeners, then children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What `reconcile` remembers of each element it made. */
const known = new WeakMap();

/**
 * Makes the children of `container` show `items`: an element is kept while its item is the same,
 * updated when it is not, and stays the same node when it moves, so focus and scroll position survive.
 *
 * `key` and `sign` name an item and its content; `make` builds an element; `update` (optional) changes
 * one in place, otherwise it is replaced. `news` is the part of the content that is worth a flash when
 * it differs, and `fresh` says which items flash when they appear.
 */
export function reconcile(container, items, { key, sign, make, update, news = sign, fresh = () => false }) {
  const keys = new Set(items.map(key));
  const before = new Map();
  for (const element of [...container.children]) {
    const name = known.get(element)?.key;
    if (keys.has(name)) before.set(name, element);
    else element.remove();
  }
  let place = container.firstElementChild;
  for (const item of items) {
    const now = { key: key(item), signature: sign(item), news: news(item) };
    let element = before.get(now.key);
    if (element === undefined) {
      element = make(item);
      if (fresh(item)) flash(element);
      container.insertBefore(element, place);
    } else {
      const then = known.get(element);
      if (then.signature !== now.signature) {
        if (update) {
          update(element, item);
        } else {
          const successor = make(item);
          if (place === element) place = successor;
          refocus(element, successor);
          element = successor;
        }
        if (then.news !== now.news) flash(element);
      }
      if (element === place) place = place.nextElementSibling;
      else container.insertBefore(element, place);
    }
    known.set(element, now);
  }
}

/** Replaces `old` and puts the focus where it was: on the control with the same `data-focus`. */
export function refocus(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  old.replaceWith(fresh);
  if (focused !== undefined) fresh.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

/** Lets an element flash once. */
function flash(element) {
  element.classList.remove('changed');
  // Reading a size restarts an animation that is still running.
  void element.offsetWidth;
  element.classList.add('changed');
}

const texts = new WeakMap();

/** `JSON.stringify`, once for each object: the inventory is read anew, never changed. */
export function json(object) {
  if (object === null || typeof object !== 'object') return String(object);
  let text = texts.get(object);
  if (text === undefined) {
    text = JSON.stringify(object);
    texts.set(object, text);
  }
  return text;
}
