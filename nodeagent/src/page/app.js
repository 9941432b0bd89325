// The page: holds what is shown and what the person chose, and draws it again when either changes.

import { h, reconcile } from './element.js';
import { arrange, CLASSES, filtering, noFilter, sections, TRAITS } from './arrange.js';
import { showFacts, showGone } from './facts.js';
import { follow } from './follow.js';
import { nicHead, nicNews, nicRow, nicSignature, updateNicRow } from './nic_row.js';
import { addChange, showMatrix, showNode, showWarnings } from './overview.js';
import { showPods } from './pods.js';
import { readPfs } from './vf_cells.js';
import * as words from './words.js';

const byId = (id) => document.getElementById(id);

let inventory = null;
let pfs = null;
let arranged = { byId: new Map(), rows: [] };
const filter = noFilter();
const unfolded = new Set();
const folds = new Map();
let fresh = new Set();
let opener = null;

const actions = {
  open: (id) => { opener = document.activeElement; location.hash = `nic=${encodeURIComponent(id)}`; },
  fresh: (id) => fresh.has(id),
  unfolded: (id) => unfolded.has(id),
  unfold: (id, on) => { if (on) unfolded.add(id); else unfolded.delete(id); drawList(); },
};

function draw(next) {
  const before = inventory === null ? null : arranged.byId;
  inventory = next;
  arranged = arrange(inventory, pfs);
  fresh = new Set(before === null ? [] : [...arranged.byId.keys()].filter((id) => !before.has(id)));
  showNode(inventory);
  showWarnings(inventory, arranged.byId, actions.open);
  showMatrix(inventory, actions.open);
  drawChips();
  drawList();
  drawFacts();
  fresh.clear();
}

function drawList() {
  const shown = sections(arranged.rows, filter);
  const asked = filtering(filter);
  reconcile(byId('groups'), shown, {
    key: ({ id }) => id,
    // A section is always looked through; its rows know whether they differ.
    sign: () => performance.now(),
    news: () => '',
    make: (section) => {
      const details = h('details', { class: 'group', 'data-group': section.id },
        h('summary', {}, h('h2', {}, section.title), ' ', h('span', { class: 'number muted' })),
        h('div', { class: 'frame' }, nicHead(), h('div', { class: 'list', role: 'list', 'aria-label': section.title })));
      // What the person folds is remembered; what a filter opens is not.
      details.addEventListener('toggle', () => {
        if (String(details.open) !== details.dataset.drawn) folds.set(section.id, details.open);
      });
      fill(details, section, asked);
      return details;
    },
    update: (details, section) => fill(details, section, asked),
  });
  const nothing = byId('nothing');
  nothing.hidden = shown.length > 0 || inventory === null;
  nothing.textContent = asked ? 'No NIC fits the filter.' : 'This machine has no NIC.';
  const foldable = arranged.rows.filter(({ vfs }) => vfs.length > 0);
  const all = byId('unfold');
  all.hidden = foldable.length === 0;
  const on = foldable.length > 0 && foldable.every(({ nic }) => unfolded.has(nic.id));
  all.setAttribute('aria-pressed', String(on));
  all.textContent = on ? 'fold VFs' : 'show all VFs';
}

function fill(details, section, asked) {
  details.open = asked ? true : folds.get(section.id) ?? section.open;
  details.dataset.drawn = String(details.open);
  details.querySelector('.number').textContent = section.rows.length;
  reconcile(details.querySelector('.list'), section.rows, {
    key: ({ nic }) => nic.id,
    sign: (row) => nicSignature(row, unfolded.has(row.nic.id)),
    news: nicNews,
    fresh: ({ nic }) => fresh.has(nic.id),
    make: (row) => nicRow(row, actions),
    update: (element, row) => updateNicRow(element, row, actions),
  });
}

function drawChips() {
  const top = arranged.rows;
  const chips = [
    ...CLASSES.map((name) => ({ set: filter.classes, name, title: name, look: `class ${name}`, number: top.filter(({ nic }) => nic.speed.class === name).length })),
    ...Object.entries(TRAITS).map(([name, { title, has }]) => ({ set: filter.traits, name, title, look: 'trait', number: top.filter(has).length })),
  ].filter(({ number, set, name }) => number > 0 || set.has(name));
  reconcile(byId('chips'), chips, {
    key: ({ name, look }) => `${look} ${name}`,
    sign: ({ number, set, name }) => `${number} ${set.has(name)}`,
    make: ({ set, name, title, look, number }) => h('button', {
      type: 'button', class: `chip ${look}`, 'data-focus': `${look} ${name}`, 'aria-pressed': String(set.has(name)),
      on: { click: () => { if (!set.delete(name)) set.add(name); drawChips(); drawList(); } },
    }, title, ' ', h('span', { class: 'number' }, number)),
  });
}

function chosen() {
  const found = /^#nic=(.*)$/.exec(location.hash);
  try {
    return found ? decodeURIComponent(found[1]) : null;
  } catch {
    return null;
  }
}

function drawFacts() {
  const id = chosen();
  const panel = byId('detail');
  const wasHidden = panel.hidden;
  const nic = id === null ? undefined : arranged.byId.get(id);
  if (nic) {
    const warnings = inventory.warnings.filter((warning) => warning.nic === id);
    showFacts(panel, nic, warnings, close);
  } else if (id !== null && panel.dataset.nic === id) {
    showGone(panel, close);
  }
  panel.hidden = id === null || panel.dataset.nic !== id;
  for (const row of document.querySelectorAll('[aria-current]')) row.removeAttribute('aria-current');
  if (!panel.hidden) {
    document.querySelector(`#groups [data-nic="${CSS.escape(id)}"]`)?.setAttribute('aria-current', 'true');
    if (wasHidden) panel.focus({ preventScroll: true });
  }
}

function close() {
  history.replaceState(null, '', location.pathname + location.search);
  drawFacts();
  opener?.isConnected && opener.focus();
  opener = null;
}

let lostSince = null;

function showState(state) {
  const live = byId('live');
  const text = { connecting: 'connecting', live: 'live', lost: 'connection lost, retrying' }[state];
  if (live.textContent !== text) live.textContent = text;
  live.className = `live ${state}`;
  document.body.classList.toggle('stale', state === 'lost');
  lostSince = state === 'lost' ? lostSince ?? new Date() : null;
  const notice = byId('lost');
  notice.hidden = state !== 'lost';
  notice.textContent = state === 'lost'
    ? `Connection to the agent lost at ${lostSince.toLocaleTimeString('en-GB')}; retrying. ${inventory ? 'What you see is from before.' : ''}`
    : '';
}

const THEMES = ['system', 'light', 'dark'];

function theme(name) {
  document.documentElement.dataset.theme = name;
  byId('theme').textContent = `theme: ${name}`;
  // Storage may be switched off in the browser; the choice then lasts as long as the page.
  try { localStorage.setItem('theme', name); } catch { /* see above */ }
}

function storedTheme() {
  try { return THEMES.find((name) => name === localStorage.getItem('theme')) ?? 'system'; } catch { return 'system'; }
}

theme(storedTheme());
byId('theme').addEventListener('click', () => {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
});
byId('filter').addEventListener('submit', (event) => event.preventDefault());
byId('query').addEventListener('input', () => { filter.text = byId('query').value; drawList(); });
byId('unfold').addEventListener('click', () => {
  const on = byId('unfold').getAttribute('aria-pressed') !== 'true';
  for (const { nic, vfs } of arranged.rows) if (vfs.length > 0) { if (on) unfolded.add(nic.id); else unfolded.delete(nic.id); }
  drawList();
});
addEventListener('hashchange', drawFacts);
addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.ctrlKey && !event.metaKey && !event.target.closest('input, textarea, select')) {
    event.preventDefault();
    byId('query').focus();
  } else if (event.key === 'Escape' && !byId('detail').hidden) {
    close();
  }
});

/** What is wanted of PFs, and who has their VFs: not in the inventory, and not told everywhere. */
async function showPfs() {
  if (!inventory?.nics.some((nic) => nic.sriov)) return;
  pfs = await readPfs() ?? pfs;
  arranged = arrange(inventory, pfs);
  drawList();
}

let podsTimer = null;

/** Pods come and go in bursts: read a moment later, once. */
function podsSoon() {
  podsTimer ??= setTimeout(() => { podsTimer = null; showPods(); showPfs(); }, 300);
}

follow({
  inventory: (next) => { draw(next); podsSoon(); },
  event: (event) => { addChange(event); podsSoon(); },
  state: showState,
});
