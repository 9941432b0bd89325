//! VFs as cells, one a VF: a row of them says at a glance what a PF can give, and the lines below say why not more.
//!
//! Only characters that every terminal and log has; each state has its own, so colour is not needed.

use std::io::{self, Write};

use hwprobe::{Held, HeldBy, Nic, Sriov, VfEntry};

/// Cells in one line; a PF with more has several lines.
const WIDTH: usize = 64;

/// What can be done with a VF, as far as this machine alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    /// Nobody holds it.
    Free,
    /// Somebody holds it: who.
    Held(String),
    /// Nobody holds it, and nobody can use it: why.
    Broken(&'static str),
    /// A VF of a higher index is there, it is not.
    Missing,
}

impl Cell {
    fn character(&self) -> char {
        match self {
            Self::Free => '.',
            Self::Held(_) => '#',
            Self::Broken(_) => 'x',
            Self::Missing => '-',
        }
    }

    /// What the line about it says; none where the cell says all.
    fn reason(&self) -> Option<String> {
        match self {
            Self::Free => None,
            Self::Held(who) => Some(format!("held: {who}")),
            Self::Broken(why) => Some(format!("broken: {why}")),
            Self::Missing => Some("missing: VFs of higher index are there".to_owned()),
        }
    }
}

/// Prints the cells of each of `nics` that has VFs, and what they mean.
pub(crate) fn print<'a>(nics: impl Iterator<Item = &'a Nic>, out: &mut dyn Write) -> io::Result<()> {
    let mut explained = false;
    for nic in nics {
        let Some(sriov) = nic.sriov.as_ref().filter(|sriov| !sriov.vfs.is_empty()) else { continue };
        if !explained {
            writeln!(out, "VFs by index (. free, # held, x broken, - missing):")?;
            explained = true;
        }
        of_pf(nic.label(), &cells(sriov), out)?;
    }
    Ok(())
}

/// The cells of one PF, then a line for each run of VFs with the same reason.
fn of_pf(label: &str, cells: &[Cell], out: &mut dyn Write) -> io::Result<()> {
    for (number, part) in cells.chunks(WIDTH).enumerate() {
        let row: String = part.iter().map(Cell::character).collect();
        let lead = if number == 0 { label } else { "" };
        writeln!(out, "  {lead:<16} {:>4} {row}", number * WIDTH)?;
    }
    let mut first = 0;
    for run in cells.chunk_by(PartialEq::eq) {
        let last = first + run.len() - 1;
        if let Some(reason) = run.first().and_then(Cell::reason) {
            let range = if first == last { format!("VF {first}") } else { format!("VFs {first}-{last}") };
            writeln!(out, "    {range} {reason}")?;
        }
        first = last + 1;
    }
    Ok(())
}

/// A cell for each index up to the highest that is there.
fn cells(sriov: &Sriov) -> Vec<Cell> {
    let end = sriov.vfs.iter().map(|vf| vf.index.saturating_add(1)).max().unwrap_or(0);
    let mut cells = vec![Cell::Missing; usize::from(end)];
    for vf in &sriov.vfs {
        if let Some(place) = cells.get_mut(usize::from(vf.index)) {
            *place = cell(vf, sriov.drivers_autoprobe);
        }
    }
    cells
}

fn cell(vf: &VfEntry, autoprobe: Option<bool>) -> Cell {
    if let Some(held) = &vf.held {
        return Cell::Held(holder(vf, held));
    }
    // With autoprobe off somebody wants it without a driver; VFs that are no PCI functions never have one of their own,
    // and of one that is not in the inventory the driver is not known.
    if vf.pci.is_some() && vf.nic.is_some() && vf.driver.is_none() && autoprobe != Some(false) {
        return Cell::Broken("no driver is bound (load the VF driver, or bind one)");
    }
    Cell::Free
}

/// Who holds a VF: the pod if the kubelet told, else the place, else the process or link, else the kind.
fn holder(vf: &VfEntry, held: &Held) -> String {
    let pods: Vec<String> = vf
        .held_by
        .iter()
        .filter_map(|by| {
            by.pod.as_ref().map(|pod| format!("{}/{pod}", by.namespace.as_deref().unwrap_or("?")))
        })
        .collect();
    if !pods.is_empty() {
        return format!("pod {}", pods.join(", "));
    }
    let place = held.namespace.as_ref();
    let place = place.and_then(|place| {
        let uid = place.pod_uid.as_ref().map(|uid| format!("pod {uid}"));
        uid.or_else(|| place.name.clone()).or_else(|| place.process.clone())
    });
    place.or_else(|| held.holder.clone()).unwrap_or_else(|| kind(held.by).to_owned())
}

fn kind(by: HeldBy) -> &'static str {
    match by {
        HeldBy::Namespace => "another network namespace",
        HeldBy::Vfio => "a process, through vfio",
        HeldBy::VfioUnknown => "bound to vfio-pci, and root alone may see who has it open",
        HeldBy::Master => "a bond, team or bridge",
        HeldBy::Upper => "links that stand on it",
        HeldBy::Node => "the node",
        HeldBy::Pod => "a pod",
        _ => "somebody",
    }
}

#[cfg(test)]
mod tests {
    use hwprobe::{Held, HeldBy, NicId, PodHolder, Sriov, SriovCapacity, VfEntry};

    use super::{cells, of_pf};

    fn vf(index: u16, driver: Option<&str>) -> VfEntry {
        let mut vf = VfEntry::new(index);
        vf.pci = Some("0000:3b:02.0".parse().unwrap());
        vf.nic = Some(NicId::new("0000:3b:02.0"));
        vf.driver = driver.map(ToOwned::to_owned);
        vf
    }

    fn shown(sriov: &Sriov) -> String {
        let mut out = Vec::new();
        of_pf("ens1f0", &cells(sriov), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn sriov(vfs: Vec<VfEntry>) -> Sriov {
        let mut sriov = Sriov::new(SriovCapacity::default());
        sriov.vfs = vfs;
        sriov
    }

    #[test]
    fn each_state_has_its_cell_and_its_reason() {
        let mut by_pod = vf(1, Some("iavf"));
        by_pod.held = Some(Held::new(HeldBy::Pod));
        let mut who = PodHolder::new("example.com/rails".to_owned(), "0".to_owned());
        (who.namespace, who.pod) = (Some("train".to_owned()), Some("worker-0".to_owned()));
        by_pod.held_by = vec![who];
        let mut by_node = vf(2, Some("iavf"));
        by_node.held = Some(Held::new(HeldBy::Node));

        let text = shown(&sriov(vec![
            vf(0, Some("iavf")),
            by_pod,
            by_node,
            vf(3, None),
            vf(4, None),
            vf(6, Some("iavf")),
        ]));

        insta::assert_snapshot!(text, @r"
        ens1f0              0 .##xx-.
          VF 1 held: pod train/worker-0
          VF 2 held: the node
          VFs 3-4 broken: no driver is bound (load the VF driver, or bind one)
          VF 5 missing: VFs of higher index are there
        ");
    }

    #[test]
    fn a_vf_without_driver_is_free_where_that_is_wanted_or_usual() {
        let mut unbound = sriov(vec![vf(0, None)]);
        unbound.drivers_autoprobe = Some(false);

        assert!(shown(&unbound).ends_with(" .\n"), "autoprobe is off");
        assert!(shown(&sriov(vec![VfEntry::new(0)])).ends_with(" .\n"), "netdevsim");
    }

    #[test]
    fn many_vfs_take_several_lines() {
        let text = shown(&sriov((0..100).map(|index| vf(index, Some("iavf"))).collect()));

        let lengths: Vec<usize> = text.lines().map(|line| line.matches('.').count()).collect();
        assert_eq!(lengths, [64, 36]);
    }
}
