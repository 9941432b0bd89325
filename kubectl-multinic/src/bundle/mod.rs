//! `support-bundle`: one file with what is known, for whoever helps.
//!
//! Secrets are never read. Names of nodes and pods, MAC addresses and serial numbers are made up in it.

mod mask;

use std::io::{Read, Write};

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::doctor;
use crate::facts::Facts;
use crate::output::{self, Format};
use mask::Masks;

/// Name of the facts in the bundle.
const FACTS: &str = "facts.json";

/// What belongs to one node, as it came.
pub(crate) struct OfNode {
    /// Its name.
    pub(crate) node: String,
    /// A masked recording of the machine; or why there is none.
    pub(crate) snapshot: Result<Vec<u8>, String>,
    /// The end of the agent's log; or why there is none.
    pub(crate) log: Result<String, String>,
}

/// The bundle, as the bytes of a `.tar.gz`.
///
/// # Errors
/// When it cannot be packed.
pub(crate) fn packed(facts: &Facts, nodes: &[OfNode]) -> anyhow::Result<Vec<u8>> {
    let masks = Masks::of(facts);
    let shown: Facts = serde_json::from_value(masks.value(serde_json::to_value(facts)?))?;
    let mut files = Files { archive: tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default())) };
    files.add(FACTS, &serde_json::to_vec_pretty(&shown)?)?;
    let report = output::rows(&doctor::examine(&shown), Format::Wide)?;
    files.add("doctor.txt", report.as_bytes())?;
    let mut listed = String::new();
    for node in nodes {
        let name = masks.text(&node.node);
        match &node.snapshot {
            Ok(snapshot) => {
                files.add(&format!("nodes/{name}/snapshot.json"), snapshot)?;
                listed += &format!("- nodes/{name}/snapshot.json: `hwprobe --replay` opens it\n");
            }
            Err(why) => listed += &format!("- {name}: no recording of the machine: {}\n", masks.text(why)),
        }
        match &node.log {
            Ok(log) => files.add(&format!("nodes/{name}/agent.log"), masks.text(log).as_bytes())?,
            Err(why) => listed += &format!("- {name}: no log: {}\n", masks.text(why)),
        }
    }
    files.add("README.md", readme(&shown, &listed).as_bytes())?;
    let packer = files.archive.into_inner().context("end the archive")?;
    packer.finish().context("end the archive")
}

struct Files<W: Write> {
    archive: tar::Builder<W>,
}

impl<W: Write> Files<W> {
    fn add(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        let path = format!("multi-nic-bundle/{name}");
        self.archive.append_data(&mut header, path, content).with_context(|| format!("add {name}"))
    }
}

fn readme(facts: &Facts, listed: &str) -> String {
    let mut text = format!(
        "# Multi-NIC support bundle\n\nTaken {} by kubectl-multinic {}.\n\nNames of nodes and pods, MAC addresses and serial \
         numbers are made up; equal ones are equal. Addresses and names of networks and namespaces are as they are. No \
         Secret was read.\n\n- {FACTS}: all that was gathered; `kubectl multinic --facts BUNDLE doctor` (or nodes, nics, \
         networks, routes, why) answers from it\n- doctor.txt: what the checks found\n{listed}\n## Versions\n\n",
        facts.taken, facts.tool_version
    );
    for node in &facts.nodes {
        let version = node.agent.as_ref().map_or("not known", |says| says.version.as_str());
        let image = node.program.as_ref().map_or("", |program| program.image.as_str());
        text += &format!("- agent on {}: {version} {image}\n", node.name);
    }
    for image in facts.install.operator.iter().flat_map(|operator| &operator.images) {
        text += &format!("- operator: {image}\n");
    }
    if !facts.unread.is_empty() {
        text += "\n## Not read\n\n";
        facts.unread.iter().for_each(|one| text += &format!("- {}: {}\n", one.what, one.why));
    }
    text
}

/// The facts in a bundle.
///
/// # Errors
/// When the bytes are none.
pub(crate) fn facts_in(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with(FACTS) {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            return Ok(text);
        }
    }
    bail!("it is no support bundle: there is no {FACTS} in it")
}
