//! What the words mean that a runtime writes into a pod's events when a network cannot be attached.

/// A failure that is known by its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// What a message of it holds, in lower case: any of these.
    words: &'static [&'static str],
    /// What it means.
    pub(crate) cause: &'static str,
    /// What to do.
    pub(crate) fix: &'static str,
}

/// The more particular ones come first.
const KNOWN: &[Failure] = &[
    Failure {
        words: &["failed to find plugin", "executable file not found", "cni binary"],
        cause: "the runtime does not find a CNI executable",
        fix: "DaemonSet multi-nicd must mount the runtime's CNI folder (bin_dir of containerd, plugin_dirs of CRI-O) at /host/opt/cni/bin",
    },
    Failure {
        words: &["network-attachment-definition", "networkattachmentdefinition", "cannot find a network"],
        cause: "the attachment definition is not in the namespace that the pod names",
        fix: "name a network of the pod's namespace, or add the namespace to `spec.namespaces` of the network",
    },
    Failure {
        words: &["is held by another attachment", "address already in use", "file exists"],
        cause: "another pod holds the address",
        fix: "leave the address out of the pod's annotation, or delete the pod that holds it",
    },
    Failure {
        words: &["is full", "no free address", "no available ip"],
        cause: "the node's block of addresses is full",
        fix: "kubectl multinic doctor: blocks-not-full says whose addresses they are; run the pod on another node",
    },
    Failure {
        words: &["has no block", "no pool", "returned missing ip config"],
        cause: "a NIC of the node has no block of addresses in this network",
        fix: "kubectl multinic networks -o wide: AddressesAssigned says why this host has none",
    },
    Failure {
        words: &["no nic of this node", "zero config", "asks for", "is left out", "left out"],
        cause: "no NIC of the node fits what the network and the pod want",
        fix: "kubectl multinic explain --node NODE --network NETWORK names the rule that leaves each NIC out",
    },
    Failure {
        words: &[
            "try again",
            "connection refused",
            "api.sock",
            "cni.sock",
            "daemon",
            "execadd: failed",
            "response nothing",
        ],
        cause: "the agent of the node did not answer",
        fix: "kubectl multinic doctor --node NODE: agents-run and agents-answer",
    },
    Failure {
        words: &["unknown network", "network not found", "no such network", "knows no network"],
        cause: "the agent of the node does not know the network",
        fix: "kubectl multinic networks: whether there is such a network and it is ready",
    },
];

/// The failure that a message tells of.
pub(crate) fn known(message: &str) -> Option<&'static Failure> {
    let message = message.to_lowercase();
    KNOWN.iter().find(|failure| failure.words.iter().any(|words| message.contains(words)))
}

/// What a message says in the end: runtimes put the names of all who handed it on before it.
pub(crate) fn heart(message: &str) -> &str {
    let ours = ["multi-nic: ", "multi-nic-ipam: ", "plugin type=\"multi-nic\" "];
    let after = ours.iter().filter_map(|mark| message.rsplit_once(mark)).map(|(_, after)| after);
    let after = after.min_by_key(|text| text.len()).unwrap_or(message);
    after.strip_prefix("failed (add): ").unwrap_or(after)
}
