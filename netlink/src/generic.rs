//! Generic netlink: families by name (`nlctrl`), requests to them.

use netlink_packet_core::{NetlinkSerializable, ParseableParametrized};
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlHeader, GenlMessage};

use crate::attribute::Writer;
use crate::error::{Error, libc_errno};
use crate::message::Request;
use crate::socket::Socket;

/// `struct genlmsghdr`: command, version, two reserved bytes.
pub(crate) const GENERIC_HEADER: usize = 4;

/// Message type of the family that knows the others.
const GENL_ID_CTRL: u16 = 16;

/// What the kernel says of a family.
#[derive(Debug, Clone)]
pub(crate) struct FamilyInfo {
    pub(crate) id: u16,
    pub(crate) groups: Vec<(String, u32)>,
}

impl FamilyInfo {
    pub(crate) fn group(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
    }
}

/// A request's body: the generic header and attributes.
pub(crate) fn body(command: u8, version: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer(vec![command, version, 0, 0]);
    fill(&mut writer);
    writer.0
}

impl Socket {
    /// Number and groups of a family, asked once a socket.
    pub(crate) fn family(&mut self, name: &str) -> Result<FamilyInfo, Error> {
        if let Some(known) = self.families.get(name) {
            return Ok(known.clone());
        }
        let operation = format!("look up the generic netlink family `{name}`");
        let message = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
        });
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let request = Request::new(&operation, GENL_ID_CTRL, bytes);
        let answers = match self.ask(&request) {
            Err(Error::Kernel { source, .. }) if source.errno == libc_errno::ENOENT => {
                return Err(Error::FamilyAbsent { name: name.to_owned() });
            }
            other => other?,
        };
        let (_, answer) =
            answers.into_iter().next().ok_or_else(|| Error::NoAnswer { operation: operation.clone() })?;
        let info = family_info(&answer).map_err(|reason| Error::decode(&operation, reason))?;
        self.families.insert(name.to_owned(), info.clone());
        Ok(info)
    }

    /// Forgets a family whose number the kernel no longer knows: its module was loaded again.
    pub(crate) fn forget_family(&mut self, name: &str) {
        self.families.remove(name);
    }
}

fn family_info(answer: &[u8]) -> Result<FamilyInfo, String> {
    let attributes = answer.get(GENERIC_HEADER..).ok_or("an answer without a generic header")?;
    let header = GenlHeader { cmd: GenlCtrlCmd::NewFamily.into(), version: 2 };
    let message = GenlCtrl::parse_with_param(attributes, header).map_err(|error| error.to_string())?;
    let mut info = FamilyInfo { id: 0, groups: Vec::new() };
    for attribute in message.nlas {
        match attribute {
            GenlCtrlAttrs::FamilyId(id) => info.id = id,
            GenlCtrlAttrs::McastGroups(groups) => {
                for group in groups {
                    let mut name = None;
                    let mut id = None;
                    for attribute in group {
                        match attribute {
                            McastGrpAttrs::Name(value) => name = Some(value),
                            McastGrpAttrs::Id(value) => id = Some(value),
                        }
                    }
                    info.groups.extend(name.zip(id));
                }
            }
            _ => {}
        }
    }
    if info.id == 0 { Err("an answer without the family's number".to_owned()) } else { Ok(info) }
}
