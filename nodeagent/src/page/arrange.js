// Which NIC stands where on the page, and what a filter leaves of them. Values in, values out.

import * as words from './words.js';

const SECTIONS = [
  { id: 'physical', title: 'Physical NICs', open: true, has: (nic) => nic.kind === 'physical' },
  { id: 'other', title: 'Other hardware', open: true, has: (nic) => nic.hardware && nic.kind !== 'representor' },
  { id: 'representors', title: 'Representors', open: false, has: (nic) => nic.kind === 'representor' },
  { id: 'virtual', title: 'Virtual links', open: false, has: () => true },
];

/** What can be asked for beside words, besides speed classes. */
export const TRAITS = {
  up: { title: 'up', has: ({ nic }) => words.state(nic).look === 'good' },
  secondary: { title: 'secondary', has: ({ nic }) => nic.secondary.isSecondary },
  protected: { title: 'protected', has: ({ nic }) => Boolean(nic.protected) },
  sriov: { title: 'SR-IOV', has: ({ nic }) => Boolean(nic.sriov) },
  held: { title: 'held', has: ({ nic }) => Boolean(nic.held) },
  warned: { title: 'warnings', has: ({ warnings }) => warnings.length > 0 },
};

/** Speed classes, fastest first. */
export const CLASSES = ['high', 'standard', 'low', 'unknown'];

/**
 * Every NIC with its VFs below it and its warnings: `{ nic, told, vfs: [{ index, entry, nic, warnings }], warnings }`.
 * `pfs` is what the agent tells of PFs (`readPfs`), by the PF's id.
 */
export function arrange(inventory, pfs) {
  const byId = new Map(inventory.nics.map((nic) => [nic.id, nic]));
  const warningsOf = new Map();
  for (const warning of inventory.warnings) {
    if (warning.nic) warningsOf.set(warning.nic, [...(warningsOf.get(warning.nic) ?? []), warning]);
  }
  const warned = (id) => warningsOf.get(id) ?? [];
  const below = new Map();
  for (const nic of inventory.nics) {
    if (nic.vf && byId.has(nic.vf.pf)) below.set(nic.vf.pf, [...(below.get(nic.vf.pf) ?? []), nic]);
  }
  const rows = inventory.nics
    .filter((nic) => !(nic.vf && byId.has(nic.vf.pf)))
    .map((nic) => ({ nic, told: pfs?.get(nic.id), warnings: warned(nic.id), vfs: vfs(nic, below.get(nic.id) ?? [], byId, warned) }));
  return { byId, rows };
}

/** The VFs of a PF: as the PF lists them, then those that only their own function tells of. */
function vfs(pf, functions, byId, warned) {
  const listed = (pf.sriov?.vfs ?? []).map((entry) => ({ entry, nic: entry.nic === undefined ? undefined : byId.get(entry.nic) }));
  const seen = new Set(listed.map(({ nic }) => nic?.id));
  const alone = functions.filter((nic) => !seen.has(nic.id)).map((nic) => ({ entry: null, nic }));
  return [...listed, ...alone].map(({ entry, nic }) => ({
    key: nic?.id ?? `${pf.id} ${entry.index}`,
    index: entry?.index ?? nic?.vf?.index,
    entry,
    nic,
    warnings: nic ? warned(nic.id) : [],
  }));
}

/** `{ text, classes: Set, traits: Set }`: nothing asked for. */
export const noFilter = () => ({ text: '', classes: new Set(), traits: new Set() });

/** Whether a filter asks for anything. */
export const filtering = (filter) => filter.text.trim() !== '' || filter.classes.size > 0 || filter.traits.size > 0;

/**
 * The rows that fit, in their sections: `[{ id, title, open, rows: [{ …row, vfs, picked }] }]`. A row that
 * does not fit itself stays when VFs of it do: then `picked` is true and `vfs` has only those.
 */
export function sections(rows, filter) {
  const asked = filtering(filter);
  const terms = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const filled = SECTIONS.map((section) => ({ ...section, rows: [] }));
  for (const row of rows) {
    const section = filled.find(({ has }) => has(row.nic));
    if (!asked || fits(row, filter, terms)) {
      section.rows.push({ ...row, picked: false });
    } else {
      const left = row.vfs.filter((vf) => fits(vf, filter, terms));
      if (left.length > 0) section.rows.push({ ...row, vfs: left, picked: true });
    }
  }
  const shown = filled.filter((section) => section.rows.length > 0);
  const hardware = shown.some((section) => section.open);
  return shown.map((section) => ({ ...section, open: section.open || asked || !hardware }));
}

function fits(row, filter, terms) {
  const { nic } = row;
  if (nic === undefined) {
    return filter.classes.size === 0 && filter.traits.size === 0 && terms.every((term) => haystack(row.entry).includes(term));
  }
  if (filter.classes.size > 0 && !filter.classes.has(nic.speed.class)) return false;
  if (![...filter.traits].every((trait) => TRAITS[trait].has(row))) return false;
  return terms.every((term) => haystack(nic).includes(term) || (row.entry && haystack(row.entry).includes(term)));
}

const haystacks = new WeakMap();

/** Everything that one might type to find a NIC (or a VF as its PF sees it), once for each object. */
function haystack(nic) {
  let text = haystacks.get(nic);
  if (text === undefined) {
    const { sriov, gpus, resources, ...rest } = nic;
    const strings = [];
    const collect = (value) => {
      if (typeof value === 'string') strings.push(value);
      else if (value !== null && typeof value === 'object') Object.values(value).forEach(collect);
    };
    collect(rest);
    if (nic.speed) strings.push(words.speed(nic.speed.mbps), words.kind(nic), words.state(nic).text);
    if (nic.numaNode !== undefined) strings.push(`numa ${nic.numaNode}`, `numa${nic.numaNode}`);
    if (nic.held) strings.push(words.holder(nic.held));
    text = strings.join('\n').toLowerCase();
    haystacks.set(nic, text);
  }
  return text;
}
