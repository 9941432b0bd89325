//! The full inventory, beside what answers a part of it today.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::measure::{Contender, interleaved};
use super::synthetic;
use crate::workspace::array;
use crate::{output, program};

/// What a machine of the size that breaks things has.
const SYNTHETIC: synthetic::Shape = synthetic::Shape { physical: 8, virtual_each: 128 };

pub(super) fn run(hwprobe: &Path, synthetic: &Path, runs: usize) -> Result<()> {
    let inventory = inventory(Command::new(hwprobe).arg("--json"))?;
    output::line(&format!(
        "this machine: {} links, {} NICs; {runs} interleaved runs, medians, × hwprobe",
        std::fs::read_dir("/sys/class/net")?.count(),
        array(&inventory["nics"]).count(),
    ));
    let mut contenders = vec![
        program_contender("hwprobe --json", hwprobe, &["--json"])?,
        program_contender("ip -d -j link", Path::new("ip"), &["-d", "-j", "link"])?,
        walk_contender(Path::new("/sys/class/net")),
    ];
    match program::path_of("lshw") {
        Some(lshw) => {
            contenders.push(program_contender("lshw -c network -json", &lshw, &["-c", "network", "-json"])?);
        }
        None => output::line("  lshw is not installed: not compared"),
    }
    interleaved(&mut contenders, runs)?;

    synthetic::write(synthetic, SYNTHETIC)?;
    let root = synthetic.to_string_lossy().into_owned();
    let found = self::inventory(Command::new(hwprobe).args(["--root", &root, "--json"]))?;
    let (nics, vfs) = count(&found);
    let wanted = SYNTHETIC.physical * SYNTHETIC.virtual_each;
    output::line(&format!("synthetic machine: {nics} NICs found, {vfs} VFs, from a tree in page cache"));
    if vfs < wanted {
        bail!("hwprobe saw {vfs} of {wanted} VFs: its time would mean nothing");
    }
    let mut contenders = vec![
        program_contender("hwprobe --root --json", hwprobe, &["--root", &root, "--json"])?,
        walk_contender_at("walk of all NIC files", synthetic.join("sys/class/net")),
    ];
    interleaved(&mut contenders, runs)
}

fn inventory(command: &mut Command) -> Result<Value> {
    let json = program::stdout(command)?;
    serde_json::from_slice(&json).context("hwprobe prints no JSON")
}

/// NICs, and VFs among them or below them.
fn count(inventory: &Value) -> (usize, usize) {
    let nics: Vec<&Value> = array(&inventory["nics"]).collect();
    let vfs = nics.iter().map(|nic| array(&nic["sriov"]["vfs"]).count()).sum();
    (nics.len(), vfs)
}

fn program_contender(name: &str, program: &Path, arguments: &[&str]) -> Result<Contender> {
    let program = program.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let call = move || {
        let mut command = Command::new(&program);
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        program::must(&mut command)
    };
    Ok(Contender { name: name.to_owned(), call: Box::new(call) })
}

fn walk_contender(class: &Path) -> Contender {
    walk_contender_at("walk of /sys (reads only)", class.to_owned())
}

/// Opens and reads each file of each NIC's folder and of its device's: what no reader can avoid.
fn walk_contender_at(name: &str, class: std::path::PathBuf) -> Contender {
    let call = move || {
        let mut buffer = Vec::new();
        for link in std::fs::read_dir(&class)? {
            let link = link?.path();
            for folder in [link.clone(), link.join("device")] {
                let Ok(files) = std::fs::read_dir(folder) else { continue };
                for file in files {
                    let file = file?;
                    let special = ["rom", "remove", "rescan", "reset", "config"];
                    if file.file_type()?.is_file() && !special.iter().any(|name| file.file_name() == *name) {
                        buffer.clear();
                        // Write-only files and those that answer EINVAL are part of it.
                        let opened = std::fs::File::open(file.path());
                        let _ =
                            opened.and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut buffer));
                    }
                }
            }
        }
        Ok(())
    };
    Contender { name: name.to_owned(), call: Box::new(call) }
}
