//! The table for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use hwprobe::{HeldBy, Inventory, Nic, NicKind, Relation, SpeedClass, SpeedSource, UplinkBasis};

use super::vf_cells;

/// Prints the NICs, what was left out, and the warnings.
pub(crate) fn print(
    inventory: &Inventory,
    wide: bool,
    all: bool,
    color: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let mut header =
        vec!["NAME", "ADDRESS", "DRIVER", "STATE", "SPEED", "FROM", "CLASS", "VFS", "NUMA", "GPU", "USE"];
    if wide {
        header.extend(["MAC", "MTU", "PCIE", "RDMA", "ADDRESSES"]);
    }
    header.push("MODEL");
    table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    let shown = |nic: &&Nic| all || is_shown(nic);
    for nic in inventory.nics.iter().filter(shown) {
        table.add_row(row(nic, wide));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    if wide {
        vf_cells::print(inventory.nics.iter().filter(shown), out)?;
    }
    left_out(inventory, all, out)?;
    if inventory.node.uplink.basis == UplinkBasis::Remembered {
        writeln!(out, "No default route now: the remembered uplink counts.")?;
    }
    for warning in &inventory.warnings {
        let about = warning.nic.as_ref().and_then(|id| inventory.nics.iter().find(|nic| nic.id == *id));
        let about = about.map_or("node", Nic::label);
        writeln!(out, "! {about}: {} -> {}", warning.message, warning.fix)?;
    }
    for failure in &inventory.failures {
        writeln!(out, "? {}: {}", failure.source, failure.error)?;
    }
    Ok(())
}

/// Without `--all`: NICs of their own and what is built of them.
fn is_shown(nic: &Nic) -> bool {
    match nic.kind {
        NicKind::VirtualFunction => nic.vf.is_none(),
        NicKind::Representor => false,
        NicKind::Bond | NicKind::Vlan => true,
        _ => nic.hardware,
    }
}

fn left_out(inventory: &Inventory, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let hidden: Vec<&Nic> = inventory.nics.iter().filter(|nic| !all && !is_shown(nic)).collect();
    let functions = hidden.iter().filter(|nic| nic.hardware).count();
    let links = hidden.len() - functions;
    let parts: Vec<String> = [(functions, "virtual functions and representors"), (links, "virtual links")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !parts.is_empty() {
        writeln!(out, "Not shown: {} (--all).", parts.join(", "))?;
    }
    Ok(())
}

fn row(nic: &Nic, wide: bool) -> Vec<Cell> {
    let plain = |text: String| Cell::new(text);
    let mut cells = vec![
        Cell::new(nic.name.as_deref().unwrap_or("-")).add_attribute(Attribute::Bold),
        plain(if nic.hardware { nic.id.to_string() } else { String::from("-") }),
        plain(driver(nic)),
        state(nic),
        plain(nic.speed.mbps.map_or_else(|| "?".to_owned(), |mbps| mbps.to_string())),
        plain(source(nic.speed.source).to_owned()),
        class(nic.speed.class),
        plain(vfs(nic)),
        plain(nic.numa_node.map_or_else(|| "-".to_owned(), |node| node.to_string())),
        plain(gpu(nic)),
        used(nic),
    ];
    if wide {
        cells.push(plain(nic.mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string())));
        cells.push(plain(nic.link.as_ref().map_or_else(|| "-".to_owned(), |link| link.mtu.to_string())));
        cells.push(plain(pcie(nic)));
        cells.push(plain(list(nic.rdma.iter().map(|device| device.name.clone()))));
        cells
            .push(plain(list(nic.addresses.iter().map(|ip| format!("{}/{}", ip.address, ip.prefix_length)))));
    }
    cells.push(plain(model(nic)));
    cells
}

fn list(parts: impl Iterator<Item = String>) -> String {
    let text = parts.collect::<Vec<_>>().join(",");
    if text.is_empty() { "-".to_owned() } else { text }
}

fn driver(nic: &Nic) -> String {
    let kind = nic.stacking.link_kind.clone().filter(|_| !nic.hardware);
    nic.driver
        .as_ref()
        .map(|driver| driver.name.clone())
        .or(kind)
        .unwrap_or_else(|| if nic.hardware { "none" } else { "-" }.to_owned())
}

fn state(nic: &Nic) -> Cell {
    match (&nic.link, &nic.held) {
        (None, Some(held)) if held.by == HeldBy::Namespace => Cell::new("away").fg(Color::Yellow),
        (None, _) => Cell::new("no netdev").fg(Color::DarkGrey),
        (Some(link), _) if !link.admin_up => Cell::new("down").fg(Color::DarkGrey),
        (Some(link), _) if link.carrier == Some(true) => Cell::new("up").fg(Color::Green),
        _ => Cell::new("no carrier").fg(Color::Yellow),
    }
}

fn source(source: SpeedSource) -> &'static str {
    match source {
        SpeedSource::Link => "link",
        SpeedSource::InfinibandRate => "ib rate",
        SpeedSource::SupportedModes => "modes",
        SpeedSource::PcieLimit => "pcie",
        SpeedSource::DeviceTable => "table",
        SpeedSource::PhysicalFunction => "pf",
        SpeedSource::Nominal => "nominal",
        _ => "-",
    }
}

fn class(class: SpeedClass) -> Cell {
    let color = match class {
        SpeedClass::High => Color::Green,
        SpeedClass::Standard => Color::Cyan,
        SpeedClass::Low => Color::Yellow,
        SpeedClass::Unknown => Color::DarkGrey,
    };
    Cell::new(class).fg(color)
}

/// Free, enabled, total; or the reason for nothing.
fn vfs(nic: &Nic) -> String {
    match (&nic.sriov, &nic.vf) {
        (Some(sriov), _) => {
            format!("{} free, {}/{}", sriov.capacity.free, sriov.capacity.enabled, sriov.capacity.total)
        }
        (None, Some(vf)) => vf.index.map_or_else(|| "vf".to_owned(), |index| format!("vf {index}")),
        (None, None) => "-".to_owned(),
    }
}

/// The nearest GPUs.
fn gpu(nic: &Nic) -> String {
    let Some(nearest) = nic.gpus.first() else { return "-".to_owned() };
    let count = nic.gpus.iter().filter(|gpu| gpu.relation == nearest.relation).count();
    let relation = match nearest.relation {
        Relation::SameSwitch => "switch",
        Relation::SameRoot => "root",
        Relation::SameNuma => "numa",
        Relation::OtherNuma => "far",
        Relation::Unknown => "?",
    };
    format!("{relation} ({count})")
}

fn used(nic: &Nic) -> Cell {
    if nic.protected.is_some() {
        return Cell::new("uplink").fg(Color::Red);
    }
    match &nic.held {
        Some(held) => {
            let place = held.namespace.as_ref();
            let who = place.and_then(|place| {
                place.pod_uid.clone().or_else(|| place.name.clone()).or_else(|| place.process.clone())
            });
            let who =
                who.or_else(|| held.holder.clone()).or_else(|| place.map(|_| "other namespace".to_owned()));
            Cell::new(format!("held: {}", who.unwrap_or_else(|| "vfio".to_owned()))).fg(Color::Yellow)
        }
        None if nic.secondary.is_secondary => Cell::new("secondary").fg(Color::Green),
        None => Cell::new("-"),
    }
}

fn pcie(nic: &Nic) -> String {
    let link = nic.pci.as_ref().and_then(|pci| pci.link);
    link.map_or_else(|| "-".to_owned(), |link| format!("gen{} x{}", link.speed.generation(), link.width))
}

fn model(nic: &Nic) -> String {
    let name = |name: &Option<hwprobe::PciName>| {
        name.as_ref().map(|name| name.name.clone().unwrap_or_else(|| name.id.clone()))
    };
    match &nic.pci {
        Some(pci) => {
            [name(&pci.vendor), name(&pci.device)].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        None => nic
            .bus
            .as_ref()
            .map(|bus| format!("{} {}", bus.kind, bus.device))
            .unwrap_or_else(|| list(nic.stacking.lower.iter().cloned())),
    }
}
