//! Which machine and which boot a store belongs to.

/// Which machine and which boot this is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `/etc/machine-id`, 32 hexadecimal digits; empty when the machine has none.
    pub machine: String,
    /// `/proc/sys/kernel/random/boot_id`; empty when unknown.
    pub boot: String,
}

impl Identity {
    /// The running machine's.
    pub fn of_this_machine() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self { machine: read("/etc/machine-id"), boot: read("/proc/sys/kernel/random/boot_id") }
    }
}
