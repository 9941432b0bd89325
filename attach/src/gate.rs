//! Who may work at the same time: one call a key, a bounded number in the kernel, one at a time on a master
//! where the kernel demands it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lets at most so many holders of each name in at a time.
///
/// Waiters of one name get in when the holder leaves; a name that nobody holds takes no memory.
#[derive(Debug)]
pub struct Gate<K> {
    inside: Mutex<BTreeMap<K, u32>>,
    left: Condvar,
    most: u32,
}

/// A place inside; leaving is dropping it.
#[derive(Debug)]
pub struct Pass<'a, K: Ord + Clone> {
    gate: &'a Gate<K>,
    name: K,
}

impl<K: Ord + Clone> Gate<K> {
    /// At most `most` holders of each name, at least 1.
    pub fn new(most: u32) -> Self {
        Self { inside: Mutex::new(BTreeMap::new()), left: Condvar::new(), most: most.max(1) }
    }

    /// Waits for a place, at most `patience`.
    pub fn enter(&self, name: &K, patience: Duration) -> Option<Pass<'_, K>> {
        let end = Instant::now() + patience;
        let mut inside = self.lock();
        loop {
            let holders = inside.entry(name.clone()).or_insert(0);
            if *holders < self.most {
                *holders += 1;
                return Some(Pass { gate: self, name: name.clone() });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            inside = self.left.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many are inside under any name.
    pub fn inside(&self) -> u32 {
        self.lock().values().sum()
    }

    // A holder that panicked leaves by dropping its pass; the counts stay true.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, u32>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Drop for Pass<'_, K> {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        if let Some(holders) = inside.get_mut(&self.name) {
            *holders -= 1;
            if *holders == 0 {
                inside.remove(&self.name);
            }
        }
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn one_name_holds_no_other_one_up() {
        let gate = Gate::new(1);
        let _first = gate.enter(&"a", LONG).unwrap();

        assert!(gate.enter(&"b", LONG).is_some());
        assert!(gate.enter(&"a", Duration::ZERO).is_none());
    }

    #[test]
    fn the_next_one_gets_in_when_a_holder_leaves_even_by_panic() {
        let gate = Arc::new(Gate::new(1));
        let other = Arc::clone(&gate);
        let thread = std::thread::spawn(move || {
            let _pass = other.enter(&"a", LONG).unwrap();
            panic!("in the middle of it");
        });
        assert!(thread.join().is_err());

        assert!(gate.enter(&"a", LONG).is_some());
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn never_more_than_allowed_are_inside() {
        let gate = Gate::new(3);
        let seen = Mutex::new((0, 0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _pass = gate.enter(&(), LONG).unwrap();
                        let mut now = seen.lock().unwrap();
                        now.0 += 1;
                        now.1 = now.1.max(now.0);
                        drop(now);
                        std::thread::yield_now();
                        seen.lock().unwrap().0 -= 1;
                    }
                });
            }
        });

        assert!(seen.lock().unwrap().1 <= 3);
        assert_eq!(gate.inside(), 0);
    }
}
