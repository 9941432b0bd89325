//! Where facts come from: files and kernel answers, each live, captured or recorded.

mod cached;
mod captured;
mod files;
mod kernel;
mod live;
mod memory;
mod namespaces;
mod recording;

pub use cached::{CachedFiles, CachedKernel};
pub use captured::CapturedKernel;
pub(crate) use files::value;
pub use files::{Files, RootedFiles};
pub use kernel::{DevlinkAnswers, DevlinkDevice, Kernel, KernelAnswers, RecordingKernel, VfioHolder};
pub use live::LiveKernel;
pub use memory::FileTree;
pub use recording::RecordingFiles;
