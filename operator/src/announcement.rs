//! What `kubectl describe` and `kubectl get events` show of a network's life: one Event for each condition that changed.

use crds::{Condition, NetworkStatus};

use crate::condition::Kind;

/// Most of a note that an Event takes (`events.k8s.io/v1`: 1 kB).
const LONGEST_NOTE: usize = 1000;

/// Something that is news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Something is wrong.
    pub warning: bool,
    /// The condition.
    pub action: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub note: String,
}

/// What is news in a status. `Ready` only repeats others, and what is not known yet is no news.
pub fn of(former: &NetworkStatus, status: &NetworkStatus) -> Vec<Announcement> {
    let known = |one: &&Condition| one.kind != Kind::Ready.word() && one.status != "Unknown";
    let is_news = |one: &&Condition| {
        !former
            .conditions
            .iter()
            .any(|old| old.kind == one.kind && (&old.status, &old.reason) == (&one.status, &one.reason))
    };
    status.conditions.iter().filter(known).filter(is_news).map(announcement).collect()
}

fn announcement(one: &Condition) -> Announcement {
    let mut note = one.message.clone();
    while note.len() > LONGEST_NOTE {
        note.pop();
    }
    Announcement {
        warning: one.status == "False",
        action: one.kind.clone(),
        reason: format!("{}{}", one.kind, one.reason),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> NetworkStatus {
        let condition = |(kind, status, reason): &(&str, &str, &str)| Condition {
            kind: (*kind).into(),
            status: (*status).into(),
            reason: (*reason).into(),
            message: "ä".repeat(600),
            ..Condition::default()
        };
        NetworkStatus { conditions: conditions.iter().map(condition).collect(), ..NetworkStatus::default() }
    }

    #[test]
    fn what_changed_is_told_once_and_what_is_open_is_not() {
        let before = status(&[("Discovered", "False", "NoHosts"), ("RoutesReady", "True", "NoRoutesNeeded")]);
        let after = status(&[
            ("Discovered", "True", "AsWanted"),
            ("RoutesReady", "True", "NoRoutesNeeded"),
            ("AddressesAssigned", "Unknown", "NoInterfaces"),
            ("NetworkAttachmentsReady", "False", "NameConflict"),
            ("Ready", "False", "NameConflict"),
        ]);

        let told = of(&before, &after);

        let words: Vec<_> =
            told.iter().map(|one| (one.warning, one.reason.as_str(), one.note.len())).collect();
        assert_eq!(
            words,
            [(false, "DiscoveredAsWanted", 1000), (true, "NetworkAttachmentsReadyNameConflict", 1000)]
        );
        assert_eq!(of(&after, &after), []);
    }
}
