//! `spec.mtu`: the MTU of a network's links in pods (TRAPS O7).

use crate::multi_nic_network::NetworkSpec;
use crate::problem::Problem;

/// Least MTU, bytes: every IPv4 host must take so much (RFC 791).
const LEAST: u32 = 68;

/// Least MTU of a link with IPv6, bytes (RFC 8200): below it the kernel takes IPv6 off the link.
const LEAST_V6: u32 = 1280;

/// Largest MTU that the kernel knows, bytes (`IP_MAX_MTU`, include/net/ip.h).
const MOST: u32 = 65_535;

/// The word for the smallest MTU of the network's NICs.
const AUTO: &str = "auto";

/// Which MTU a network's links have in pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mtu {
    /// That of the NIC below each link, or what the plugin's own arguments say.
    #[default]
    OfNic,
    /// The smallest of all NICs of the network, on all hosts: pods on any two of them can talk.
    Smallest,
    /// So many bytes, 68 to 65535.
    Bytes(u32),
}

impl NetworkSpec {
    /// Which MTU the links have in pods.
    ///
    /// # Errors
    /// When the text is neither empty, `auto` nor a number of bytes that a link can have.
    pub fn link_mtu(&self) -> Result<Mtu, Problem> {
        let least = if self.subnets.iter().any(|one| one.cidr.contains(':')) { LEAST_V6 } else { LEAST };
        match self.mtu.as_str() {
            "" => Ok(Mtu::OfNic),
            AUTO => Ok(Mtu::Smallest),
            text => match text.parse() {
                // `+9000` is a number for Rust alone.
                Ok(bytes) if (least..=MOST).contains(&bytes) && !text.starts_with('+') => {
                    Ok(Mtu::Bytes(bytes))
                }
                _ => {
                    let fix = format!("write `auto`, or bytes from {least} to {MOST}, in quotes");
                    Err(Problem::new("spec.mtu", format!("`{text}` is no MTU"), fix))
                }
            },
        }
    }

    /// Everything that is wrong with it.
    pub(crate) fn check_mtu(&self, problems: &mut Vec<Problem>) {
        problems.extend(self.link_mtu().err());
        let mut wrong = |message: &str, fix: &str| problems.push(Problem::new("spec.mtu", message, fix));
        if self.mtu.is_empty() {
            return;
        }
        if self.plugin.args.contains_key("mtu") {
            wrong("stands beside spec.plugin.args.mtu", "leave one of both out; spec.mtu knows more");
        }
        if self.has_whole_devices() {
            let message = format!("does nothing for {}: devices keep their own", self.plugin.kind);
            wrong(&message, "leave it out, and set the MTU of the NICs");
        }
    }

    /// Whether pods get the devices themselves, with what they are.
    pub(crate) fn has_whole_devices(&self) -> bool {
        ["mellanox", "host-device"].contains(&self.plugin.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi_nic_network::SubnetSpec;

    fn network(mtu: &str) -> NetworkSpec {
        NetworkSpec { mtu: mtu.to_owned(), ..NetworkSpec::default() }
    }

    #[test]
    fn a_text_is_an_mtu_a_word_or_refused() {
        let rows = [
            ("", Some(Mtu::OfNic)),
            ("auto", Some(Mtu::Smallest)),
            ("68", Some(Mtu::Bytes(68))),
            ("9000", Some(Mtu::Bytes(9000))),
            ("65535", Some(Mtu::Bytes(65_535))),
            ("67", None),
            ("0", None),
            ("65536", None),
            ("+9000", None),
            ("9000 ", None),
            ("Auto", None),
            ("jumbo", None),
        ];
        for (text, wanted) in rows {
            assert_eq!(network(text).link_mtu().ok(), wanted, "{text}");
        }
    }

    #[test]
    fn a_network_with_ipv6_has_at_least_the_mtu_that_ipv6_wants() {
        let mut dual = network("1279");
        dual.subnets = vec![SubnetSpec { cidr: "fd00::/64".to_owned(), ..SubnetSpec::default() }];
        assert!(dual.link_mtu().unwrap_err().fix.contains("from 1280 to"));

        dual.mtu = "1280".to_owned();
        assert_eq!(dual.link_mtu(), Ok(Mtu::Bytes(1280)));
    }

    #[test]
    fn it_stands_neither_beside_the_plugins_own_nor_over_whole_devices() {
        let mut two = network("9000");
        two.plugin.args.insert("mtu".to_owned(), "1500".to_owned());
        let mut whole = network("auto");
        whole.plugin.kind = "mellanox".to_owned();
        for (network, said) in [(two, "stands beside"), (whole, "does nothing for mellanox")] {
            let mut problems = Vec::new();
            network.check_mtu(&mut problems);
            assert!(problems.len() == 1 && problems[0].message.starts_with(said), "{problems:?}");
        }
    }
}
