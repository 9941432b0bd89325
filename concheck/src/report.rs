//! What a check found. The JSON of `--json` is this, and table and page are drawn from it.

use serde::{Deserialize, Serialize};

use crate::measurement::{Failure, Measured, Outcome, Reason};

/// Why pods of one host are not measured: who looks for them finds this (TRAPS P12 of the design notes).
pub(crate) const SAME_NODE: &str = "not measured: pods of one host do not use the wire between hosts, and a host cannot \
     reach its own pods through the same NIC";

/// A check.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Name of the run, which its pods have as a label.
    pub(crate) run: String,
    /// TCP streams at once for each pair.
    pub(crate) streams: u8,
    /// Seconds that each pair was measured.
    pub(crate) seconds: u16,
    /// Why it ended before all was measured; absent: it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// By network, in the order of their names.
    pub(crate) networks: Vec<NetworkReport>,
}

/// What was found of a network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkReport {
    /// Its name.
    pub(crate) name: String,
    /// Why it cannot be checked; absent: it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_checkable: Option<String>,
    /// Its hosts, in the order of their names.
    pub(crate) hosts: Vec<HostReport>,
    /// Every ordered pair of different hosts.
    pub(crate) pairs: Vec<PairReport>,
    /// Why no host stands beside itself in `pairs`.
    pub(crate) same_node: String,
}

/// A host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostReport {
    /// Name of the node.
    pub(crate) name: String,
    /// Why no pod of it takes part; absent: one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
}

/// From one host to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PairReport {
    /// Host that sends.
    pub(crate) from: String,
    /// Host that receives.
    pub(crate) to: String,
    /// By address of the receiver, in the order of its interfaces.
    pub(crate) addresses: Vec<AddressReport>,
}

/// From a host to one address of another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddressReport {
    /// Address of the receiver; empty: not known.
    pub(crate) address: String,
    /// What both interfaces are on: a NIC network like `10.0.1.0/24`, or `interface 1`.
    pub(crate) rail: String,
    /// Whether it is connected.
    pub(crate) connected: bool,
    /// Measured, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<Measured>,
    /// Kind of failure, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    /// The failure in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sentence: Option<String>,
}

impl AddressReport {
    /// Nothing is connected before it was measured.
    pub(crate) fn new(address: String, rail: String, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Connected(measured) => Self {
                address,
                rail,
                connected: true,
                measured: Some(measured),
                reason: None,
                sentence: None,
            },
            Outcome::Failed(Failure { reason, sentence, .. }) => Self {
                address,
                rail,
                connected: false,
                measured: None,
                reason: Some(reason),
                sentence: Some(sentence),
            },
        }
    }

    /// Bits a second; absent: not connected.
    pub(crate) fn speed(&self) -> Option<f64> {
        self.measured.as_ref().map(|measured| measured.bits_per_second)
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every address of every pair is connected.
    AllConnected,
    /// At least one is not, or was not measured.
    SomeFailed,
    /// No network could be checked.
    NothingChecked,
}

impl Report {
    /// Whether a network could not be checked.
    pub(crate) fn leaves_one_out(&self) -> bool {
        self.networks.iter().any(|network| network.not_checkable.is_some())
    }

    /// How it ended.
    pub(crate) fn verdict(&self) -> Verdict {
        let checked = || self.networks.iter().filter(|network| network.not_checkable.is_none());
        if checked().all(|network| network.pairs.is_empty()) {
            return Verdict::NothingChecked;
        }
        let connected = |pair: &PairReport| {
            !pair.addresses.is_empty() && pair.addresses.iter().all(|address| address.connected)
        };
        if checked().all(|network| network.pairs.iter().all(connected)) {
            Verdict::AllConnected
        } else {
            Verdict::SomeFailed
        }
    }
}

/// Bits a second as iperf3 prints them: three digits, thousands.
pub(crate) fn speed(bits: f64) -> String {
    let units = [(1e9, "Gbits/sec"), (1e6, "Mbits/sec"), (1e3, "Kbits/sec")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| bits >= *size * 0.9995).unwrap_or((1.0, "bits/sec"));
    let value = bits / size;
    let text = match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pair whose addresses are connected at that speed, or not at all.
    pub(crate) fn pair(from: &str, to: &str, addresses: &[(&str, Option<f64>)]) -> PairReport {
        let address = |(number, (address, speed)): (usize, &(&str, Option<f64>))| {
            let outcome = match speed {
                Some(bits_per_second) => {
                    Outcome::Connected(Measured { bits_per_second: *bits_per_second, ..Measured::default() })
                }
                None => {
                    Outcome::Failed(Failure::new(Reason::TimedOut, format!("no answer from <{address}>")))
                }
            };
            AddressReport::new((*address).to_owned(), format!("10.0.{number}.0/24"), outcome)
        };
        let addresses = addresses.iter().enumerate().map(address).collect();
        PairReport { from: from.to_owned(), to: to.to_owned(), addresses }
    }

    /// A network with these pairs.
    pub(crate) fn network(name: &str, pairs: Vec<PairReport>) -> NetworkReport {
        let mut hosts: Vec<String> =
            pairs.iter().flat_map(|pair| [pair.from.clone(), pair.to.clone()]).collect();
        hosts.sort();
        hosts.dedup();
        let hosts = hosts.into_iter().map(|name| HostReport { name, missing: None }).collect();
        NetworkReport { name: name.to_owned(), hosts, pairs, ..NetworkReport::default() }
    }

    fn report(networks: Vec<NetworkReport>) -> Report {
        Report { networks, ..Report::default() }
    }

    #[test]
    fn one_address_that_is_not_connected_is_a_failed_check() {
        let good = || pair("a", "b", &[("192.168.0.1", Some(1e9)), ("192.168.64.1", Some(1e9))]);
        let bad = pair("b", "a", &[("192.168.0.2", Some(1e9)), ("192.168.64.2", None)]);

        assert_eq!(report(vec![network("n", vec![good()])]).verdict(), Verdict::AllConnected);
        assert_eq!(report(vec![network("n", vec![good(), bad])]).verdict(), Verdict::SomeFailed);
    }

    #[test]
    fn a_pair_without_any_result_is_a_failed_check() {
        let verdict = report(vec![network("n", vec![pair("a", "b", &[])])]).verdict();

        assert_eq!(verdict, Verdict::SomeFailed);
    }

    #[test]
    fn a_check_of_nothing_is_none() {
        let not =
            NetworkReport { not_checkable: Some("no addresses".to_owned()), ..NetworkReport::default() };

        assert_eq!(report(vec![]).verdict(), Verdict::NothingChecked);
        assert_eq!(report(vec![not]).verdict(), Verdict::NothingChecked);
    }

    #[test]
    fn speeds_are_written_as_the_predecessor_wrote_them() {
        let written =
            [9.1e9, 8.95e9, 9.04e9, 94.1e9, 187.4e9, 1e9, 999.9e6, 943e6, 12.34e6, 512.0, 0.0].map(speed);

        assert_eq!(
            written,
            [
                "9.1Gbits/sec",
                "8.95Gbits/sec",
                "9.04Gbits/sec",
                "94.1Gbits/sec",
                "187Gbits/sec",
                "1Gbits/sec",
                "1Gbits/sec",
                "943Mbits/sec",
                "12.3Mbits/sec",
                "512bits/sec",
                "0bits/sec"
            ]
        );
    }
}
