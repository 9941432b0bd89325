//! Tells the neighbours of new addresses again after the answer: one thread for all attachments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use datapath::Made;
use datapath::announce::{Announcer, REPEATS};
use netlink::PacketSocket;

use crate::record::Key;

/// Threads that may close sockets at once. A packet socket's close(2) waits for a grace period of the kernel, some
/// 16 ms: this many let go of 500 namespaces a second.
const CLOSERS: usize = 8;

/// Whoever speaks, from the first attachment that has something to say.
#[derive(Debug, Default)]
pub(crate) struct Announcing {
    /// `None` inside: no thread could be started.
    speaker: OnceLock<Option<Sender<Message>>>,
}

#[derive(Debug)]
enum Message {
    Again(Key, Announcer),
    Close(Vec<PacketSocket>),
    Enough(Key),
}

impl Announcing {
    /// Has the attachment's addresses told [`REPEATS`] times more.
    pub(crate) fn again(&self, key: &Key, made: Made) {
        if made.announcer.is_none() && made.ears.is_empty() {
            return;
        }
        let Some(speaker) = self.speaker.get_or_init(start) else { return };
        // Without a speaker, what is not sent is closed here and now.
        if !made.ears.is_empty() {
            let _ = speaker.send(Message::Close(made.ears));
        }
        if let Some(announcer) = made.announcer {
            let _ = speaker.send(Message::Again(key.clone(), announcer));
        }
    }

    /// The attachment goes: nothing more is said, and its namespace is let go of.
    pub(crate) fn enough(&self, key: &Key) {
        if let Some(speaker) = self.speaker.get().and_then(Option::as_ref) {
            let _ = speaker.send(Message::Enough(key.clone()));
        }
    }
}

fn start() -> Option<Sender<Message>> {
    let (sender, receiver) = channel();
    let speaker = move || Speaker::default().speak(&receiver);
    match thread::Builder::new().name("announce".to_owned()).spawn(speaker) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(%error, "start the thread that announces addresses again");
            None
        }
    }
}

/// What is still to be said.
#[derive(Default)]
struct Speaker {
    told: BTreeMap<Key, Told>,
    order: BTreeSet<(Instant, Key)>,
    closers: Arc<Closers>,
}

struct Told {
    announcer: Announcer,
    next: Instant,
    repeats: usize,
}

impl Speaker {
    /// Until the engine is gone.
    fn speak(mut self, messages: &Receiver<Message>) {
        loop {
            let message = match self.order.first() {
                Some((next, _)) => {
                    messages.recv_timeout(next.saturating_duration_since(Instant::now())).map_err(Some)
                }
                None => messages.recv().map_err(|_| None),
            };
            match message {
                Ok(Message::Again(key, announcer)) => {
                    self.close(&key);
                    self.wait(key, Told { announcer, next: Instant::now(), repeats: 0 });
                }
                Ok(Message::Close(ears)) => self.closers.close(Box::new(ears)),
                Ok(Message::Enough(key)) => self.close(&key),
                Err(Some(RecvTimeoutError::Timeout)) => self.say_next(),
                Err(_) => return,
            }
        }
    }

    fn wait(&mut self, key: Key, told: Told) {
        let Some(pause) = REPEATS.get(told.repeats) else {
            self.closers.close(Box::new(told.announcer));
            return;
        };
        let next = told.next + *pause;
        self.order.insert((next, key.clone()));
        self.told.insert(key, Told { next, repeats: told.repeats + 1, ..told });
    }

    fn say_next(&mut self) {
        let Some((_, key)) = self.order.pop_first() else { return };
        if let Some(told) = self.told.remove(&key) {
            drop(told.announcer.say());
            self.wait(key, told);
        }
    }

    fn close(&mut self, key: &Key) {
        if let Some(told) = self.told.remove(key) {
            self.order.remove(&(told.next, key.clone()));
            self.closers.close(Box::new(told.announcer));
        }
    }
}

/// What keeps a namespace alive until it is dropped.
type Held = Box<dyn Send>;

/// Threads that live as long as there is something to close.
#[derive(Default)]
struct Closers {
    state: Mutex<Closing>,
}

#[derive(Default)]
struct Closing {
    held: VecDeque<Held>,
    threads: usize,
}

impl Closers {
    fn close(self: &Arc<Self>, held: Held) {
        let mut state = self.lock();
        state.held.push_back(held);
        if state.threads == CLOSERS {
            return;
        }
        state.threads += 1;
        drop(state);
        let closers = Arc::clone(self);
        let closer =
            thread::Builder::new().name("let-go".to_owned()).spawn(move || while closers.close_one() {});
        if closer.is_err() {
            while self.close_one() {}
        }
    }

    fn close_one(&self) -> bool {
        let mut state = self.lock();
        let held = state.held.pop_front();
        if held.is_none() {
            state.threads -= 1;
        }
        drop(state);
        held.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Closing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
