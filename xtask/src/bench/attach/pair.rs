//! Debian's Go plugins: a main plugin that runs `host-local`, once for each NIC.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use super::caller::Caller;
use super::place::{Place, master};
use super::{Contender, Kind, MANY};

const FOLDER: &str = "/usr/lib/cni";

pub(super) fn contender(place: &Place, kind: Kind) -> Result<Contender> {
    let program = PathBuf::from(FOLDER).join(kind.name());
    if !program.exists() {
        bail!("{} is missing: Debian's package containernetworking-plugins has it", program.display());
    }
    let callers = (0..MANY).map(|index| caller(place, kind, &program, index)).collect::<Result<Vec<_>>>()?;
    Ok(Contender { name: "Go pair", one: callers.iter().take(1).cloned().collect(), many: callers })
}

fn caller(place: &Place, kind: Kind, program: &Path, index: usize) -> Result<Caller> {
    let name = format!("net{index}");
    let config = place.folder().join(format!("{name}.json"));
    let text = json!({
        "cniVersion": "1.0.0", "name": name, "type": kind.name(), "master": master(index), "mode": kind.mode(),
        "ipam": {"type": "host-local", "dataDir": place.folder().join("leases"),
            "ranges": [[{"subnet": format!("10.{}.0.0/16", 100 + index)}]],
            "routes": [{"dst": format!("10.99.{index}.0/24")}]}});
    std::fs::write(&config, text.to_string())?;
    Ok(Caller {
        program: program.to_owned(),
        config,
        ifname: format!("eth{index}"),
        path: PathBuf::from(FOLDER),
        environment: Vec::new(),
    })
}
