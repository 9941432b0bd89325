// Networks and what pods have of them: shown where the agent tells, which is not everywhere.

import { h, reconcile } from './element.js';
import * as words from './words.js';

const byId = (id) => document.getElementById(id);

/** Reads networks, addresses and attachments and shows them; hidden where there are none, or where they are not told. */
export async function showPods() {
  const [networks, addresses, attachments] = await Promise.all(['networks', 'addresses', 'attachments'].map(read));
  const section = byId('pods');
  const known = networks?.networks ?? [];
  const all = attachments?.attachments ?? [];
  section.hidden = known.length === 0 && all.length === 0;
  if (section.hidden) return;
  if (!section.firstChild) {
    section.append(h('h2', {}, 'Networks and pods'), h('ul', { class: 'network-list' }), h('ol', { class: 'change-list attachment-list' }));
  }
  const totals = new Map((addresses?.networks ?? []).map(({ network, totals: counts }) => [network, counts]));
  reconcile(section.querySelector('.network-list'), known.map((one) => ({ ...one, counts: totals.get(one.name) })), {
    key: ({ name }) => name, sign: JSON.stringify, make: network,
  });
  reconcile(section.querySelector('.attachment-list'), all, {
    key: ({ network: name, containerId, ifname }) => JSON.stringify([name, containerId, ifname]),
    sign: JSON.stringify,
    make: attachment,
  });
}

async function read(what) {
  try {
    const answer = await fetch(`v1/${what}`, { cache: 'no-store' });
    return answer.ok ? await answer.json() : null;
  } catch {
    // The inventory's own reader says that the agent is away.
    return null;
  }
}

function network({ name, interfaces, attachments, refused, counts }) {
  const facts = [
    interfaces.length > 0 ? `on ${interfaces.map(({ master }) => master).join(', ')}` : 'no NIC fits now',
    words.count(attachments, 'attachment'),
    counts ? `${counts.used} of ${counts.total - counts.reserved} addresses held, ${counts.quarantined} resting` : null,
  ].filter(Boolean).join(' · ');
  return h('li', { 'data-network': name }, h('strong', {}, name), ' ', h('span', { class: 'muted' }, facts),
    refused ? h('span', { class: 'badge warn' }, refused) : null);
}

function attachment({ network: name, containerId, ifname, phase, pod, since, links, addresses = [] }) {
  const who = pod ? `${pod.namespace ? `${pod.namespace}/` : ''}${pod.name}` : containerId.slice(0, 12);
  const has = [
    ...links.map((link) => `${link.name} on ${link.master}${link.addresses.map(({ address }) => ` ${address}`).join('')}`),
    ...addresses.map(({ address }) => address),
  ].join('; ');
  return h('li', { 'data-attachment': `${name}/${containerId}/${ifname}` },
    h('time', { class: 'mono muted', datetime: since, title: since }, new Date(since).toLocaleString('en-GB')),
    ' ', h('strong', {}, who), ` in ${name}: `, has,
    phase === 'attached' ? null : h('span', { class: 'badge warn' }, phase));
}
