//! The arguments of plugin `sriov` (CONTRACTS §3.1, §3.2).

use crds::{Mtu, NetworkSpec};

use super::problem::Problem;
use crate::condition::Reason;

/// The weakest priority: what the SR-IOV operator's webhook gives a policy without one. Without the webhook such a
/// policy would be the strongest, so that it is always written.
const WEAKEST: u8 = 99;

/// Longest name of a resource that the SR-IOV operator takes.
const LONGEST_RESOURCE: usize = 63;

/// Who makes virtual functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manager {
    /// The SR-IOV operator.
    #[default]
    Operator,
    /// Our own agents.
    Agent,
}

/// What a network says of its virtual functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SriovArguments {
    /// Name of the resource, without prefix.
    pub resource: String,
    /// The resource was given: somebody else makes its VFs, and no policy is written.
    pub given: bool,
    /// VFs of each PF, at least 1.
    pub num_vfs: u32,
    /// 0 to 99; 0 is the strongest.
    pub priority: u8,
    /// Least MTU of the PFs and MTU of the VFs, bytes.
    pub mtu: Option<u32>,
    /// Drivers: `netdevice`, `vfio-pci` or empty.
    pub device_type: String,
    /// VFs are wanted with RDMA.
    pub is_rdma: bool,
    /// `/dev/vhost-net` is wanted.
    pub need_vhost_net: bool,
    /// VLAN of the VFs; absent: untagged.
    pub vlan: Option<u16>,
    /// Priority of their frames; absent: 0.
    pub vlan_qos: Option<u8>,
    /// Least rate, Mbit/s.
    pub min_tx_rate: Option<u32>,
    /// Most rate, Mbit/s; 0: no limit.
    pub max_tx_rate: Option<u32>,
    /// Whether spoofed addresses are dropped.
    pub spoofchk: Option<bool>,
    /// Whether the VF is trusted.
    pub trust: Option<bool>,
    /// `auto`, `enable`, `disable` or empty.
    pub link_state: String,
    /// Who was asked for; absent: nobody in particular.
    pub manager: Option<Manager>,
}

impl SriovArguments {
    /// Reads them. A number that is none counts as absent, as with the predecessor; what no policy can have is told.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(name: &str, spec: &NetworkSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut bad = |message: String| problems.push(Problem::new(Reason::BadSriovArgument, message));
        let plugin = &spec.plugin;
        let number = |argument: &str| plugin.number(argument).and_then(|number| u32::try_from(number).ok());
        let given = !plugin.text("resourceName").is_empty();
        let resource = plugin.resource_name(name);
        if resource.len() > LONGEST_RESOURCE {
            bad(format!(
                "`{resource}` is over {LONGEST_RESOURCE} bytes and no name of a resource; write a shorter one in args.resourceName, or make the network's name shorter"
            ));
        }
        let num_vfs = number("numVfs").unwrap_or(1);
        if num_vfs == 0 && !given {
            bad("args.numVfs is 0, and the SR-IOV operator takes no such policy; write how many VFs each PF should have".to_owned());
        }
        let priority = number("priority")
            .map_or(Some(WEAKEST), |one| u8::try_from(one).ok().filter(|one| *one <= WEAKEST));
        if priority.is_none() {
            bad(format!("args.priority is {}; write 0 (strongest) to 99", plugin.text("priority")));
        }
        let mtu = match spec.link_mtu() {
            Ok(Mtu::Bytes(mtu)) => Some(mtu),
            // A policy that follows the NICs would drain nodes; the smallest stands in the attachment definition.
            _ => number("mtu").filter(|mtu| *mtu > 0),
        };
        let is_rdma = plugin.flag("isRdma").unwrap_or(false);
        let device_type = plugin.text("deviceType").to_owned();
        if is_rdma && device_type == "vfio-pci" {
            bad("args.isRdma does not go with args.deviceType vfio-pci; leave one of both out".to_owned());
        }
        let asked = spec.attach_policy.as_ref().map_or("", |policy| policy.manager.as_str());
        let manager = match (asked, plugin.text("manager")) {
            ("agent", _) | ("", "agent") => Some(Manager::Agent),
            ("operator", _) | ("", "operator") => Some(Manager::Operator),
            _ => None,
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            resource,
            given,
            num_vfs,
            priority: priority.unwrap_or(WEAKEST),
            mtu,
            device_type,
            is_rdma,
            need_vhost_net: plugin.flag("needVhostNet").unwrap_or(false),
            vlan: number("vlan").and_then(|vlan| u16::try_from(vlan).ok()).filter(|vlan| *vlan > 0),
            vlan_qos: number("vlanQoS").and_then(|qos| u8::try_from(qos).ok()).filter(|qos| *qos > 0),
            min_tx_rate: number("minTxRate"),
            max_tx_rate: number("maxTxRate"),
            spoofchk: plugin.flag("spoofchk"),
            trust: plugin.flag("trust"),
            link_state: plugin.text("linkState").to_owned(),
            manager,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(args: &[(&str, &str)]) -> NetworkSpec {
        let mut spec = NetworkSpec::default();
        spec.plugin.args = args.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        spec
    }

    #[test]
    fn a_network_without_arguments_has_the_predecessors_values_and_a_priority() {
        let read = SriovArguments::read("net-c.x", &spec(&[])).unwrap();

        let wanted = SriovArguments {
            resource: "netcx".to_owned(),
            num_vfs: 1,
            priority: 99,
            ..SriovArguments::default()
        };
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_no_number_or_zero_is_absent_but_a_rate_of_zero_is_one() {
        let read = SriovArguments::read(
            "a",
            &spec(&[
                ("mtu", "0"),
                ("vlan", "0"),
                ("vlanQoS", "x"),
                ("numVfs", "many"),
                ("minTxRate", "0"),
                ("maxTxRate", "-1"),
                ("isRdma", "T"),
                ("trust", "yes"),
            ]),
        );

        let read = read.unwrap();
        assert_eq!((read.mtu, read.vlan, read.vlan_qos, read.num_vfs), (None, None, None, 1));
        assert_eq!((read.min_tx_rate, read.max_tx_rate), (Some(0), None));
        assert_eq!((read.is_rdma, read.trust), (true, None));
    }

    #[test]
    fn what_no_policy_can_have_is_told_all_at_once() {
        let long = "n".repeat(64);
        let bad =
            spec(&[("numVfs", "0"), ("priority", "100"), ("isRdma", "true"), ("deviceType", "vfio-pci")]);

        let told = SriovArguments::read(&long, &bad).unwrap_err();

        assert!(told.iter().all(|one| one.reason == Reason::BadSriovArgument));
        for (problem, said) in
            told.iter().zip(["is over 63 bytes", "numVfs is 0", "priority is 100", "isRdma does not"])
        {
            assert!(problem.message.contains(said), "{problem}");
        }
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn the_policy_of_the_network_says_who_makes_vfs_before_the_argument_does() {
        let of = |policy: &str, argument: &str| {
            let mut spec = spec(&[("manager", argument)]);
            let manager = policy.to_owned();
            spec.attach_policy = Some(crds::AttachPolicy { manager, ..crds::AttachPolicy::default() });
            SriovArguments::read("a", &spec).unwrap().manager
        };

        assert_eq!(of("", ""), None);
        assert_eq!(of("", "agent"), Some(Manager::Agent));
        assert_eq!(of("operator", "agent"), Some(Manager::Operator));
        assert_eq!(of("agent", "operator"), Some(Manager::Agent));
    }

    #[test]
    fn the_mtu_of_the_network_is_that_of_its_vfs_unless_it_follows_the_nics() {
        let of = |mtu: &str, argument: &[(&str, &str)]| {
            let mut spec = spec(argument);
            spec.mtu = mtu.to_owned();
            SriovArguments::read("a", &spec).unwrap().mtu
        };

        assert_eq!(of("9000", &[]), Some(9000));
        assert_eq!(of("", &[("mtu", "4200")]), Some(4200));
        assert_eq!(of("auto", &[]), None);
    }
}
