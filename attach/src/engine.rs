//! The engine: what it works with, and who does what for which call.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cni::chained::Chained;
use cni::error::code;
use cni::protocol::{Call, DelegateCall, Tool};
use cni::{Command, Error};
use datapath::netns::HostNamespace;
use hwprobe::{HwAddr, Inventory, PciAddress};
use netlink::{Family, Socket};
use store::{Batch, Store, Table};

use crate::announcing::Announcing;
use crate::book::Book;
use crate::chained::{Asking, Wanted};
use crate::debts::Busy;
use crate::delegated::Conversation;
use crate::gate::{Gate, Pass};
use crate::network::{Network, Networks, Strategy};
use crate::record::{Attachment, Key, Pod};
use crate::request::Request;
use crate::vf::SriovParts;

/// How long a call waits for another one with the same key, or for its turn in the kernel.
const PATIENCE: Duration = Duration::from_secs(60);

/// Idle route sockets that are kept.
const SOCKETS: usize = 16;

/// Turns a pod's annotation into networks.
pub type Annotated = Box<dyn Fn(&Asking<'_>) -> Result<Vec<Wanted>, Error> + Send + Sync>;

/// Tells the GPUs of a pod.
pub type GpusOf = Box<dyn Fn(&Pod) -> Vec<PciAddress> + Send + Sync>;

/// What the engine works with.
pub struct Parts {
    /// The durable memory; without one nothing is attached.
    pub store: Option<Arc<Store>>,
    /// Folder of notes and files of delegates.
    pub state_dir: PathBuf,
    /// The host's `/proc`, with `sys/net` that may be written.
    pub procfs: PathBuf,
    /// Id of this boot.
    pub boot: String,
    /// Seconds that an address rests after it was given back.
    pub quarantine: u64,
    /// Gives the newest inventory; absent before the first.
    pub inventory: Box<dyn Fn() -> Option<Arc<Inventory>> + Send + Sync>,
    /// Gives the networks as they are now.
    pub networks: Box<dyn Fn() -> Arc<Networks> + Send + Sync>,
    /// What a pod's annotation comes to, for calls of the cluster network's list. It may wait, and refuse.
    pub annotated: Annotated,
    /// The GPUs that a pod was given, for networks that choose NICs near them. It may wait.
    pub gpus: GpusOf,
    /// Is told what happened.
    pub tell: Box<dyn Fn(Event) + Send + Sync>,
    /// Threads that may work in the kernel at once for ADDs; 2 for each processor is right.
    pub permits: u32,
    /// What is shared with whoever else works on PFs.
    pub sriov: SriovParts,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// What happened to an attachment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// It was made.
    Attached(Arc<Attachment>),
    /// It was taken away.
    Detached(Arc<Attachment>),
    /// A NIC of it is gone.
    Lost(Arc<Attachment>),
    /// The NIC below a link of it was lowered to an MTU that is less than the link was given (TRAPS P15).
    Narrowed {
        /// Which.
        attachment: Arc<Attachment>,
        /// Index of the link.
        link: u16,
        /// MTU of the NIC now, bytes.
        mtu: u32,
    },
    /// All that this pod's annotation asks for was made; each network has been told before.
    Chained {
        /// Which.
        pod: Pod,
    },
    /// It could not be made.
    Failed {
        /// Which.
        key: Key,
        /// Why.
        error: Error,
    },
}

/// What a call is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the executable prints, or why it fails.
    pub result: Result<Option<String>, Error>,
    /// DELs that nobody could run before.
    pub debts: Vec<DelegateCall>,
}

/// Gives NICs and addresses and takes them back. Many threads may call it at once.
#[derive(Debug)]
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) home: HostNamespace,
    book: Mutex<Book>,
    keys: Gate<Key>,
    kernel: Gate<()>,
    /// One maker or remover of VLANs above a NIC at a time, by index.
    pub(crate) vlans: Gate<u32>,
    pub(crate) vfs: sriov::vf::Vfs,
    pub(crate) announcing: Announcing,
    sockets: Mutex<Vec<Socket>>,
    pub(crate) suspects: Mutex<Vec<Key>>,
    /// Links whose NIC has a lesser MTU, and which: told once.
    pub(crate) narrow: Mutex<BTreeMap<(Key, u16), u32>>,
    /// Attachments whose plugins somebody may be running outside of a call for them.
    pub(crate) handed: Mutex<BTreeMap<Key, Busy>>,
}

impl Engine {
    /// An engine for the namespace of the calling thread. Reads the store; repairs nothing yet, see
    /// [`recover`](Self::recover).
    ///
    /// # Errors
    /// When the namespace or the store cannot be read.
    pub fn open(parts: Parts) -> Result<Self, Error> {
        let internal = |words: String| Error::new(code::INTERNAL, words);
        let home = HostNamespace::with_proc(&parts.procfs).map_err(|error| internal(words(&error)))?;
        let mut book = Book::new(parts.quarantine);
        book.know(&(parts.networks)());
        if let Some(store) = &parts.store {
            let read = |error: store::StoreError| internal(words(&error));
            let addresses: store::All<ipam::Change> = store.all(Table::Addresses).map_err(read)?;
            let rows: Vec<ipam::Change> = addresses.records.into_iter().map(|(_, row)| row).collect();
            book.addresses.restore(&rows);
            let attachments: store::All<Attachment> = store.all(Table::Attachments).map_err(read)?;
            for (key, error) in addresses.unreadable.iter().chain(&attachments.unreadable) {
                tracing::error!(
                    key,
                    error = words(error),
                    "a record cannot be read; what it holds stays held"
                );
            }
            for (_, attachment) in attachments.records {
                book.put(Arc::new(attachment));
            }
        }
        Ok(Self {
            home,
            book: Mutex::new(book),
            keys: Gate::new(1),
            kernel: Gate::new(parts.permits),
            vlans: Gate::new(1),
            vfs: parts.sriov.vfs(),
            announcing: Announcing::default(),
            sockets: Mutex::new(Vec::new()),
            suspects: Mutex::new(Vec::new()),
            narrow: Mutex::default(),
            handed: Mutex::new(BTreeMap::new()),
            parts,
        })
    }

    /// Serves a call of an executable. `netns` is the descriptor that came with it.
    ///
    /// Call it on a thread that may end: see [`datapath::netns::inside`].
    pub fn serve(&self, call: &Call, netns: Option<OwnedFd>, conversation: &mut dyn Conversation) -> Answer {
        if call.pay_debts {
            return Answer { result: Ok(None), debts: self.debts() };
        }
        let result = self.answer(call, netns, conversation);
        let result = result.map_err(|mut error| {
            let version: Option<serde_json::Value> = serde_json::from_str(&call.config).ok();
            let version =
                version.as_ref().and_then(|conf| conf.get("cniVersion")).and_then(|text| text.as_str());
            error.version = version.map(str::to_owned);
            error
        });
        Answer { result, debts: self.debts() }
    }

    fn answer(
        &self,
        call: &Call,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<Option<String>, Error> {
        if call.tool == Tool::MultiNic
            && let Some(chained) = Chained::read(&call.config)?
        {
            return self.chained(call, &chained, netns, conversation);
        }
        let request = Request::read(call)?;
        match call.environment.command {
            Command::Add => {
                let result = self.add(&request, netns, conversation);
                if let Err(error) = &result {
                    (self.parts.tell)(Event::Failed { key: request.key.clone(), error: error.clone() });
                }
                result.map(|result| Some(result.emit(request.conf.version).to_string()))
            }
            Command::Del => self.del(&request, netns, conversation).map(|()| None),
            Command::Check => self.check(&request, netns, conversation).map(|()| None),
            Command::Gc => self.collect(&request, conversation).map(|()| None),
            Command::Status => self.status(&request).map(|()| None),
            Command::Version => Ok(Some(cni::version::supported())),
        }
    }

    /// Every attachment, by key.
    pub fn attachments(&self) -> Vec<Arc<Attachment>> {
        self.book().attachments.values().cloned().collect()
    }

    /// The attachment of this key.
    pub fn attachment(&self, key: &Key) -> Option<Arc<Attachment>> {
        self.book().attachments.get(key).cloned()
    }

    /// What a block of a network holds.
    pub fn usage_of_block(&self, network: &str, block: ipnet::IpNet) -> Option<ipam::Usage> {
        let networks = (self.parts.networks)();
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        book.addresses.usage(network, block)
    }

    /// What is made of the NICs now.
    pub fn uses(&self) -> crate::usage::Usage {
        self.book().usage.clone()
    }

    /// Writes down what nobody waits for, and forgets what has rested. To be called about once a second.
    pub fn housekeeping(&self) {
        let Some(store) = &self.parts.store else { return };
        self.wake(&mut self.book());
        match store.flush() {
            Ok(_) => crate::failpoint::reached("flushed"),
            Err(error) => tracing::warn!(
                error = words(&error),
                "what is held cannot be written down now; it is tried again"
            ),
        }
    }

    /// The pod's GPUs, where the network chooses by them. May wait for whoever knows them.
    pub fn gpus_of(&self, pod: Option<&Pod>, network: Option<&Network>) -> Vec<PciAddress> {
        let by_gpus = network.is_some_and(|network| network.policy.strategy == Strategy::Topology);
        pod.filter(|_| by_gpus).map_or_else(Vec::new, |pod| (self.parts.gpus)(pod))
    }

    /// Frees addresses that have rested long enough. Their rows go before those of whoever gets them next.
    pub(crate) fn wake(&self, book: &mut Book) {
        let mut batch = Batch::new();
        for change in book.addresses.expire(now()) {
            drop(batch.address(&change));
        }
        if !batch.is_empty() {
            self.with_next(batch);
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one call at a time for a key.
    pub(crate) fn one_for(&self, key: &Key) -> Result<Pass<'_, Key>, Error> {
        self.keys.enter(key, PATIENCE).ok_or_else(|| {
            Error::new(
                code::TRY_AGAIN,
                format!("another call for {key} has not ended for {} s", PATIENCE.as_secs()),
            )
        })
    }

    /// Whether no call for a key is under way.
    pub(crate) fn is_idle(&self, key: &Key) -> bool {
        self.keys.enter(key, Duration::ZERO).is_some()
    }

    /// A turn in the kernel.
    pub(crate) fn permit(&self) -> Result<Pass<'_, ()>, Error> {
        self.kernel
            .enter(&(), PATIENCE)
            .ok_or_else(|| Error::new(code::TRY_AGAIN, "the kernel is busy with other pods"))
    }

    /// Works with a route socket of the host.
    pub(crate) fn with_host<T>(&self, work: impl FnOnce(&mut Socket) -> T) -> Result<T, Error> {
        let idle = self.sockets.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut socket = match idle {
            Some(socket) => socket,
            None => Socket::open(Family::Route).map_err(|error| kernel_error(&error))?,
        };
        let result = work(&mut socket);
        let mut idle = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < SOCKETS {
            idle.push(socket);
        }
        Ok(result)
    }

    pub(crate) fn store(&self) -> Result<&Arc<Store>, Error> {
        self.parts.store.as_ref().ok_or_else(|| {
            Error::new(code::TRY_AGAIN, "the agent has no store: its state folder cannot be used")
        })
    }

    /// Writes down and waits.
    pub(crate) fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.store()?.commit(batch).map_err(|error| {
            let code = if error.is_no_room() { code::TRY_AGAIN } else { code::INTERNAL };
            Error::new(code, format!("what is to be done cannot be written down: {}", words(&error)))
        })
    }

    /// Enters a record into the book, and into the store with the next commit.
    pub(crate) fn enter(&self, book: &mut Book, attachment: &Arc<Attachment>) {
        let mut batch = Batch::new();
        drop(batch.put(Table::Attachments, &attachment.key.to_string(), &**attachment));
        book.put(Arc::clone(attachment));
        self.with_next(batch);
    }

    /// Writes down with the next commit.
    pub(crate) fn with_next(&self, batch: Batch) {
        if let Some(store) = &self.parts.store {
            store.with_next(batch);
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// An error with everything behind it.
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut all: Vec<String> = causes.map(ToString::to_string).collect();
    all.dedup();
    all.join(": ")
}

/// A failure of the kernel as the runtime reads it.
pub(crate) fn kernel_error(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(code::INTERNAL, words(error))
}

/// Link-layer address in the kernel crates' form.
pub(crate) fn link_address(address: &HwAddr) -> netlink::LinkAddress {
    netlink::LinkAddress::new(address.bytes().to_vec())
}

/// Link-layer address in the inventory's form.
pub(crate) fn hw_addr(address: &netlink::LinkAddress) -> Option<HwAddr> {
    HwAddr::new(address.as_bytes()).ok()
}
