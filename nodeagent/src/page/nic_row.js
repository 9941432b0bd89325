// One NIC as a row (a card when there is no room), with its VFs below it.

import { h, json, reconcile, refocus } from './element.js';
import { cells, drawCells, tally } from './vf_cells.js';
import * as words from './words.js';

/** A speed class: text and colour. */
export const speedClass = (name) => h('span', { class: `class ${name}` }, name);

/**
 * The row of `item` (see `arrange`). `actions` are what the page does for it: `open(id)` shows a NIC's facts,
 * `unfold(id, on)` and `unfolded(id)` show its VFs, `fresh(id)` tells what was not there a moment ago.
 */
export function nicRow(item, actions) {
  const element = h('article', { class: 'nic', role: 'listitem', 'data-nic': item.nic.id });
  element.append(line(item, actions));
  updateVfs(element, item, actions);
  return element;
}

/** Differs when the row of `item` would, but for its VFs. */
export const nicNews = ({ nic, warnings }) => [json(nic), ...warnings.map(json)].join('\n');

/** Differs when anything of the row would. */
export const nicSignature = (item, unfolded) => [nicNews(item), json(item.told), item.picked, unfolded, ...item.vfs.map(vfSignature)].join('\n');

/** Makes an existing row show `item`. */
export function updateNicRow(element, item, actions) {
  refocus(element.firstElementChild, line(item, actions));
  updateVfs(element, item, actions);
}

/** What the columns are, where there is room for columns. */
export const nicHead = () => h('div', { class: 'line head muted', 'aria-hidden': 'true' },
  ...[['name', 'NIC'], ['speed-cell', 'speed'], ['state', 'state'], ['addresses', 'addresses'], ['capacity', 'virtual functions'], ['place', 'placement'], ['use', 'use']]
    .map(([name, title]) => h('div', { class: `cell ${name}` }, title)));

function line(item, actions) {
  const { nic } = item;
  const look = words.state(nic).look;
  return h('div', { class: `line ${look}` },
    name(item, actions),
    speed(nic),
    state(nic),
    h('div', { class: 'cell addresses' }, ...addresses(nic)),
    h('div', { class: 'cell capacity' }, capacity(item, actions)),
    h('div', { class: 'cell place' }, ...placement(nic)),
    h('div', { class: 'cell use' }, ...use(nic)),
  );
}

function name(item, actions) {
  const { nic, vfs, warnings } = item;
  const folded = !actions.unfolded(nic.id) && !item.picked;
  const id = `vfs-${nic.id}`;
  return h('div', { class: 'cell name' },
    vfs.length > 0
      ? h('button', {
        type: 'button', class: 'fold', 'data-focus': 'fold', 'aria-expanded': String(!folded), 'aria-controls': id,
        'aria-label': `${words.count(vfs.length, 'VF')} of ${words.label(nic)}`, title: `${words.count(vfs.length, 'VF')}`,
        on: { click: () => actions.unfold(nic.id, folded) },
      })
      : null,
    h('div', { class: 'name-lines' },
      h('div', {},
        h('button', { type: 'button', class: 'nic-name', 'data-focus': 'name', title: 'all facts', on: { click: () => actions.open(nic.id) } }, words.label(nic)),
        ...badges(warnings, nic),
      ),
      h('div', { class: 'mono muted' }, [words.label(nic) === words.where(nic) ? null : words.where(nic), nic.driver?.name].filter(Boolean).join(' · ')),
      h('div', { class: 'model muted', title: words.model(nic) }, words.model(nic)),
    ),
  );
}

function badges(warnings, nic) {
  const found = [];
  if (warnings.length > 0) {
    found.push(h('span', { class: 'badge warn', title: warnings.map(({ message }) => message).join('\n') }, words.count(warnings.length, 'warning')));
  }
  if (nic.failures?.length) {
    found.push(h('span', { class: 'badge warn', title: nic.failures.map(({ source, error }) => `${source}: ${error}`).join('\n') }, 'not all readable'));
  }
  return found;
}

function speed(nic) {
  return h('div', { class: 'cell speed-cell' },
    h('div', {}, h('span', { class: 'speed' }, words.speed(nic.speed.mbps)), ' ', speedClass(nic.speed.class)),
    h('div', { class: 'muted source' }, words.speedSource(nic.speed)),
  );
}

function state(nic) {
  const { look, text, why } = words.state(nic);
  return h('div', { class: 'cell state' },
    h('div', { class: `state-word ${look}`, title: why }, text),
    why && look === 'bad' ? h('div', { class: 'muted' }, why) : null,
    nic.link ? h('div', { class: 'muted' }, `MTU ${nic.link.mtu}`) : null,
  );
}

function addresses(nic) {
  const all = nic.addresses ?? [];
  const global = all.filter(({ scope }) => scope !== 'link');
  const shown = (global.length > 0 ? global : all).slice(0, 3);
  const lines = shown.map((entry) => h('div', { class: 'mono', title: `scope ${entry.scope}${entry.dynamic ? ', dynamic' : ''}` }, words.address(entry)));
  if (all.length > shown.length) {
    lines.push(h('div', { class: 'muted', title: all.map(words.address).join('\n') }, `${all.length - shown.length} more`));
  }
  return lines;
}

/** What a PF can give: its VFs one by one; what could be made, while there is none. */
function capacity({ nic, told }, actions) {
  if (!nic.sriov) return null;
  const { capacity: counts } = nic.sriov;
  const all = cells(nic, told);
  const open = ({ id }) => (id === undefined ? actions.unfold(nic.id, true) : actions.open(id));
  const text = [...tally(all), counts.creatable > 0 ? `${counts.creatable} can be made` : null].filter(Boolean);
  return h('div', { class: 'vf-capacity' },
    drawCells(all, words.label(nic), open) ?? bar(counts),
    h('div', { class: 'muted' }, counts.reason && text.length === 0 ? `no VFs: ${words.zeroReason(counts.reason)}` : `${text.join(', ') || 'none'} of ${words.count(counts.total, 'VF')}`,
      counts.reason && text.length > 0 ? ` (${words.zeroReason(counts.reason)})` : null),
  );
}

/** How much of what hardware allows can be made. */
function bar(counts) {
  if (counts.total === 0) return null;
  const drawn = h('div', { class: 'bar', role: 'img', 'aria-label': words.capacity(counts), title: words.capacity(counts) });
  for (const [kind, number] of [['creatable', counts.creatable], ['never', counts.total - counts.creatable]]) {
    if (number > 0) {
      const part = h('span', { class: kind });
      part.style.flexGrow = number;
      drawn.append(part);
    }
  }
  return drawn;
}

function placement(nic) {
  const lines = [];
  const facts = [];
  const near = nic.gpus?.[0];
  if (nic.numaNode !== undefined) facts.push(h('span', {}, `NUMA ${nic.numaNode}`));
  if (nic.pci?.link) {
    const slow = nic.speed.source === 'pcieLimit';
    facts.push(h('span', { class: slow ? 'caution' : 'muted', title: `lets ${words.speed(nic.pci.link.bandwidthMbps)} through` }, words.pcie(nic.pci.link)));
  }
  if (facts.length > 0) lines.push(h('div', { class: 'facts-line' }, ...facts));
  if (near) {
    const alike = nic.gpus.filter(({ relation }) => relation === near.relation);
    const text = alike.length === 1 ? `GPU ${words.shortPci(near.gpu)}` : words.count(alike.length, 'GPU');
    lines.push(h('div', { class: `relation ${near.relation}`, title: nic.gpus.map(({ gpu, relation }) => `${gpu}: ${words.relation(relation)}`).join('\n') }, `${text}, ${words.relation(near.relation)}`));
  }
  return lines;
}

function use(nic) {
  const marks = [];
  if (nic.protected) {
    marks.push(h('span', { class: 'mark protected', title: `It carries the node: ${words.protection(nic.protected)}` }, nic.protected.remembered ? 'protected (remembered)' : 'protected'));
    marks.push(h('span', { class: 'path muted' }, nic.protected.path.join(' → ')));
  }
  if (nic.secondary.isSecondary) {
    const { usable } = nic.secondary;
    const uses = [['L2', usable.l2], ['L3', usable.l3], ['VFs', usable.sriov]].filter(([, on]) => on).map(([use]) => use);
    marks.push(h('span', { class: 'mark secondary', title: 'Pods may get it' }, 'secondary'));
    const lacks = (usable.missing ?? []).map(words.missing).join(', ');
    marks.push(h('span', { class: 'muted', title: lacks || undefined }, uses.length > 0 ? `for ${uses.join(', ')}` : lacks));
  }
  if (nic.held) marks.push(h('span', { class: 'mark held' }, 'held'), h('span', { class: 'muted', title: words.holder(nic.held) }, words.holder(nic.held, true)));
  for (const reason of nic.secondary.reasons ?? []) {
    if (reason === 'enslaved' && nic.held?.by !== 'master') marks.push(h('span', { class: 'muted' }, `slave of ${nic.stacking?.master ?? 'another link'}`));
    if (reason === 'excluded') marks.push(h('span', { class: 'muted' }, 'excluded by the configuration'));
  }
  return marks;
}

function updateVfs(element, item, actions) {
  const shown = item.vfs.length > 0 && (actions.unfolded(item.nic.id) || item.picked);
  let list = element.querySelector(':scope > .vfs');
  if (!shown) {
    list?.remove();
    return;
  }
  if (list === null) {
    list = h('div', { class: 'vfs', role: 'list', id: `vfs-${item.nic.id}`, 'aria-label': `VFs of ${words.label(item.nic)}` });
    element.append(list);
  }
  reconcile(list, item.vfs, {
    key: ({ key }) => key,
    sign: vfSignature,
    make: (vf) => vfRow(vf, actions),
    fresh: ({ key }) => actions.fresh(key),
  });
}

/** Differs when the row of a VF would. */
export const vfSignature = ({ entry, nic, warnings }) => [json(entry), json(nic), ...warnings.map(json)].join('\n');

/** One VF: what its PF says of it and what it is itself. */
function vfRow({ index, entry, nic, warnings }, actions) {
  const held = entry?.held ?? nic?.held;
  const title = entry?.name ?? nic?.name ?? entry?.pci ?? nic?.id ?? 'no function';
  const pci = entry?.pci ?? nic?.pci?.address;
  const driver = nic?.driver?.name ?? entry?.driver;
  const settings = [
    entry?.vlan === undefined ? null : `VLAN ${entry.vlan}${entry.qos ? ` priority ${entry.qos}` : ''}`,
    entry?.maxTxRate === undefined ? null : `at most ${words.speed(entry.maxTxRate)}`,
    entry?.trust ? 'trusted' : null,
    entry?.spoofCheck === false ? 'no spoof check' : null,
    entry?.linkState && entry.linkState !== 'auto' ? `link ${entry.linkState}` : null,
  ].filter(Boolean);
  return h('div', { class: 'vf', role: 'listitem', 'data-nic': nic?.id },
    h('span', { class: 'vf-index muted' }, index === undefined ? 'VF' : `VF ${index}`),
    h('span', { class: 'vf-name' },
      nic
        ? h('button', { type: 'button', class: 'nic-name small', 'data-focus': 'name', title: 'all facts', on: { click: () => actions.open(nic.id) } }, title)
        : title,
      ...(nic ? badges(warnings, nic) : []),
      h('span', { class: 'mono muted' }, ` ${[title === pci ? null : pci, driver ?? 'no driver'].filter(Boolean).join(' · ')}`),
    ),
    h('span', { class: 'vf-speed' }, ...(nic ? [h('span', { class: 'speed' }, words.speed(nic.speed.mbps)), ' ', speedClass(nic.speed.class)] : [])),
    h('span', { class: 'vf-state' }, nic?.link ? h('span', { class: `state-word ${words.state(nic).look}` }, words.state(nic).text) : null),
    h('span', { class: 'mono vf-mac' }, nic?.mac ?? entry?.mac ?? ''),
    h('span', { class: 'muted vf-settings' }, settings.join(', ')),
    h('span', { class: 'vf-holder', title: held && words.holder(held) }, held ? [h('span', { class: 'mark held' }, 'held'), ' ', words.holder(held, true)] : h('span', { class: 'mark free' }, 'free')),
  );
}
