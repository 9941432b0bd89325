//! The predecessor's table (CONTRACTS §10.1), which scripts read.

use std::fmt::Write;

use crate::report::{NetworkReport, PairReport, speed};

/// Line above and below.
const RULE: &str = "###########################################";

/// The table of a network.
pub(crate) fn table(network: &NetworkReport) -> String {
    let head = ["FROM", "TO", "", "CONNECTED/TOTAL", "IPs", "BANDWIDTHs"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(network.pairs.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0) + 1;
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = format!("{RULE}\n## Connection Check: {}\n{RULE}\n", network.name);
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a text cannot fail.
            let _ = write!(text, "{cell:width$}");
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text + RULE + "\n"
}

fn row(pair: &PairReport) -> [String; 6] {
    let connected = pair.addresses.iter().filter(|address| address.connected).count();
    let addresses: Vec<&str> = pair.addresses.iter().map(|address| &*address.address).collect();
    let known: Vec<&str> = addresses.iter().copied().filter(|address| !address.is_empty()).collect();
    let speeds = pair.addresses.iter().filter_map(|address| address.speed());
    [
        pair.from.clone(),
        pair.to.clone(),
        String::new(),
        format!("{connected}/{}", addresses.len()),
        format!("[{}]", known.join(" ")),
        format!("[{}]", speeds.map(|bits| format!(" {}", speed(bits))).collect::<String>()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{network, pair};

    /// As the predecessor's documentation has it.
    const EXPECTED: &str = "\
###########################################
## Connection Check: netA
###########################################
FROM   TO      CONNECTED/TOTAL IPs                        BANDWIDTHs
node-a node-b  2/2             [192.168.1.1 192.168.65.1] [ 9.1Gbits/sec 8.95Gbits/sec]
node-a node-c  0/2             [192.168.2.1 192.168.66.1] []
node-b node-a  2/2             [192.168.0.1 192.168.64.1] [ 9.04Gbits/sec 8.9Gbits/sec]
###########################################
";

    #[test]
    fn the_table_is_the_predecessors_letter_by_letter() {
        let pairs = vec![
            pair("node-a", "node-b", &[("192.168.1.1", Some(9.1e9)), ("192.168.65.1", Some(8.95e9))]),
            pair("node-a", "node-c", &[("192.168.2.1", None), ("192.168.66.1", None)]),
            pair("node-b", "node-a", &[("192.168.0.1", Some(9.04e9)), ("192.168.64.1", Some(8.9e9))]),
        ];

        assert_eq!(table(&network("netA", pairs)), EXPECTED);
    }

    #[test]
    fn an_address_that_nobody_knows_counts_as_not_connected() {
        let text = table(&network("n", vec![pair("a", "b", &[("", None), ("", None)])]));

        assert!(text.contains("\na    b   0/2             []  []\n"), "{text}");
    }
}
