//! What is shown: rows made of facts.

mod networks;
mod nics;
mod nodes;
mod routes;

pub(crate) use networks::{failing, networks};
pub(crate) use nics::{nics, role};
pub(crate) use nodes::{agent, nodes};
pub(crate) use routes::routes;

use k8s_openapi::jiff::Timestamp;

/// How long ago something was, as kubectl writes it; empty when one of both is not known.
pub(crate) fn age(then: &str, now: &str) -> String {
    let (Ok(then), Ok(now)) = (then.parse::<Timestamp>(), now.parse::<Timestamp>()) else {
        return String::new();
    };
    match now.as_second().saturating_sub(then.as_second()) {
        seconds if seconds < 120 => format!("{}s", seconds.max(0)),
        seconds if seconds < 2 * 3600 => format!("{}m", seconds / 60),
        seconds if seconds < 48 * 3600 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}

/// Mb/s as people say it.
pub(crate) fn speed(mbps: Option<u32>) -> String {
    match mbps {
        None => String::new(),
        Some(mbps) if mbps >= 1000 && mbps % 1000 == 0 => format!("{}G", mbps / 1000),
        Some(mbps) => format!("{mbps}M"),
    }
}

/// `defaultRoute` as `default route`.
pub(crate) fn spaced(word: &str) -> String {
    word.chars().fold(String::new(), |mut text, letter| {
        if letter.is_uppercase() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{age, spaced, speed};

    #[test]
    fn times_speeds_and_words_read_as_people_say_them() {
        let now = "2026-12-01T12:00:00Z";
        let then =
            ["2026-12-01T11:59:00Z", "2026-12-01T11:00:00Z", "2026-11-30T20:00:00Z", "2026-11-01T00:00:00Z"];
        assert_eq!(then.map(|then| age(then, now)), ["60s", "60m", "16h", "30d"]);
        assert_eq!(age("", now), "");
        assert_eq!([Some(100_000), Some(2500), None].map(speed), ["100G", "2500M", ""]);
        assert_eq!(spaced("defaultRoute"), "default route");
    }
}
