//! A static executable that does nothing: what starting a process costs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::program;
use crate::workspace::Workspace;

/// No C library, no start-up code: the least that the kernel can start.
const SOURCE: &str = r#"
#![no_std]
#![no_main]
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor edi, edi", "mov eax, 231", "syscall");
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x0, 0", "mov x8, 94", "svc 0");
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"#;

/// Where it is, below the folder of the executables.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("bench-empty")
}

/// Builds it.
pub(super) fn build(workspace: &Workspace, folder: &Path) -> Result<()> {
    let source = folder.join("bench-empty.rs");
    std::fs::write(&source, SOURCE)?;
    let mut rustc = workspace.command("rustc");
    rustc.args(["--edition", "2021", "--crate-type", "bin", "-C", "panic=abort", "-C", "opt-level=s"]);
    rustc.args([
        "-C",
        "relocation-model=static",
        "-C",
        "link-args=-nostartfiles -nostdlib -static -no-pie",
        "-C",
    ]);
    rustc.arg("strip=symbols").arg("-o").arg(path(folder)).arg(&source);
    program::must(&mut rustc)
}

/// Runs it to its end.
pub(super) fn run(program: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let out = command.output()?;
    if !out.status.success() {
        bail!("{}: {}", program.display(), out.status);
    }
    Ok(())
}
