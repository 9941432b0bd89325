//! Where facts come from: files and kernel answers, each live, captured or recorded.

mod cached;
mod captured;
mod files;
mod kernel;
mod live;
mod memory;
mod namespaces;
mod recording;
mod shares;

pub(crate) use cached::{CachedFiles, CachedKernel, Forgotten};
pub(crate) use captured::{CapturedKernel, INVENTED_INDEX};
pub(crate) use files::{Files, RootedFiles, shown, value};
pub use kernel::{
    Answer, DevlinkAnswers, DevlinkDevice, ForeignNamespace, KernelAnswers, Origin, VfioHolder,
};
pub(crate) use kernel::{Kernel, RecordingKernel};
pub(crate) use live::LiveKernel;
pub use memory::FileTree;
pub(crate) use recording::RecordingFiles;
pub(crate) use shares::shared;
