// The VFs of a PF as cells, one a VF, with the letters of `hwprobe --wide`; and what the agent wants of PFs, where it
// tells. Colour repeats what the letter says, and a line below says in words what the cell with the focus is.

import { h } from './element.js';
import * as words from './words.js';

/** The letter of each state. */
export const LETTERS = { free: '.', held: '#', broken: 'x', missing: '-', changing: '~' };

/**
 * The VFs of `nic` by index: `[{ index, state, text, id }]`. `told` is what the agent says of the PF and its VFs
 * (`{ pf, vfs }` of `/v1/sriov/pfs`), absent where it does not tell. `text` says what the state means, `id` names the
 * VF in the inventory, when it is there.
 */
export function cells(nic, told) {
  const seen = new Map((nic.sriov?.vfs ?? []).map((entry) => [entry.index, entry]));
  const wanted = new Map((told?.vfs ?? []).map((vf) => [vf.index, vf]));
  const last = Math.max(-1, ...seen.keys(), ...wanted.keys());
  const autoprobe = nic.sriov?.driversAutoprobe;
  const changing = told?.pf.state === 'applying';
  return Array.from({ length: last + 1 }, (_, index) => {
    const [entry, vf] = [seen.get(index), wanted.get(index)];
    return { index, id: entry?.nic, name: entry?.name ?? vf?.name ?? entry?.pci ?? vf?.pci, ...state(entry, vf, autoprobe, changing) };
  });
}

function state(entry, vf, autoprobe, changing) {
  if (!entry && (!vf || vf.state === 'missing')) {
    return changing ? { state: 'changing', text: 'being made' } : { state: 'missing', text: vf ? 'missing: it should be there' : 'missing: VFs of higher index are there' };
  }
  if (vf?.holders?.length) return { state: 'held', text: `held: ${vf.holders.join('; ')}` };
  if (entry?.held) return { state: 'held', text: `held: ${holder(entry)}` };
  if (vf?.state === 'held') return { state: 'held', text: 'held' };
  if (vf?.trouble && changing) return { state: 'changing', text: `being changed: ${vf.trouble}` };
  // With autoprobe off somebody wants it without a driver; VFs that are no PCI functions never have one of their own.
  if (entry?.pci && entry.nic && !entry.driver && autoprobe !== false) return { state: 'broken', text: `no driver is bound${vf?.trouble ? `: ${vf.trouble}` : ''}` };
  if (vf?.trouble) return { state: 'broken', text: `broken: ${vf.trouble}` };
  return { state: 'free', text: 'free' };
}

/** Who holds a VF, by the inventory: the pod if the kubelet told, else what the kernel shows. */
function holder({ held, heldBy = [] }) {
  const pods = heldBy.filter(({ pod }) => pod).map(({ namespace, pod }) => `pod ${namespace ?? '?'}/${pod}`);
  return pods.length > 0 ? pods.join('; ') : words.holder(held);
}

/** A cell in one sentence. */
const sentence = ({ index, name, text }) => `VF ${index}${name ? ` ${name}` : ''}: ${text}`;

/**
 * The cells of a PF as elements: one stop of the tab key, arrow keys go from cell to cell, Enter calls `open(cell)`.
 * Null when there is no VF.
 */
export function drawCells(all, label, open) {
  if (all.length === 0) return null;
  const said = h('div', { class: 'vf-said muted', 'aria-hidden': 'true' });
  const say = (cell) => { said.textContent = cell === null ? '' : sentence(cell); };
  const buttons = all.map((cell, place) => h('button', {
    type: 'button', class: `vf-cell ${cell.state}`, tabindex: place === 0 ? '0' : '-1', 'data-focus': `vf-cell-${cell.index}`,
    'aria-label': sentence(cell), title: sentence(cell),
    on: {
      click: () => open(cell),
      focus: () => { for (const [other, button] of buttons.entries()) button.tabIndex = other === place ? 0 : -1; say(cell); },
      blur: () => say(null),
    },
  }, LETTERS[cell.state]));
  const bar = h('div', {
    class: 'vf-cells', role: 'toolbar', 'aria-label': `VFs of ${label}`,
    on: { keydown: (event) => step(event, buttons) },
  }, ...buttons);
  return h('div', {}, bar, said);
}

/** Moves the focus from cell to cell; up and down go by the cells' own lines. */
function step(event, buttons) {
  const from = buttons.indexOf(document.activeElement);
  const top = buttons[0].offsetTop;
  const beside = buttons.findIndex((button) => button.offsetTop !== top);
  const line = beside === -1 ? buttons.length : beside;
  const to = { ArrowRight: from + 1, ArrowLeft: from - 1, ArrowDown: from + line, ArrowUp: from - line, Home: 0, End: buttons.length - 1 }[event.key];
  if (from === -1 || to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  buttons[to]?.focus();
}

/** How many cells are in which state, with the letter that each has: `# 2 held`. */
export function tally(all) {
  const words = { changing: 'being changed' };
  return Object.entries(LETTERS)
    .map(([state, letter]) => [letter, all.filter((cell) => cell.state === state).length, words[state] ?? state])
    .filter(([, number]) => number > 0)
    .map((parts) => parts.join(' '));
}

/**
 * Reads what the agent wants of PFs: a map from the PF's id to `{ pf, vfs }`. Null when it does not tell here; that is
 * not asked again. A PF without VFs has none to be read.
 */
export async function readPfs() {
  if (!told) return null;
  const list = await read('v1/sriov/pfs');
  const all = (list?.pfs ?? []).map(async (pf) => {
    const some = pf.observed.numVfs > 0 || pf.desired?.numVfs > 0;
    const vfs = some ? await read(`v1/sriov/pfs/${encodeURIComponent(pf.nic)}/vfs`) : null;
    return [pf.nic, { pf, vfs: vfs?.vfs ?? [] }];
  });
  return new Map(await Promise.all(all));
}

let told = true;

async function read(path) {
  try {
    const answer = await fetch(path, { cache: 'no-store' });
    if (answer.status === 403) told = false;
    return answer.ok ? await answer.json() : null;
  } catch {
    // The inventory's own reader says that the agent is away.
    return null;
  }
}
