//! The way from machines of tests to an API server, which a test can cut.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Leads connections on. Begun in the network that the API server is reached in; it stays there.
pub(crate) struct ApiWay {
    accepted: Sender<TcpStream>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    open: Vec<TcpStream>,
}

impl ApiWay {
    /// A way to this address of the network that the calling thread is in.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (accepted, coming) = channel();
        let theirs = Arc::clone(&state);
        thread::spawn(move || lead(&coming, server, &theirs));
        Self { accepted, state }
    }

    /// Takes connections to this port of the loopback of the network that the calling thread is in.
    pub(crate) fn open_at(&self, port: u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the private loopback");
        let accepted = self.accepted.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if accepted.send(connection).is_err() {
                    return;
                }
            }
        });
    }

    /// The API server is away from now on, or there again.
    pub(crate) fn cut(&self, cut: bool) {
        let mut state = self.state.lock().expect("the way");
        state.cut = cut;
        for one in state.open.drain(..) {
            let _ = one.shutdown(Shutdown::Both);
        }
    }
}

/// Leads each connection on, in the network of this thread.
fn lead(coming: &Receiver<TcpStream>, server: SocketAddr, state: &Mutex<State>) {
    for here in coming {
        let mut state = state.lock().expect("the way");
        if state.cut {
            continue;
        }
        let Ok(there) = TcpStream::connect(server) else { continue };
        for (from, to) in [(&here, &there), (&there, &here)] {
            let (mut from, mut to) = (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        state.open.extend([here, there]);
    }
}
