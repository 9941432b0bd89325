//! Byte counters and names of the interfaces of this network namespace.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// Bytes that went through an interface since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Received.
    pub(crate) received: u64,
    /// Sent.
    pub(crate) sent: u64,
}

/// The counters of an interface, from `/proc/thread-self/net/dev`: a sysfs would show the namespace of whoever mounted
/// it. Absent: there is no such interface.
pub(crate) fn counters(interface: &str) -> Option<Counters> {
    parse(&std::fs::read_to_string("/proc/thread-self/net/dev").ok()?, interface)
}

fn parse(text: &str, interface: &str) -> Option<Counters> {
    let line = text.lines().find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == interface).then_some(numbers)
    })?;
    let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
    Some(Counters { received: numbers.next()??, sent: numbers.nth(7)?? })
}

/// Name of the interface that has this address; absent: none has it.
pub(crate) fn interface_of(address: IpAddr) -> Option<String> {
    let mut found = getifaddrs().ok()?;
    found
        .find(|entry| {
            let of_entry = entry.address.as_ref().and_then(|address| {
                let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
            });
            of_entry == Some(address.to_canonical())
        })
        .map(|entry| entry.interface_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      200       2    0    0    0     0       0          0
net1-0:1234567 9 0 0 0 0 0 0 7654321 8 0 0 0 0 0 0
";

    #[test]
    fn counters_are_those_of_the_interface_that_was_asked_for() {
        assert_eq!(parse(DEV, "lo"), Some(Counters { received: 100, sent: 200 }));
        assert_eq!(parse(DEV, "net1-0"), Some(Counters { received: 1_234_567, sent: 7_654_321 }));
        assert_eq!(parse(DEV, "net1"), None);
    }

    #[test]
    fn an_address_of_nobody_has_no_interface() {
        assert_eq!(interface_of(IpAddr::from([192, 0, 2, 77])), None);
    }
}
