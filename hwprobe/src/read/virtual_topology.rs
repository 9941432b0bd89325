//! Where devices really are, as the cloud tells a virtual machine whose own PCI tree is flat: a file in the dialect of NCCL
//! (`<system><cpu numaid><pci busid>…`, bridges nested to any depth).

use std::collections::BTreeMap;

use crate::model::PciAddress;

/// Where NVIDIA's topology daemon writes it; `/var/run` is `/run`.
pub(crate) const FILE: &str = "run/nvidia-topologyd/virtualTopology.xml";

/// Deepest nesting that is read; what is deeper is not there.
const DEEPEST: usize = 16;

/// What the file says of each device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VirtualTopology(pub(crate) BTreeMap<PciAddress, Place>);

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// NUMA node; absent when the file gives none, or a negative one.
    pub(crate) numa_node: Option<u16>,
    /// Bridges above it, nearest the root first. Their ids may be invented.
    pub(crate) bridges: Vec<PciAddress>,
}

impl VirtualTopology {
    /// Reads the text of a file. Unknown elements are passed over, devices without a readable `busid` left out.
    ///
    /// # Errors
    /// In words, when it is no XML or no topology.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Without a DTD no entity can be defined, so none can be expanded.
        let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
        let system = document.root_element();
        if system.tag_name().name() != "system" {
            return Err(format!("its root is <{}>, not <system>", system.tag_name().name()));
        }
        let mut found = Self::default();
        for cpu in system.children().filter(|node| node.has_tag_name("cpu")) {
            let numa_node = cpu.attribute("numaid").and_then(|text| text.trim().parse().ok());
            found.take(cpu, numa_node, &mut Vec::new());
        }
        Ok(found)
    }

    /// A file that says the same, and nothing more.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from("<system version=\"1\">\n");
        for (address, place) in &self.0 {
            let numa = place.numa_node.map_or(-1, i32::from);
            let above: String =
                place.bridges.iter().map(|bridge| format!("<pci busid=\"{bridge}\">")).collect();
            let ends = "</pci>".repeat(place.bridges.len());
            text += &format!("<cpu numaid=\"{numa}\">{above}<pci busid=\"{address}\"/>{ends}</cpu>\n");
        }
        text + "</system>\n"
    }

    fn take(
        &mut self,
        above: roxmltree::Node<'_, '_>,
        numa_node: Option<u16>,
        bridges: &mut Vec<PciAddress>,
    ) {
        if bridges.len() >= DEEPEST {
            return;
        }
        for pci in above.children().filter(|node| node.has_tag_name("pci")) {
            let Some(address) = pci.attribute("busid").and_then(bus_id) else { continue };
            self.0.insert(address, Place { numa_node, bridges: bridges.clone() });
            bridges.push(address);
            self.take(pci, numa_node, bridges);
            bridges.pop();
        }
    }
}

/// A bus id, also one with a domain of eight digits as NVIDIA's library writes it.
fn bus_id(text: &str) -> Option<PciAddress> {
    let text = text.trim().to_ascii_lowercase();
    let (domain, rest) = text.split_once(':')?;
    let domain = domain.trim_start_matches('0');
    format!("{domain:0>4}:{rest}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> PciAddress {
        text.parse().unwrap()
    }

    #[test]
    fn devices_are_found_at_any_depth() {
        let text = r#"<system version="1">
            <cpu numaid="0" affinity="00000000,0000ffff" arch="x86_64">
              <pci busid="ffff:ff:01.0" class="0x060400" link_speed="16 GT/s" link_width="16">
                <pci busid="00000000:0C:00.0" class="0x030200"><gpu dev="0"/></pci>
                <pci busid="ffff:ff:02.0"><pci busid="0001:00:00.0" class="0x020000"><nic><net name="mlx5_0"/></nic></pci></pci>
              </pci>
            </cpu>
            <cpu numaid="-1"><pci busid="0002:00:00.0"/><pci busid="nonsense"/><other/></cpu>
            <cpu numaid="1"><pci busid="0003:00:00.0"/></cpu>
          </system>"#;
        let found = VirtualTopology::parse(text).unwrap();
        let place = |numa_node, bridges: &[&str]| Place {
            numa_node,
            bridges: bridges.iter().map(|one| at(one)).collect(),
        };
        assert_eq!(found.0[&at("0000:0c:00.0")], place(Some(0), &["ffff:ff:01.0"]));
        assert_eq!(found.0[&at("0001:00:00.0")], place(Some(0), &["ffff:ff:01.0", "ffff:ff:02.0"]));
        assert_eq!(found.0[&at("0002:00:00.0")], place(None, &[]));
        assert_eq!(found.0[&at("0003:00:00.0")], place(Some(1), &[]));
        assert_eq!(found.0.len(), 6);
        assert_eq!(VirtualTopology::parse(&found.to_text()).unwrap(), found);
    }

    #[test]
    fn what_is_no_topology_is_said() {
        assert!(VirtualTopology::parse("<system>").is_err());
        assert_eq!(VirtualTopology::parse("<html/>").unwrap_err(), "its root is <html>, not <system>");
        let bomb = r#"<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><system>&b;</system>"#;
        assert!(VirtualTopology::parse(bomb).unwrap_err().contains("DTD"));
        let deep = format!(
            "<system><cpu>{}{}</cpu></system>",
            r#"<pci busid="0000:00:00.0">"#.repeat(400),
            "</pci>".repeat(400)
        );
        // Refused or read: not a crash.
        drop(VirtualTopology::parse(&deep));
    }
}
