//! What a PF should be, between the API's words and the library's. Pure.

use openapi::{PfDesired, PfDeviceType, PfEswitchMode, PfLinkType, PfVfGroup};
use sriov::{DesiredPf, EswitchMode, LinkType, VfDriver, VfGroup};

/// Name that groups have whose desired state was given over the API.
const API: &str = "given over the API";

/// What was given over the API.
///
/// # Errors
/// A range that is none, or two groups that share a VF: with the field.
pub(crate) fn from_posted(posted: &PfDesired) -> Result<DesiredPf, String> {
    let mut groups: Vec<VfGroup> = Vec::new();
    for (number, group) in posted.groups.iter().enumerate() {
        let field = format!("groups[{number}].vfs");
        let range = range(&group.vfs).ok_or_else(|| {
            format!("{field}: `{}` is no range; write first and last VF, like 0-3", group.vfs)
        })?;
        if *range.end() >= posted.num_vfs {
            let last = posted.num_vfs.saturating_sub(1);
            return Err(format!("{field}: `{}` ends behind the last VF; end it at {last}", group.vfs));
        }
        let overlaps = |one: &VfGroup| one.range.start() <= range.end() && range.start() <= one.range.end();
        if groups.iter().any(overlaps) {
            return Err(format!("{field}: `{}` overlaps with an earlier group; a VF is in one", group.vfs));
        }
        if group.is_rdma && group.device_type == PfDeviceType::VfioPci {
            return Err(format!("groups[{number}].isRdma: does not go with deviceType vfio-pci"));
        }
        groups.push(VfGroup {
            range,
            driver: match group.device_type {
                PfDeviceType::Netdevice => VfDriver::Own,
                PfDeviceType::VfioPci => VfDriver::vfio(),
            },
            mtu: group.mtu,
            rdma: group.is_rdma,
            resource: group.resource_name.clone().unwrap_or_default(),
            policy: API.to_owned(),
        });
    }
    // VFs that no group is about are netdevs: nobody gives a state to leave a VF to chance.
    if let (true, Some(last)) = (groups.is_empty(), posted.num_vfs.checked_sub(1)) {
        groups.push(VfGroup {
            range: 0..=last,
            driver: VfDriver::Own,
            mtu: posted.mtu,
            rdma: false,
            resource: String::new(),
            policy: API.to_owned(),
        });
    }
    for (field, mtu) in std::iter::once(("mtu".to_owned(), posted.mtu)).chain(
        posted.groups.iter().enumerate().map(|(number, group)| (format!("groups[{number}].mtu"), group.mtu)),
    ) {
        if mtu == Some(0) {
            return Err(format!("{field}: is 0; write the bytes, or leave it out"));
        }
    }
    Ok(DesiredPf {
        count: posted.num_vfs,
        mtu: posted.mtu,
        eswitch: posted.e_switch_mode.map(|mode| match mode {
            PfEswitchMode::Legacy => EswitchMode::Legacy,
            PfEswitchMode::Switchdev => EswitchMode::Switchdev,
        }),
        link_type: posted.link_type.map(|kind| match kind {
            PfLinkType::Eth => LinkType::Ethernet,
            PfLinkType::Ib => LinkType::InfiniBand,
        }),
        groups,
        managed_by: posted.externally_managed.then(|| "the API said externallyManaged".to_owned()),
        on_uplink: posted.on_uplink,
        notes: Vec::new(),
    })
}

/// What is wanted, as the API shows it.
pub(crate) fn shown(desired: &DesiredPf) -> PfDesired {
    PfDesired {
        num_vfs: desired.count,
        mtu: desired.mtu,
        e_switch_mode: desired.eswitch.map(eswitch),
        link_type: desired.link_type.map(link_type),
        groups: desired.groups.iter().map(group).collect(),
        externally_managed: desired.managed_by.is_some(),
        on_uplink: desired.on_uplink,
    }
}

/// A group, as the API shows it.
pub(crate) fn group(group: &VfGroup) -> PfVfGroup {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    PfVfGroup {
        vfs: format!("{}-{}", group.range.start(), group.range.end()),
        device_type: match group.driver {
            VfDriver::Own => PfDeviceType::Netdevice,
            VfDriver::Named(_) => PfDeviceType::VfioPci,
        },
        mtu: group.mtu,
        is_rdma: group.rdma,
        resource_name: some(&group.resource),
        policy: some(&group.policy).filter(|policy| policy != API),
    }
}

/// A mode, as the API shows it.
pub(crate) fn eswitch(mode: EswitchMode) -> PfEswitchMode {
    match mode {
        EswitchMode::Legacy => PfEswitchMode::Legacy,
        EswitchMode::Switchdev => PfEswitchMode::Switchdev,
    }
}

/// A link type, as the API shows it.
pub(crate) fn link_type(kind: LinkType) -> PfLinkType {
    match kind {
        LinkType::Ethernet => PfLinkType::Eth,
        LinkType::InfiniBand => PfLinkType::Ib,
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let number =
        |part: &str| part.parse::<u16>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(text: Value) -> Result<DesiredPf, String> {
        let posted = serde_json::from_value(text).map_err(|error| error.to_string())?;
        from_posted(&posted)
    }

    #[test]
    fn what_was_given_is_shown_as_it_was_given() {
        let given = json!({
            "numVfs": 4, "mtu": 9000, "eSwitchMode": "legacy", "linkType": "eth", "onUplink": true,
            "groups": [
                {"vfs": "0-1", "deviceType": "vfio-pci", "resourceName": "dpdk"},
                {"vfs": "2-2", "deviceType": "netdevice", "mtu": 1400},
            ],
        });

        assert_eq!(serde_json::to_value(shown(&read(given.clone()).unwrap())).unwrap(), given);
    }

    #[test]
    fn vfs_without_groups_are_netdevs() {
        let desired = read(json!({"numVfs": 4, "mtu": 1400})).unwrap();

        assert_eq!(desired.groups.len(), 1);
        let group = &desired.groups[0];
        assert_eq!((group.range.clone(), &group.driver, group.mtu), (0..=3, &VfDriver::Own, Some(1400)));
        assert_eq!(read(json!({"numVfs": 0})).unwrap().groups, []);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        for (given, said) in [
            (json!({"numVf": 4}), "unknown field `numVf`"),
            (json!({"mtu": 4}), "missing field `numVfs`"),
            (json!({"numVfs": 4, "mtu": 0}), "mtu: is 0"),
            (json!({"numVfs": 4, "groups": [{"vfs": "3-1"}]}), "groups[0].vfs: `3-1` is no range"),
            (json!({"numVfs": 4, "groups": [{"vfs": "+1"}]}), "groups[0].vfs: `+1` is no range"),
            (
                json!({"numVfs": 4, "groups": [{"vfs": "0-4"}]}),
                "groups[0].vfs: `0-4` ends behind the last VF",
            ),
            (json!({"numVfs": 4, "groups": [{"vfs": "0-1"}, {"vfs": "1"}]}), "groups[1].vfs: `1` overlaps"),
            (json!({"numVfs": 4, "groups": [{"vfs": "0", "deviceType": "vfio"}]}), "unknown variant `vfio`"),
            (
                json!({"numVfs": 1, "groups": [{"vfs": "0", "deviceType": "vfio-pci", "isRdma": true}]}),
                "groups[0].isRdma: does not go",
            ),
        ] {
            let refused = read(given).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}
