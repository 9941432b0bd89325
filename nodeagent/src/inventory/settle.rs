//! Hardware finishes after it has spoken: when VFs are taken away, each tells that it goes, and a second later the
//! kernel sets the PF's count to 0 without a word (`ssleep(1)` in `sriov_disable`, drivers/pci/iov.c). So the
//! machine is read once more when a device has been quiet for a while.

use std::time::{Duration, Instant};

use hwprobe::Change;

/// Quiet time after the last change of a device.
const QUIET: Duration = Duration::from_millis(1500);

/// Longest wait for quiet, on a machine whose devices come and go all the time.
const LONGEST: Duration = Duration::from_secs(10);

/// When to read once more. Nothing is due while no device has changed, so an idle agent has no timer here.
#[derive(Debug, Default)]
pub(super) struct Settle {
    pending: Option<Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    first: Instant,
    last: Instant,
}

impl Settle {
    /// Takes what the kernel told. Links that software makes are finished when they speak.
    pub(super) fn note(&mut self, changes: &[Change], now: Instant) {
        let is_hardware =
            |change: &Change| matches!(change, Change::Device { path, .. } if !path.contains("/virtual/"));
        if changes.iter().any(is_hardware) {
            let first = self.pending.map_or(now, |pending| pending.first);
            self.pending = Some(Pending { first, last: now });
        }
    }

    /// Time until the reading; `None` = there is none to come.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.pending.map(|pending| pending.due().saturating_duration_since(now))
    }

    /// Whether the reading is due; if so it counts as done. Changes that were too recent get another one.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let Some(pending) = self.pending.filter(|pending| pending.due() <= now) else { return false };
        let is_quiet = pending.last + QUIET <= now;
        self.pending = (!is_quiet).then_some(Pending { first: now, last: pending.last });
        true
    }
}

impl Pending {
    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + LONGEST)
    }
}

/// When to read again because of pods: each first macvlan of a NIC and each last one is told as a change of the NIC,
/// though it is the same as before but for a counter, and each pod mounts and unmounts. Where pods come and go all the
/// time, that is one reading a second instead of some for each pod in the middle of the next one's attach.
#[derive(Debug, Default)]
pub(super) struct PodChanges {
    due: Option<Instant>,
}

/// Between the first such change and the reading.
const PODS: Duration = Duration::from_secs(1);

impl PodChanges {
    /// Takes what the kernel told; `true` when that is all it is, and can wait.
    pub(super) fn can_wait(&mut self, changes: &[Change], now: Instant) -> bool {
        let only = changes.iter().all(|change| matches!(change, Change::Listeners { .. } | Change::Mounts));
        self.due = only.then(|| self.due.unwrap_or(now + PODS));
        only
    }

    /// Time until the reading; `None` = there is none to come.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// Whether the reading is due; if so it counts as done.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Whether there is one to come; it counts as done.
    pub(super) fn take(&mut self) -> bool {
        self.due.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{PodChanges, Settle};
    use hwprobe::Change;
    use std::time::{Duration, Instant};

    fn device(path: &str) -> Vec<Change> {
        vec![Change::Device { path: path.to_owned(), action: "remove".to_owned() }]
    }

    const HARDWARE: &str = "sys/devices/pci0000:00/0000:00:03.0";

    #[test]
    fn quiet_device_is_read_once_more_and_then_no_more() {
        let (mut settle, start) = (Settle::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);

        settle.note(&device(HARDWARE), at(0));
        settle.note(&device(HARDWARE), at(1000));

        assert!(!settle.take_due(at(2400)));
        assert_eq!(settle.left(at(2400)), Some(Duration::from_millis(100)));
        assert!(settle.take_due(at(2500)));
        assert_eq!(settle.left(at(2500)), None);
    }

    #[test]
    fn devices_that_never_rest_are_read_all_the_same() {
        let (mut settle, start) = (Settle::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut readings = Vec::new();

        for second in 0..25 {
            settle.note(&device(HARDWARE), at(second));
            if settle.take_due(at(second)) {
                readings.push(second);
            }
        }

        assert_eq!(readings, [10, 20]);
        assert!(settle.take_due(at(27)) && settle.left(at(27)).is_none());
    }

    #[test]
    fn links_of_software_and_mere_settings_need_no_second_look() {
        let mut settle = Settle::default();

        settle.note(&device("sys/devices/virtual/net/veth0"), Instant::now());
        settle.note(&[Change::DefaultRoute, Change::Everything], Instant::now());

        assert_eq!(settle.left(Instant::now()), None);
    }

    #[test]
    fn pods_that_come_and_go_cost_one_reading_a_second_and_anything_else_comes_at_once() {
        let (mut pods, start) = (PodChanges::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let pod = [Change::Listeners { index: 3 }, Change::Mounts];

        let waits = (0..30).filter(|tenth| pods.can_wait(&pod, at(tenth * 100))).count();
        assert_eq!(waits, 30);
        assert_eq!(pods.left(at(400)), Some(Duration::from_millis(600)));
        assert!(!pods.take_due(at(999)) && pods.take_due(at(1000)) && !pods.take_due(at(1001)));

        assert!(pods.can_wait(&pod, at(2000)));
        assert!(!pods.can_wait(&[pod[0].clone(), Change::DefaultRoute], at(2100)));
        assert_eq!(pods.left(at(2200)), None, "that reading has seen it all");
    }
}
