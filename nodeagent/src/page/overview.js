// What stands around the list: the machine, the numbers, warnings, the NIC–GPU matrix, recent changes.

import { h, reconcile } from './element.js';
import { warningNote } from './facts.js';
import * as words from './words.js';

/** Changes that are kept on the page. */
const KEPT = 60;

const byId = (id) => document.getElementById(id);

/** The header: who this machine is, and how much there is. */
export function showNode({ node, nics, gpus, warnings }) {
  const title = node.hostname ?? 'this node';
  document.title = `${title} – Multi-NIC`;
  byId('hostname').textContent = title;
  byId('machine').textContent = [
    node.product, node.hypervisor ? `on ${node.hypervisor}` : null,
    [node.kernel ? `Linux ${node.kernel}` : null, node.architecture].filter(Boolean).join(' '),
  ].filter(Boolean).join(' · ');

  const sum = (member) => nics.reduce((total, nic) => total + (nic.sriov?.capacity[member] ?? 0), 0);
  const hardware = nics.filter((nic) => nic.hardware);
  const ids = new Set(nics.map(({ id }) => id));
  const isVf = (nic) => nic.vf !== undefined && ids.has(nic.vf.pf);
  const own = hardware.filter((nic) => !isVf(nic) && nic.kind !== 'representor').length;
  const secondary = nics.filter((nic) => nic.secondary.isSecondary && !isVf(nic)).length;
  const basis = node.uplink.basis;
  const tiles = [
    { key: 'nics', value: own, text: own === 1 ? 'NIC' : 'NICs', note: `${words.count(nics.length - hardware.length, 'virtual link')}` },
    { key: 'secondary', value: secondary, text: 'for pods', note: secondary === 1 ? 'secondary NIC' : 'secondary NICs' },
    sum('total') > 0 && { key: 'vfs', value: sum('free') + sum('creatable'), text: 'VFs to give', note: [[sum('free'), 'free'], [sum('creatable'), 'can be made'], [sum('held'), 'held']].filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`).join(', ') || 'none left' },
    gpus.length > 0 && { key: 'gpus', value: gpus.length, text: gpus.length === 1 ? 'GPU' : 'GPUs', note: words.count(node.numaNodes?.length ?? 1, 'NUMA node') },
    { key: 'warnings', value: warnings.length, text: warnings.length === 1 ? 'warning' : 'warnings', note: warnings.length > 0 ? 'see below' : 'all is well', look: warnings.length > 0 ? 'caution' : '' },
    { key: 'uplink', value: node.uplink.protected.length, text: 'protected', note: words.uplink(basis), look: basis === 'unknown' ? 'caution' : '' },
    (node.iommu.enabled || sum('total') > 0) && { key: 'iommu', value: node.iommu.enabled ? 'on' : 'off', text: 'IOMMU', note: node.iommu.enabled ? 'VFs can go to vfio' : 'no VF can go to vfio' },
  ].filter(Boolean);
  reconcile(byId('tiles'), tiles, {
    key: ({ key }) => key,
    sign: JSON.stringify,
    make: ({ key, value, text, note, look }) => h('li', { class: `tile ${look ?? ''}`, 'data-tile': key },
      h('span', { class: 'tile-value' }, value), ' ', h('span', { class: 'tile-text' }, text), h('span', { class: 'tile-note muted' }, note)),
  });
}

/** Warnings, gravest first, each with what to do. */
export function showWarnings({ warnings, failures = [] }, names, open) {
  const section = byId('warnings');
  section.hidden = warnings.length === 0 && failures.length === 0;
  const all = [...warnings, ...failures.map(({ source, error }) => ({ code: 'notReadable', message: `${source}: ${error}`, fix: '' }))];
  reconcile(section, all, {
    key: ({ code, nic, message }) => JSON.stringify([code, nic, message]),
    sign: (warning) => JSON.stringify([warning, names.get(warning.nic)?.name]),
    make: (warning) => {
      const note = warningNote(warning);
      if (warning.nic) {
        const nic = names.get(warning.nic);
        note.prepend(h('button', { type: 'button', class: 'nic-name small', on: { click: () => open(warning.nic) } }, nic ? words.label(nic) : warning.nic), ' ');
      }
      return note;
    },
  });
}

/** Which NIC is near which GPU. */
export function showMatrix({ nics, gpus }, open) {
  const section = byId('matrix');
  const rows = nics.filter((nic) => nic.gpus?.length && nic.kind !== 'virtualFunction');
  section.hidden = gpus.length === 0 || rows.length === 0;
  if (section.hidden) return;
  const signature = JSON.stringify([gpus, rows.map((nic) => [nic.id, nic.name, nic.numaNode, nic.gpus])]);
  if (section.dataset.shown === signature) return;
  section.dataset.shown = signature;
  const cell = (nic, gpu) => {
    const found = nic.gpus.find((entry) => entry.gpu === gpu.pci);
    const relation = found?.relation ?? 'unknown';
    return h('td', { class: `relation ${relation}`, title: `${words.label(nic)} – GPU ${gpu.pci}: ${words.relation(relation)}` }, words.relationShort(relation));
  };
  section.replaceChildren(
    h('h2', {}, 'NICs and GPUs'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'NIC–GPU matrix' },
      h('table', {},
        h('thead', {}, h('tr', {}, h('th', {}, 'NIC'), ...gpus.map((gpu) => h('th', { scope: 'col', title: words.pciName(gpu.device) },
          h('span', { class: 'mono' }, words.shortPci(gpu.pci)), h('span', { class: 'muted' }, gpu.numaNode === undefined ? '' : `NUMA ${gpu.numaNode}`))))),
        h('tbody', {}, ...rows.map((nic) => h('tr', {},
          h('th', { scope: 'row' },
            h('button', { type: 'button', class: 'nic-name small', on: { click: () => open(nic.id) } }, words.label(nic)),
            nic.numaNode === undefined ? null : h('span', { class: 'muted' }, ` NUMA ${nic.numaNode}`)),
          ...gpus.map((gpu) => cell(nic, gpu))))),
      ),
    ),
    h('p', { class: 'muted' }, [...new Set(gpus.map((gpu) => words.pciName(gpu.device) ?? 'GPU'))].join(', '),
      ': how near on the PCIe tree. switch = below one PCIe switch, root = below one host bridge, NUMA = on the same NUMA node, far = on another.'),
  );
}

const changes = [];

/** Adds an event to the list of recent changes. */
export function addChange(event) {
  if (event.type === 'reset') return;
  changes.unshift(event);
  changes.length = Math.min(changes.length, KEPT);
  const section = byId('changes');
  if (section.hidden) {
    section.hidden = false;
    section.append(h('h2', {}, 'Recent changes'), h('ol', { class: 'change-list' }));
  }
  reconcile(section.querySelector('ol'), changes, { key: ({ id }) => id, sign: ({ id }) => id, make: change });
}

function change(event) {
  const who = event.attachment?.pod?.name ?? event.attachment?.containerId.slice(0, 12) ?? event.pool ?? event.name ?? event.nic ?? event.gpu ?? event.warning?.nic ?? 'the node';
  return h('li', {},
    h('time', { class: 'mono muted', datetime: event.time, title: event.time }, new Date(event.time).toLocaleTimeString('en-GB')),
    ' ', h('strong', {}, who), ' ', what(event),
    event.cause === 'reprobe' ? h('span', { class: 'badge warn', title: 'no notification told this; the slow re-probe found it' }, 're-probe') : null,
  );
}

function what({ type, changes: fields = [], warning, attachment, failure }) {
  if (attachment) return `${words.attachmentEvent(type)} ${attachment.network}${failure ? `: ${failure.message}` : ''}`;
  if (warning) return `${type === 'warning.raised' ? 'warning' : 'warning gone'}: ${warning.message}`;
  if (type.endsWith('.added')) return 'appeared';
  if (type.endsWith('.removed')) return 'is gone';
  if (fields.length === 0) return 'is different';
  const shown = fields.slice(0, 4).map(({ path, from, to }) => {
    const name = path.split('/').filter(Boolean).map(words.plain).join(' ');
    return `${name} ${brief(from)} → ${brief(to)}`;
  });
  if (fields.length > shown.length) shown.push(`${fields.length - shown.length} more`);
  return shown.join('; ');
}

function brief(value) {
  if (value === undefined) return 'none';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
