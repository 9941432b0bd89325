// Facts of the inventory in words. No element is made here.

/** `800 Mb/s`, `2.5 Gb/s`, `400 Gb/s`, as the command line prints it. */
export function speed(mbps) {
  if (mbps === undefined) return 'unknown';
  if (mbps < 1000) return `${mbps} Mb/s`;
  return mbps % 1000 === 0 ? `${mbps / 1000} Gb/s` : `${Math.floor(mbps / 1000)}.${Math.floor((mbps % 1000) / 100)} Gb/s`;
}

const SPEED_SOURCES = {
  link: 'by the running link',
  infinibandRate: 'by the InfiniBand port',
  supportedModes: 'fastest supported mode',
  pcieLimit: 'limited by PCIe',
  deviceTable: 'by the device table',
  physicalFunction: 'by its PF',
  nominal: "driver's constant",
  unknown: 'nobody says',
};

/** Where a speed comes from. */
export function speedSource({ source, port }) {
  const words = SPEED_SOURCES[source] ?? plain(source);
  return source === 'pcieLimit' && port ? `${words}, port ${speed(port.mbps)}` : words;
}

/** `camelCase` as words. */
export function plain(name) {
  return String(name).replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[._]/g, ' ').toLowerCase();
}

const KINDS = {
  physical: 'physical NIC', virtualFunction: 'virtual function', subFunction: 'sub-function',
  representor: 'representor', paravirtual: 'paravirtual NIC', bond: 'bond', vlan: 'VLAN', bridge: 'bridge',
  macvlan: 'macvlan', ipvlan: 'ipvlan', veth: 'veth', tun: 'tun/tap', ifb: 'ifb', dummy: 'dummy',
  tunnel: 'tunnel', vrf: 'VRF', ipoibChild: 'IPoIB partition', loopback: 'loopback',
  otherVirtual: 'virtual link',
};

/** What kind of NIC. */
export const kind = (nic) => KINDS[nic.kind] ?? plain(nic.kind);

/** The name that a person would use. */
export const label = (nic) => nic.name ?? nic.id;

/** Where it is plugged in: PCI address, else the bus and the device on it. */
export function where(nic) {
  if (nic.pci) return nic.pci.address;
  return nic.bus ? `${nic.bus.kind} ${nic.bus.device}` : null;
}

/** A number of the PCI id database: its name, else the number. */
export const pciName = (entry) => entry?.name ?? (entry ? `[${entry.id}]` : null);

/** What the NIC is: the card's model, or what a virtual link stands on. */
export function model(nic) {
  if (nic.pci?.device || nic.pci?.vendor) {
    const vendor = pciName(nic.pci.vendor)?.replace(/,? (Corporation|Technologies|Inc\.? and subsidiaries|Inc\.?|Ltd\.?|Co\.).*$/, '');
    return [vendor, pciName(nic.pci.device)].filter(Boolean).join(' ');
  }
  const detail = nic.stacking?.detail;
  const facts = detail
    ? Object.entries(detail).filter(([name]) => name !== 'kind').map(([name, value]) => (name === 'mode' || name === 'protocol' || name === 'isolation' ? value : `${plain(name)} ${value}`))
    : [];
  const lower = nic.stacking?.lower?.length ? [`on ${nic.stacking.lower.join(', ')}`] : [];
  const linkKind = nic.stacking?.linkKind;
  const extra = linkKind && linkKind !== nic.kind && linkKind !== kind(nic) ? [linkKind] : [];
  return [kind(nic), ...extra, ...facts, ...lower].join(' ');
}

/** State in words, and how to show it: `good`, `idle` (nobody raised it), `bad`, `away`. */
export function state(nic) {
  const { link } = nic;
  if (!link) {
    if (nic.held?.by === 'namespace') return { look: 'away', text: 'in another namespace' };
    if (!nic.driver) return { look: 'away', text: 'no driver' };
    return { look: 'away', text: 'no netdev' };
  }
  if (!link.adminUp) return { look: 'idle', text: 'down', why: 'administratively down' };
  if (link.carrier === false) return { look: 'bad', text: 'no carrier', why: link.downReason };
  if (link.operState === 'up') return { look: 'good', text: 'up' };
  if (link.operState === 'unknown') return { look: 'good', text: 'up', why: 'state not told' };
  return { look: 'bad', text: plain(link.operState), why: link.downReason };
}

/** An address with its prefix length. */
export const address = (entry) => `${entry.address}/${entry.prefixLength}`;

/** Who holds a NIC or VF; `short` cuts the UID of a pod. */
export function holder(held, short = false) {
  const space = held.namespace ?? {};
  const process = space.name ?? (space.process ? `of ${space.process}` : null);
  const parts = {
    namespace: () => [
      space.podUid ? `pod ${short ? `${space.podUid.slice(0, 8)}…` : space.podUid}` : process ? `namespace ${process}` : 'another namespace',
      held.name ? `as ${held.name}` : null,
    ],
    vfio: () => ['vfio:', held.holder ?? 'a process', held.pid ? `(pid ${held.pid})` : null],
    vfioUnknown: () => ['bound to vfio, user unknown'],
    master: () => ['slave of', held.holder ?? 'a bond or bridge'],
    upper: () => ['below', held.holder ?? 'other links'],
    node: () => ['the node itself'],
    pod: () => ['given to a pod'],
  }[held.by];
  return (parts ? parts() : [plain(held.by), held.holder]).filter(Boolean).join(' ');
}

const PROTECTIONS = {
  defaultRoute: 'default route', apiServer: 'route to the API server', nodeAddress: "the node's address",
  storage: 'network storage', configured: 'configured', ovsDatapath: 'Open vSwitch',
};

/** What a protected NIC carries. */
export const protection = (entry) => PROTECTIONS[entry.reason] ?? plain(entry.reason);

const ZERO = {
  firmwareOff: 'off in firmware', driverLacksSupport: 'driver cannot', noDriver: 'no driver',
  passedThrough: 'passed through', enslaved: 'PF is enslaved', pfHeld: 'PF is held', allHeld: 'all held',
};

/** Why a PF has no VF to give. */
export const zeroReason = (reason) => ZERO[reason] ?? plain(reason);

/** The VFs of a PF in one sentence. */
export function capacity({ total, enabled, held, free, creatable, reason }) {
  const counts = `${total} VFs at most, ${enabled} exist: ${held} held, ${free} free; ${creatable} more can be made`;
  return reason ? `${counts} (${zeroReason(reason)})` : counts;
}

/** A PCI address without the domain that nearly every machine has. */
export const shortPci = (address) => address.replace(/^0000:/, '');

const WARNINGS = {
  broken: 'broken', pcieBelowPort: 'PCIe below port', pcieDegraded: 'PCIe degraded',
  portBelowCapability: 'port below capability', portBelowSiblings: 'port below its siblings',
  sriovOffInFirmware: 'SR-IOV off in firmware', noIommu: 'no IOMMU', mtuDiffers: 'MTU differs',
  farFromGpus: 'far from GPUs', duplicateMac: 'duplicate MAC', uplinkUnknown: 'uplink unknown',
  restPortBusy: 'REST port busy', pluginsNotInstalled: 'CNI executables not installed',
  rightMissing: 'a right is missing', resourceTaken: 'resource taken', rdmaModeOther: 'RDMA mode is another',
};

/** A warning's code. */
export const warning = (code) => WARNINGS[code] ?? plain(code);

const RELATIONS = {
  sameSwitch: ['same switch', 'switch'], sameRoot: ['same root', 'root'], sameNuma: ['same NUMA node', 'NUMA'],
  otherNuma: ['other NUMA node', 'far'], unknown: ['unknown', '?'],
};

/** How near a GPU is. */
export const relation = (name) => RELATIONS[name]?.[0] ?? plain(name);

/** The same in a word, for a table. */
export const relationShort = (name) => RELATIONS[name]?.[1] ?? plain(name);

const PCIE_GENERATIONS = { '2.5 GT/s': 1, '5 GT/s': 2, '8 GT/s': 3, '16 GT/s': 4, '32 GT/s': 5, '64 GT/s': 6 };

/** A PCIe link, `PCIe 5.0 ×16`. */
export const pcie = (link) => `PCIe ${PCIE_GENERATIONS[link.speed] ?? link.speed}.0 ×${link.width}`;

const USES = { notHardware: 'virtual', protected: 'protected', enslaved: 'enslaved', held: 'held', excluded: 'excluded' };

/** Why a NIC is not secondary. */
export const notSecondary = (reason) => USES[reason] ?? plain(reason);

const MISSING = {
  adminDown: 'it is down', noCarrier: 'no carrier', noGlobalAddress: 'no global address',
  noNetdev: 'no netdev here', noVfCapacity: 'no VF to give',
};

/** What a NIC lacks for a use. */
export const missing = (reason) => MISSING[reason] ?? plain(reason);

const BASES = {
  computed: 'uplink known', remembered: 'uplink remembered from before', unknown: 'uplink unknown: nothing exclusive is allowed',
};

/** How the protected NICs are known. */
export const uplink = (basis) => BASES[basis] ?? plain(basis);

/** `1 VF`, `2 VFs`. */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** What happened between a pod and a network. */
export const attachmentEvent = (type) => ({
  'attachment.attached': 'was attached to',
  'attachment.detached': 'was detached from',
  'attachment.failed': 'could not be attached to',
  'attachment.lost': 'has lost a NIC of',
  'attachment.mtu': 'has a NIC with a lesser MTU than it was given in',
  'addresses.full': 'found no address left in',
})[type] ?? type;
