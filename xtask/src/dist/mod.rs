//! `cargo xtask dist`: the executables, and container images of them, made without an engine or a registry.
//!
//! ```text
//! target/dist/multi-nic, multi-nic-ipam        static: they run on hosts whose C library nobody knows
//! target/dist/multi-nicd, multi-nic-operator, multi-nic-concheck
//! target/dist/multi-nicd.oci.tar, multi-nic-operator.oci.tar, multi-nic-concheck.oci.tar
//! ```
//! An image holds its executables and the shared libraries that the loader of this machine lists for them: no base. The
//! same executables make the same image, bit by bit.

mod archive;
mod image;
mod libraries;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{output, program};
use archive::Tree;
use image::{Compression, Image};

/// The executables by the image that they are in; the first one is what the image starts.
const IMAGES: [(&str, &[&str], &str); 3] = [
    ("multi-nicd", &["multi-nicd", "multi-nic", "multi-nic-ipam"], "0:0"),
    // It needs nothing of the machine that it runs on.
    ("multi-nic-operator", &["multi-nic-operator"], "65532:65532"),
    // Of its own: it is in clusters only while somebody checks them.
    ("multi-nic-concheck", &["multi-nic-concheck"], "65532:65532"),
];

/// Links of the agent's image: where the host's folders are mounted (see deploy/base/agent.yaml).
const AGENT_LINKS: [(&str, &str); 2] =
    [("var/run/netns", "/run/netns"), ("var/run/k8s.cni.cncf.io", "/run/k8s.cni.cncf.io")];

/// Words of the licences of the libraries, by Debian's packages of them.
const LICENCES: [&str; 2] = ["libc6", "libgcc-s1"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The executables that tests use, with every feature and without optimisation.
    #[arg(long)]
    debug: bool,
    /// Folder to write to [default: target/dist].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("dist"));
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    build(&workspace, profile)?;
    for file in write(&workspace, profile, &out)? {
        let size = fs::metadata(&file)?.len();
        output::line(&format!("{:>6.1} MB  {}", size as f64 / 1e6, file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the images of the executables that tests use, where tests look for them.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    build(workspace, Profile::Debug)?;
    write(workspace, Profile::Debug, &workspace.target.join("lab/images")).map(drop)
}

fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let mut build = workspace.cargo();
    build.args(["build", "--quiet"]).args(match profile {
        // As `cargo xtask test` builds them: nothing is built twice.
        Profile::Debug => &["--workspace", "--all-features"][..],
        Profile::Release => {
            &["--release", "--bins", "-p", "cni", "-p", "nodeagent", "-p", "operator", "-p", "concheck"]
        }
    });
    program::must(&mut build)
}

/// How the executables were built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// For tests.
    Debug,
    /// For people.
    Release,
}

/// Writes executables and images of what was built; the files, in the order of their names.
fn write(workspace: &Workspace, profile: Profile, out: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let built = workspace.target.join(if profile == Profile::Debug { "debug" } else { "release" });
    let mut files = Vec::new();
    for (name, executables, user) in IMAGES {
        let mut tree = Tree::default();
        let mut needed = BTreeSet::new();
        for executable in executables {
            let file = out.join(executable);
            strip(&built.join(executable), &file, profile)?;
            needed.extend(libraries::of(&file)?);
            tree.file(&format!("bin/{executable}"), 0o755, fs::read(&file)?);
            files.push(file);
        }
        for library in needed {
            let bytes = fs::read(&library).with_context(|| format!("read {}", library.display()))?;
            tree.file(&library.to_string_lossy(), 0o755, bytes);
        }
        for folder in ["tmp", "run", "var/run"] {
            tree.folder(folder);
        }
        if name == "multi-nicd" {
            AGENT_LINKS.iter().for_each(|(path, target)| tree.link(path, target));
        }
        tree.file(
            &format!("usr/share/doc/{name}/copyright"),
            0o644,
            fs::read(workspace.root.join("LICENSE"))?,
        );
        for package in LICENCES {
            if let Ok(words) = fs::read(format!("/usr/share/doc/{package}/copyright")) {
                tree.file(&format!("usr/share/doc/{package}/copyright"), 0o644, words);
            }
        }
        let image = Image {
            name: format!("localhost/{name}:{}", env!("CARGO_PKG_VERSION")),
            entry_point: format!("/bin/{}", executables[0]),
            user: user.to_owned(),
            tree,
        };
        let compression = if profile == Profile::Debug { Compression::None } else { Compression::Gzip };
        let file = out.join(format!("{name}.oci.tar"));
        fs::write(&file, image.archive(compression, time())?)
            .with_context(|| format!("write {}", file.display()))?;
        files.push(file);
    }
    files.sort();
    Ok(files)
}

/// Copies an executable without what only a debugger reads. Those for people keep their symbols: a backtrace without
/// names tells nothing.
fn strip(from: &Path, to: &Path, profile: Profile) -> Result<()> {
    let what = if profile == Profile::Debug { "--strip-all" } else { "--strip-debug" };
    // Aside first: a program that runs may not be written to.
    let aside = to.with_extension("new");
    let mut strip = std::process::Command::new("strip");
    strip.args([OsStr::new(what), OsStr::new("-o"), aside.as_os_str(), from.as_os_str()]);
    program::must(&mut strip).with_context(|| format!("{}: is it built?", from.display()))?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o755))?;
    fs::rename(&aside, to).with_context(|| format!("write {}", to.display()))
}

/// Time of every file of an image, seconds since 1970: what `SOURCE_DATE_EPOCH` says, else none.
fn time() -> u64 {
    std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}
