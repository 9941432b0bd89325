//! The page of `--html`: host by host, one figure for each interface. It needs nothing but itself.

use std::fmt::Write;

use crate::report::{AddressReport, NetworkReport, PairReport, Report, SAME_NODE, speed};

/// Slower than this part of the network's median is shown as slow.
const SLOW: f64 = 0.8;

/// Colours carry nothing that signs and words do not say as well.
const STYLE: &str = "
:root{color-scheme:light dark;--ok:#d5efdc;--slow:#fdeebf;--bad:#f8cfcb;--ink:#1b1f24;--line:#8b949e;--back:#fff}
@media(prefers-color-scheme:dark){:root{--ok:#174a2a;--slow:#5a4708;--bad:#6b1f1a;--ink:#e6edf3;--line:#6e7681;--back:#0d1117}}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem;color:var(--ink);background:var(--back)}
.scroll{overflow:auto}
table{border-collapse:collapse;margin:.5rem 0}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:right;white-space:nowrap}
thead th,tbody th{text-align:left}
td span{display:block;padding:0 .3rem;border-radius:3px}
.ok{background:var(--ok)}.slow{background:var(--slow)}.bad{background:var(--bad)}
td.self{text-align:center}
caption{text-align:left;padding:.3rem 0}
li{margin:.2rem 0}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Connection check {run}</title>\
         <style>{STYLE}</style></head><body><h1>Connection check</h1>\
         <p>Run {run}: {streams} streams for {seconds} s each.</p>",
        run = escape(&report.run),
        streams = report.streams,
        seconds = report.seconds,
    );
    if let Some(why) = &report.ended {
        let _ = write!(text, "<p role=\"alert\"><strong>Not complete:</strong> {}</p>", escape(why));
    }
    for network in &report.networks {
        section(&mut text, network);
    }
    text + "</body></html>\n"
}

fn section(text: &mut String, network: &NetworkReport) {
    let name = escape(&network.name);
    let _ = write!(text, "<section data-network=\"{name}\"><h2>{name}</h2>");
    if let Some(why) = &network.not_checkable {
        let _ = write!(text, "<p>Not checked: {}</p></section>", escape(why));
        return;
    }
    let addresses = || network.pairs.iter().flat_map(|pair| &pair.addresses);
    let connected = addresses().filter(|address| address.connected).count();
    let _ = write!(
        text,
        "<div class=\"scroll\"><table><caption>{connected} of {} addresses connected. Rows send, columns receive; a line for each \
         interface. ✓ connected, ▾ below {:.0} % of the median, ✗ not connected.</caption><thead><tr><th scope=\"col\">from \\ to</th>",
        addresses().count(),
        SLOW * 100.0,
    );
    for host in &network.hosts {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(&host.name));
    }
    text.push_str("</tr></thead><tbody>");
    let median = median(addresses().filter_map(AddressReport::speed).collect());
    for from in &network.hosts {
        let _ = write!(text, "<tr><th scope=\"row\">{}</th>", escape(&from.name));
        for to in &network.hosts {
            let pair = network.pairs.iter().find(|pair| pair.from == from.name && pair.to == to.name);
            match pair {
                Some(pair) => cell(text, pair, median),
                None => _ = write!(text, "<td class=\"self\" title=\"{SAME_NODE}\">–</td>"),
            }
        }
        text.push_str("</tr>");
    }
    let _ = write!(text, "</tbody></table></div><p>Pods of the same host (–): {SAME_NODE}.</p>");
    reasons(text, network);
    text.push_str("</section>");
}

fn cell(text: &mut String, pair: &PairReport, median: f64) {
    text.push_str("<td>");
    for address in &pair.addresses {
        let (class, figure) = match address.speed() {
            Some(bits) if bits < SLOW * median => ("slow", format!("▾ {}", speed(bits))),
            Some(bits) => ("ok", format!("✓ {}", speed(bits))),
            None => ("bad", "✗".to_owned()),
        };
        let said = address.sentence.as_deref().unwrap_or("connected");
        let title = format!("{} to {} {} on {}: {said}", pair.from, pair.to, address.address, address.rail);
        let _ = write!(text, "<span class=\"{class}\" title=\"{}\">{figure}</span>", escape(&title));
    }
    if pair.addresses.is_empty() {
        text.push_str("<span class=\"bad\">✗</span>");
    }
    text.push_str("</td>");
}

fn reasons(text: &mut String, network: &NetworkReport) {
    let mut items = String::new();
    for host in &network.hosts {
        if let Some(why) = &host.missing {
            let _ = write!(
                items,
                "<li><strong>{}</strong> takes no part: {}</li>",
                escape(&host.name),
                escape(why)
            );
        }
    }
    for pair in &network.pairs {
        for address in &pair.addresses {
            let oddity = address.measured.as_ref().and_then(|measured| measured.warning.as_ref());
            if let Some(sentence) = address.sentence.as_ref().or(oddity) {
                let line =
                    format!("{} → {} {} ({}): {sentence}", pair.from, pair.to, address.address, address.rail);
                let _ = write!(items, "<li>{}</li>", escape(&line));
            }
        }
    }
    if !items.is_empty() {
        let _ = write!(text, "<h3>What is wrong</h3><ul class=\"reasons\">{items}</ul>");
    }
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied().unwrap_or(0.0)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{network, pair};

    #[test]
    fn words_of_others_are_never_markup() {
        let pairs = vec![pair("<img src=x>", "b\"", &[("192.168.0.1", None)])];
        let text =
            page(&Report { run: "r".to_owned(), networks: vec![network("n&m", pairs)], ..Report::default() });

        assert!(!text.contains("<img"), "{text}");
        assert!(text.contains("no answer from &lt;192.168.0.1&gt;") && text.contains("n&amp;m"), "{text}");
    }

    #[test]
    fn slow_is_what_is_far_below_the_others() {
        let pairs = vec![
            pair("a", "b", &[("1", Some(10e9))]),
            pair("b", "a", &[("2", Some(9e9))]),
            pair("a", "c", &[("3", Some(1e9))]),
        ];
        let text = page(&Report { networks: vec![network("n", pairs)], ..Report::default() });

        assert!(text.contains(">✓ 9Gbits/sec<") && text.contains(">▾ 1Gbits/sec<"), "{text}");
    }
}
