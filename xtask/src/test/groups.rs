//! The lab's groups: which tests share one boot of which machine.

/// One boot: the machine and the test files that run in it, one after the other.
pub(crate) struct Group {
    /// How it is called in the progress lines.
    pub(crate) name: &'static str,
    /// `MODEL[:HUB[:NUMA]]`, as `lab/vm-run --nic` takes it.
    pub(crate) nics: &'static [&'static str],
    /// Kernel modules beyond those that every machine has.
    pub(crate) modules: &'static [&'static str],
    /// Memory in MB.
    pub(crate) memory: u32,
    /// Seconds until the machine is ended.
    pub(crate) limit: u32,
    /// Whether there is a Kubernetes control plane on the host, which the machine reaches: the tests find the path of
    /// its kubeconfig in `KUBECONFIG`.
    pub(crate) control_plane: bool,
    /// Whether the images of `cargo xtask dist` are made first, from the executables of this run.
    pub(crate) images: bool,
    /// Whether a second machine like it is on the first one's hub 0: it runs the same tests with `LAB_MACHINE=b`, the
    /// first one with `LAB_MACHINE=a`.
    pub(crate) twin: bool,
    /// (crate, integration test): the tests there marked `#[ignore = "needs the lab VM"]`.
    pub(crate) suites: &'static [(&'static str, &'static str)],
}

/// Every group. A `tests/vm_*.rs` that stands in none, or a line here without its file, fails the run.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        name: "hardware",
        nics: &["igb:0:0", "igb:1:1", "e1000e:0:1", "vmxnet3:0", "rtl8139:1", "virtio:0"],
        modules: &["netdevsim", "vrf"],
        memory: 1536,
        limit: 1800,
        control_plane: false,
        images: false,
        twin: false,
        suites: &[
            ("netlink", "vm_nics"),
            ("hwprobe", "vm_inventory"),
            ("nodeagent", "vm_events"),
            ("nodeagent", "vm_soak"),
            ("datapath", "vm_links"),
            ("attach", "vm_engine"),
            ("sriov", "vm_pf"),
            ("cni", "vm_conformance"),
        ],
    },
    Group {
        name: "virtual functions",
        nics: &["igb:0:0", "igb:1:1"],
        modules: &[],
        memory: 1024,
        limit: 1800,
        control_plane: false,
        images: false,
        twin: false,
        suites: &[("sriov", "vm_vf"), ("attach", "vm_vf_engine"), ("nodeagent", "vm_sriov")],
    },
    Group {
        name: "rdma",
        nics: &["igb:0:0", "igb:1:1"],
        // rdma_rxe asks for its checksum by a name that no dependency tells.
        modules: &["crc32_generic", "rdma_rxe"],
        memory: 768,
        limit: 400,
        control_plane: false,
        images: false,
        twin: false,
        suites: &[("sriov", "vm_rdma")],
    },
    Group {
        name: "two machines",
        nics: &["igb:0:0", "igb:1:1"],
        modules: &[],
        memory: 768,
        limit: 400,
        control_plane: false,
        images: false,
        twin: true,
        suites: &[("attach", "vm_two_machines")],
    },
    // A boot of its own: runtimes fill the machine's memory with their images and own its /etc/cni.
    Group {
        name: "runtimes",
        nics: &["igb:0:0", "igb:1:1", "e1000e:0:1", "vmxnet3:0", "rtl8139:1", "virtio:0"],
        modules: &[],
        memory: 1536,
        limit: 1200,
        control_plane: false,
        images: false,
        twin: false,
        suites: &[("nodeagent", "vm_runtimes")],
    },
    // A node of a cluster: its kubelet takes over cgroups, and has images of its own.
    Group {
        name: "kubelet",
        nics: &["igb:0:0", "igb:1:1"],
        modules: &[],
        memory: 3072,
        limit: 1200,
        control_plane: true,
        images: false,
        twin: false,
        suites: &[("nodeagent", "vm_kubelet"), ("crds", "vm_definitions")],
    },
    // Six hosts of a cluster, each a network namespace with an agent.
    Group {
        name: "hosts",
        nics: &["virtio:0"],
        modules: &[],
        memory: 2048,
        limit: 900,
        control_plane: true,
        images: false,
        twin: false,
        suites: &[("nodeagent", "vm_hosts")],
    },
    // The same from `deploy/`, and a host at the far end of its wires.
    Group {
        name: "cluster",
        nics: &["igb:0", "igb:1", "rtl8139:0", "e1000e:0", "rtl8139:1"],
        modules: &[],
        memory: 3072,
        limit: 1500,
        control_plane: true,
        images: true,
        twin: false,
        suites: &[("nodeagent", "vm_cluster")],
    },
];
