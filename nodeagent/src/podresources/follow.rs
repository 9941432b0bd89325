//! Keeps up with which pod has which device.
//!
//! The kubelet tells nobody; but it rewrites its checkpoint, in the folder of the device plugins, whenever it gives a
//! device out, and that is noticed. What it takes back it tells by nothing at all, so while pods have devices it is
//! asked from time to time, too.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::checkpoint;
use super::client::list;
use super::holdings::Holdings;
use crate::agent::chain;
use crate::kubelet_folder::FolderWatch;

/// How often the kubelet is asked while pods have devices, or while it does not answer.
const ASK: Duration = Duration::from_secs(10);

/// Its socket, below its folder.
const SOCKET: &str = "pod-resources/kubelet.sock";

/// Its folder of device plugins.
const PLUGINS: &str = "device-plugins";

/// What is followed, and who is told.
pub(crate) struct Following {
    /// The kubelet's folder.
    pub(crate) kubelet: PathBuf,
    /// Its folder of device plugins.
    pub(crate) folder: FolderWatch,
    /// The newest answer; `None` before the first.
    pub(crate) holdings: watch::Sender<Option<Arc<Holdings>>>,
}

/// Follows for ever.
pub(crate) async fn follow(following: Following) {
    let Following { kubelet, mut folder, holdings } = following;
    let plugins = kubelet.join(PLUGINS);
    let (mut said, mut answered) = (None, false);
    loop {
        let now = match list(&kubelet.join(SOCKET)).await {
            Ok(now) => {
                answered = true;
                Ok(now)
            }
            // What it said stays while it is down: nobody takes a device from a pod because of that.
            Err(error) if answered => Err(chain(&error)),
            Err(error) => written(&plugins).map_err(|file| format!("{}; {file}", chain(&error))),
        };
        let words = match now {
            Ok(now) => {
                let now = Some(Arc::new(now));
                holdings.send_if_modified(|before| {
                    let different = *before != now;
                    if different {
                        *before = now;
                    }
                    different
                });
                None
            }
            Err(words) => Some(words),
        };
        if said != words {
            if let Some(error) = &words {
                tracing::info!(error, "which pod has which device cannot be asked; what was known stays");
            }
            said = words;
        }
        let held = holdings.borrow().as_ref().is_some_and(|holdings| !holdings.is_empty());
        let ask = async {
            if held || said.is_some() { tokio::time::sleep(ASK).await } else { std::future::pending().await }
        };
        tokio::select! {
            () = folder.changed() => {}
            () = ask => {}
        }
    }
}

/// Asks the kubelet, else its checkpoint.
///
/// # Errors
/// In words, when neither says.
pub(crate) async fn ask(kubelet: &Path) -> Result<Holdings, String> {
    match list(&kubelet.join(SOCKET)).await {
        Ok(now) => Ok(now),
        Err(error) => written(&kubelet.join(PLUGINS)).map_err(|file| format!("{}; {file}", chain(&error))),
    }
}

/// What the kubelet's checkpoint says. A kubelet that runs and has none has never given anything out.
fn written(plugins: &Path) -> Result<Holdings, String> {
    let file = plugins.join(checkpoint::FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => checkpoint::read(&text).ok_or_else(|| format!("{} is no checkpoint", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound && plugins.join("kubelet.sock").exists() => {
            Ok(Holdings::default())
        }
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
