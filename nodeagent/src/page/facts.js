// Every fact of one NIC, in groups, in a panel beside the list.

import { h } from './element.js';
import { speedClass } from './nic_row.js';
import * as words from './words.js';

const GROUPS = [
  ['Identity', ['id', 'kind', 'hardware', 'name', 'altNames', 'mac', 'permanentMac', 'bus', 'generation', 'devlinkPort']],
  ['Use', ['protected', 'held', 'secondary', 'extraMacs', 'defaultRoute']],
  ['Addresses', ['addresses']],
  ['Speed', ['speed']],
  ['Link', ['link']],
  ['Driver', ['driver']],
  ['PCI', ['pci', 'pciRoot', 'pciPath', 'iommuGroup']],
  ['Placement', ['numaNode', 'localCpus', 'gpus']],
  ['SR-IOV', ['sriov', 'vf']],
  ['Stacking', ['stacking']],
  ['RDMA', ['rdma']],
  ['LLDP neighbour', ['lldp']],
  ['Resources', ['resources']],
  ['Not readable', ['failures']],
];

/** Members whose name says nothing beside the heading. */
const SILENT = new Set(['link', 'speed', 'driver', 'pci', 'sriov', 'stacking', 'resources', 'lldp']);

/** Fills `panel` with the facts of `nic`; `close` ends it. */
export function showFacts(panel, nic, warnings, close) {
  const open = new Set([...panel.querySelectorAll('details[open]')].map((details) => details.dataset.part));
  const scroll = panel.scrollTop;
  const same = panel.dataset.nic === nic.id;
  const listed = new Set(GROUPS.flatMap(([, members]) => members));
  const others = Object.keys(nic).filter((member) => !listed.has(member));
  panel.dataset.nic = nic.id;
  panel.replaceChildren(
    h('div', { class: 'detail-head' },
      h('h2', { id: 'detail-title' }, words.label(nic)),
      h('button', { type: 'button', class: 'quiet', 'data-focus': 'close', 'aria-label': 'close', on: { click: close } }, '✕'),
    ),
    h('p', { class: 'muted' }, words.model(nic)),
    h('p', {},
      h('span', { class: 'speed' }, words.speed(nic.speed.mbps)), ' ', speedClass(nic.speed.class), ' ',
      h('span', { class: 'muted' }, words.speedSource(nic.speed)),
    ),
    h('p', {}, h('a', { href: `v1/nics/${encodeURIComponent(nic.id)}` }, 'as JSON')),
    ...warnings.map(warningNote),
    ...[...GROUPS, ['Other', others]].map(([title, members]) => group(title, members, nic, open)),
  );
  panel.scrollTop = same ? scroll : 0;
}

/** Says that the NIC whose facts are open is gone. */
export function showGone(panel, close) {
  panel.querySelector('.gone') ?? panel.querySelector('.detail-head')?.after(
    h('p', { class: 'notice gone' }, 'This NIC is gone. What follows is what was last known of it. ', h('button', { type: 'button', class: 'quiet', on: { click: close } }, 'close')),
  );
}

/** A warning with its fix. */
export const warningNote = ({ code, message, fix }) => h('div', { class: 'warning' },
  h('strong', {}, words.warning(code)), ' ', h('span', {}, message), h('div', { class: 'fix' }, fix));

function group(title, members, nic, open) {
  const rows = members.filter((member) => nic[member] !== undefined)
    .flatMap((member) => facts(SILENT.has(member) ? [] : [member], nic[member], open));
  return rows.length === 0 ? null : h('section', { class: 'facts' }, h('h3', {}, title), h('dl', {}, ...rows));
}

/** `<dt>` and `<dd>` pairs of a value: objects are walked, what has a shape of its own is written in its own way. */
function facts(path, value, open) {
  const last = path.at(-1);
  const special = SHAPES[path.join('.')] ?? SHAPES[last];
  if (special) return special(path, value, open);
  if (Array.isArray(value)) {
    if (value.length === 0) return [];
    if (value.every((entry) => typeof entry !== 'object')) return pair(path, value.join(', '));
    return value.flatMap((entry, index) => facts([...path, entry.name ?? String(entry.number ?? index)], entry, open));
  }
  if (value !== null && typeof value === 'object') {
    if (typeof value.id === 'string' && Object.keys(value).every((key) => key === 'id' || key === 'name')) {
      return pair(path, value.name ? `${value.name} [${value.id}]` : `[${value.id}]`);
    }
    return Object.entries(value).flatMap(([name, entry]) => facts([...path, name], entry, open));
  }
  return pair(path, text(last, value));
}

const ABBREVIATIONS = /\b(mac|macs|mtu|pci|pcie|numa|cpus|iommu|vf|vfs|pf|sriov|fec|ptp|rdma|gpu|guid|id|xdp|msix|rx|tx|l2|l3|mbps|vpd)\b/g;

function title(path) {
  const written = path.map((part) => words.plain(part.replace(/Mbps$/, ''))).filter(Boolean).join(' · ');
  const short = written.replace(ABBREVIATIONS, (word) => ({ sriov: 'SR-IOV', macs: 'MACs', cpus: 'CPUs', vfs: 'VFs', pcie: 'PCIe', msix: 'MSI-X', mbps: 'speed', id: 'id' }[word] ?? word.toUpperCase()));
  return short === '' ? 'speed' : short.charAt(0).toUpperCase() + short.slice(1);
}

function text(name, value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number' && /(Mbps|TxRate|^mbps)$/.test(name)) return words.speed(value);
  if (/[mM]tu$/.test(name)) return `${value} bytes`;
  if (/Usecs$/.test(name)) return `${value} µs`;
  return String(value);
}

const pair = (path, value) => [h('dt', {}, title(path)), h('dd', {}, value)];

const list = (path, items, write) => (items.length === 0 ? [] : [h('dt', {}, title(path)), h('dd', {}, ...items.map((item) => h('div', {}, write(item))))]);

/** A long list that is folded until somebody wants it. */
function folded(path, items, write, open) {
  const part = path.join('.');
  return items.length === 0 ? [] : [
    h('dt', {}, title(path)),
    h('dd', {}, h('details', { 'data-part': part, open: open.has(part) }, h('summary', {}, words.count(items.length, 'entry', 'entries')), ...items.map((item) => h('div', {}, write(item))))),
  ];
}

const SHAPES = {
  kind: (path, value) => pair(path, path.length === 1 ? words.kind({ kind: value }) : value),
  source: (path, value) => pair(path, words.speedSource({ source: value })),
  operState: (path, value) => pair(path, words.plain(value)),
  addresses: (path, value) => list(path, value, (entry) => `${words.address(entry)}, ${entry.scope}${entry.dynamic ? ', dynamic' : ''}${entry.peer ? `, peer ${entry.peer}` : ''}`),
  gpus: (path, value) => list(path, value, ({ gpu, relation, hops }) => `${gpu}: ${words.relation(relation)}${hops === undefined ? '' : `, ${words.count(hops, 'bridge')} between`}`),
  failures: (path, value) => list(path, value, ({ source, error }) => `${source}: ${error}`),
  protected: (path, value) => [
    ...pair(path, `${words.protection(value)}${value.remembered ? ', remembered from before' : ''}`),
    ...pair(['because'], value.path.join(' → ')),
  ],
  held: (path, value) => pair(path, words.holder(value)),
  secondary: (path, { isSecondary, reasons = [], usable }) => [
    ...pair(path, isSecondary ? 'yes' : `no: ${reasons.map(words.notSecondary).join(', ')}`),
    ...pair(['usable for'], [usable.l2 && 'L2', usable.l3 && 'L3', usable.sriov && 'VFs'].filter(Boolean).join(', ') || 'nothing now'),
    ...list(['missing'], usable.missing ?? [], words.missing),
  ],
  extraMacs: (path, { answer, source }) => pair(path, source === 'none' ? answer : `${answer} (${words.plain(source)})`),
  capacity: (path, value) => pair(['VFs'], words.capacity(value)),
  vfs: (path, value, open) => folded(['the VFs'], value, (vf) => `VF ${vf.index} ${vf.name ?? vf.pci ?? ''}: ${vf.held ? words.holder(vf.held) : 'free'}`, open),
  offloads: (path, value, open) => folded(path, value, ({ name, on, fixed }) => `${name}: ${on ? 'on' : 'off'}${fixed ? ' (fixed)' : ''}`, open),
  supportedModes: (path, value, open) => (value.length > 6 ? folded(path, value, String, open) : pair(path, value.join(', '))),
  link: (path, value, open) => (value.bandwidthMbps === undefined
    ? Object.entries(value).flatMap(([name, entry]) => facts([name], entry, open))
    : pair(path, pcieText(value))),
  linkMaximum: (path, value) => pair(path, pcieText(value)),
  slotMaximum: (path, value) => pair(path, pcieText(value)),
};

const pcieText = (link) => `${words.pcie(link)} (${link.speed} a lane, ${words.speed(link.bandwidthMbps)})`;
