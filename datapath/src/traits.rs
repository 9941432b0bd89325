//! What each kind of pod link can do (TRAPS P12): one table, which the wiring follows and `docs/link-modes.md` shows.

use netlink::route::{IpvlanMode, MacvlanMode, NewLinkKind};

use crate::Source;

/// What a kind of link can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traits {
    /// How people call the kind: `ipvlan l2`, `macvlan bridge`, `device`, ….
    pub name: &'static str,
    /// Whose link-layer address it has.
    pub mac: Mac,
    /// Whether it can tell neighbours of its addresses (gratuitous ARP, unsolicited neighbour advertisement).
    pub announce: bool,
    /// Where somebody who has the address already can be heard.
    pub duplicate_check: DuplicateCheck,
    /// Whether it has an IPv6 link-local address.
    pub link_local: bool,
    /// Whether broadcasts and multicasts reach it.
    pub broadcast: Broadcast,
    /// Whether host and pod reach one another by way of the master.
    pub host: HostReach,
    /// Whether it can lease an address.
    pub dhcp: Dhcp,
}

/// Whose link-layer address a link has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mac {
    /// One of its own, which may be chosen.
    Own,
    /// Its master's; none may be chosen.
    Masters,
}

/// Where somebody who has an address already can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateCheck {
    /// In the pod, on the link itself.
    InPod,
    /// On the master: the answer names no address by which it would find the pod's link.
    OnMaster,
    /// Nowhere: the link speaks neither ARP nor neighbour discovery, or lets the answer in from nobody.
    Never,
}

/// Whether broadcasts and multicasts reach a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// From everybody.
    Yes,
    /// From the wire, not from links on the same master.
    FromWire,
    /// From the addresses on its list.
    FromListed,
    /// From nobody.
    No,
}

/// Whether host and pod reach one another by way of the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostReach {
    /// They do not, whatever is configured.
    No,
    /// Where the switch outside sends frames back out of the port they came in by.
    ByHairpin,
    /// As two machines on one wire do; the host needs another NIC there.
    ByWire,
}

/// Whether a link can lease an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dhcp {
    /// It can.
    Yes,
    /// With a client id: by MAC all links of the master are one client.
    WithClientId,
    /// It cannot.
    No,
}

const OWN: Traits = Traits {
    name: "device",
    mac: Mac::Own,
    announce: true,
    duplicate_check: DuplicateCheck::InPod,
    link_local: true,
    broadcast: Broadcast::Yes,
    host: HostReach::ByWire,
    dhcp: Dhcp::Yes,
};

const MACVLAN: Traits = Traits { name: "macvlan bridge", host: HostReach::No, ..OWN };

const IPVLAN_L3: Traits = Traits {
    name: "ipvlan l3",
    mac: Mac::Masters,
    announce: false,
    duplicate_check: DuplicateCheck::Never,
    link_local: false,
    broadcast: Broadcast::No,
    host: HostReach::No,
    dhcp: Dhcp::No,
};

/// The table, in the order that the documentation shows it.
pub const TABLE: [Traits; 9] = [
    Traits {
        name: "ipvlan l2",
        announce: true,
        duplicate_check: DuplicateCheck::OnMaster,
        link_local: true,
        broadcast: Broadcast::Yes,
        dhcp: Dhcp::WithClientId,
        ..IPVLAN_L3
    },
    IPVLAN_L3,
    Traits { name: "ipvlan l3s", ..IPVLAN_L3 },
    MACVLAN,
    Traits { name: "macvlan private", broadcast: Broadcast::FromWire, ..MACVLAN },
    Traits { name: "macvlan vepa", broadcast: Broadcast::FromWire, host: HostReach::ByHairpin, ..MACVLAN },
    Traits { name: "macvlan passthru", mac: Mac::Masters, ..MACVLAN },
    Traits {
        name: "macvlan source",
        duplicate_check: DuplicateCheck::Never,
        broadcast: Broadcast::FromListed,
        ..MACVLAN
    },
    OWN,
];

/// What a link from this source can do.
pub fn of(source: &Source) -> Traits {
    let name = name(source);
    TABLE.into_iter().find(|traits| traits.name == name).unwrap_or(OWN)
}

fn name(source: &Source) -> &'static str {
    let Source::Above { kind, .. } = source else { return "device" };
    match kind {
        NewLinkKind::Ipvlan { mode: IpvlanMode::L2, .. } => "ipvlan l2",
        NewLinkKind::Ipvlan { mode: IpvlanMode::L3s, .. } => "ipvlan l3s",
        // A mode that is not known here promises nothing.
        NewLinkKind::Ipvlan { .. } => "ipvlan l3",
        NewLinkKind::Macvlan { mode, .. } => match mode {
            MacvlanMode::Private => "macvlan private",
            MacvlanMode::Vepa => "macvlan vepa",
            MacvlanMode::Passthru => "macvlan passthru",
            MacvlanMode::Source => "macvlan source",
            _ => "macvlan bridge",
        },
        _ => "device",
    }
}

#[cfg(test)]
mod tests {
    use netlink::route::IpvlanFlag;

    use super::*;

    #[test]
    fn the_documented_table_is_this_one() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/link-modes.md")).unwrap();
        // The page's only table of eight columns, after its head and rule.
        let rows: Vec<&str> = page.lines().filter(|line| line.matches('|').count() == 9).skip(2).collect();

        let wanted: Vec<String> = TABLE.iter().map(row).collect();

        assert_eq!(rows, wanted, "docs/link-modes.md");
    }

    /// A row of the documented table.
    fn row(traits: &Traits) -> String {
        let mac = match traits.mac {
            Mac::Own => "own",
            Mac::Masters => "master's",
        };
        let announce = if traits.announce { "yes" } else { "no" };
        let check = match traits.duplicate_check {
            DuplicateCheck::InPod => "in the pod",
            DuplicateCheck::OnMaster => "on the master",
            DuplicateCheck::Never => "no",
        };
        let link_local = if traits.link_local { "yes" } else { "no" };
        let broadcast = match traits.broadcast {
            Broadcast::Yes => "yes",
            Broadcast::FromWire => "from the wire only",
            Broadcast::FromListed => "from listed MACs only",
            Broadcast::No => "no",
        };
        let host = match traits.host {
            HostReach::No => "no",
            HostReach::ByHairpin => "if the switch hairpins",
            HostReach::ByWire => "by the wire",
        };
        let dhcp = match traits.dhcp {
            Dhcp::Yes => "yes",
            Dhcp::WithClientId => "with a client id",
            Dhcp::No => "no",
        };
        let name = traits.name;
        format!("| {name} | {mac} | {announce} | {check} | {link_local} | {broadcast} | {host} | {dhcp} |")
    }

    #[test]
    fn every_kind_that_can_be_asked_for_has_its_row() {
        let ipvlan = |mode| NewLinkKind::Ipvlan { mode, flag: IpvlanFlag::Bridge };
        let macvlan = |mode| NewLinkKind::Macvlan { mode, sources: Vec::new() };
        let kinds = [
            ipvlan(IpvlanMode::L2),
            ipvlan(IpvlanMode::L3),
            ipvlan(IpvlanMode::L3s),
            macvlan(MacvlanMode::Bridge),
            macvlan(MacvlanMode::Private),
            macvlan(MacvlanMode::Vepa),
            macvlan(MacvlanMode::Passthru),
            macvlan(MacvlanMode::Source),
        ];

        let mut names: Vec<&str> =
            kinds.into_iter().map(|kind| of(&Source::Above { kind, master: 1 }).name).collect();
        names.push(of(&Source::Device { index: 1 }).name);

        assert_eq!(names, TABLE.map(|traits| traits.name));
    }
}
