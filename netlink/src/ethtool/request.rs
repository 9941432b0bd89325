//! Questions of the family: command number, header with the NIC's index.

use ethtool::{
    EthtoolAttr, EthtoolChannelAttr, EthtoolCmd, EthtoolCoalesceAttr, EthtoolHeader, EthtoolMessage,
    EthtoolModuleEEPROMAttr, EthtoolPauseAttr, EthtoolRingAttr,
};
use netlink_packet_core::NetlinkSerializable;
use netlink_packet_generic::GenlMessage;

use super::module::ModulePage;
use crate::generic::body;
use crate::message::Request;

pub(crate) const FAMILY: &str = "ethtool";
const VERSION: u8 = 1;

// enum of `linux/ethtool_netlink.h`, user to kernel, for what the `ethtool` crate lacks, or
// reads only from bit sets with names.
const ETHTOOL_MSG_STRSET_GET: u8 = 1;
const ETHTOOL_MSG_LINKINFO_GET: u8 = 2;
const ETHTOOL_MSG_LINKMODES_GET: u8 = 4;
const ETHTOOL_MSG_LINKSTATE_GET: u8 = 6;
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_MSG_PRIVFLAGS_GET: u8 = 13;
const ETHTOOL_MSG_TSINFO_GET: u8 = 25;
const ETHTOOL_MSG_FEC_GET: u8 = 29;

/// The header is attribute 1 of every command asked here.
const HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
const ETHTOOL_FLAG_COMPACT_BITSETS: u32 = 1;

const ETHTOOL_A_STRSET_STRINGSETS: u16 = 2;
const ETHTOOL_A_STRINGSETS_STRINGSET: u16 = 1;
const ETHTOOL_A_STRINGSET_ID: u16 = 1;

/// A set of names that the kernel keeps (`enum ethtool_stringset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringSet {
    PrivateFlags,
    Features,
    #[cfg(test)]
    LinkModes,
}

impl StringSet {
    fn id(self) -> u32 {
        match self {
            Self::PrivateFlags => 2,
            Self::Features => 4,
            #[cfg(test)]
            Self::LinkModes => 9,
        }
    }
}

/// A question about one NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    LinkInfo,
    LinkModes,
    LinkState,
    Rings,
    Channels,
    Coalesce,
    Pause,
    Fec,
    Features,
    Timestamps,
    PrivateFlags,
}

impl Question {
    pub(super) const ALL: [Self; 11] = [
        Self::LinkInfo,
        Self::LinkModes,
        Self::LinkState,
        Self::Rings,
        Self::Channels,
        Self::Coalesce,
        Self::Pause,
        Self::Fec,
        Self::Features,
        Self::Timestamps,
        Self::PrivateFlags,
    ];

    /// The name of the answer's field, as in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LinkInfo => "linkInfo",
            Self::LinkModes => "linkModes",
            Self::LinkState => "linkState",
            Self::Rings => "rings",
            Self::Channels => "channels",
            Self::Coalesce => "coalesce",
            Self::Pause => "pause",
            Self::Fec => "fec",
            Self::Features => "features",
            Self::Timestamps => "timestamps",
            Self::PrivateFlags => "privateFlags",
        }
    }

    pub(super) fn request(self, family: u16, index: u32) -> Request {
        let header = || vec![EthtoolHeader::DevIndex(index)];
        let operation = format!("ask ethtool {} of link {index}", self.name());
        let body = match self {
            Self::LinkInfo => own(ETHTOOL_MSG_LINKINFO_GET, index),
            Self::LinkModes => own(ETHTOOL_MSG_LINKMODES_GET, index),
            Self::LinkState => own(ETHTOOL_MSG_LINKSTATE_GET, index),
            Self::Fec => own(ETHTOOL_MSG_FEC_GET, index),
            Self::Features => own(ETHTOOL_MSG_FEATURES_GET, index),
            Self::Timestamps => own(ETHTOOL_MSG_TSINFO_GET, index),
            Self::PrivateFlags => own(ETHTOOL_MSG_PRIVFLAGS_GET, index),
            Self::Rings => {
                packet(EthtoolCmd::RingGet, vec![EthtoolAttr::Ring(EthtoolRingAttr::Header(header()))])
            }
            Self::Channels => packet(
                EthtoolCmd::ChannelGet,
                vec![EthtoolAttr::Channel(EthtoolChannelAttr::Header(header()))],
            ),
            Self::Coalesce => packet(
                EthtoolCmd::CoalesceGet,
                vec![EthtoolAttr::Coalesce(EthtoolCoalesceAttr::Header(header()))],
            ),
            Self::Pause => {
                packet(EthtoolCmd::PauseGet, vec![EthtoolAttr::Pause(EthtoolPauseAttr::Header(header()))])
            }
        };
        Request::new(operation, family, body)
    }
}

/// Asks for a set of names, of one NIC or the kernel's own.
pub(super) fn names(family: u16, set: StringSet, index: Option<u32>) -> Request {
    let body = body(ETHTOOL_MSG_STRSET_GET, VERSION, |message| {
        // The kernel wants the header even where it names nothing.
        message.nest(HEADER, |header| {
            if let Some(index) = index {
                header.put_u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
            }
        });
        message.nest(ETHTOOL_A_STRSET_STRINGSETS, |sets| {
            sets.nest(ETHTOOL_A_STRINGSETS_STRINGSET, |wanted| {
                wanted.put_u32(ETHTOOL_A_STRINGSET_ID, set.id());
            });
        });
    });
    Request::new(format!("read ethtool names {set:?}"), family, body)
}

/// Asks for bytes of a plugged module.
pub(super) fn module_page(family: u16, index: u32, page: ModulePage) -> Request {
    let attributes = [
        EthtoolModuleEEPROMAttr::Header(vec![EthtoolHeader::DevIndex(index)]),
        EthtoolModuleEEPROMAttr::Offset(page.offset),
        EthtoolModuleEEPROMAttr::Length(page.length),
        EthtoolModuleEEPROMAttr::Page(page.page),
        EthtoolModuleEEPROMAttr::Bank(page.bank),
        EthtoolModuleEEPROMAttr::I2CAddress(page.i2c_address),
    ];
    let attributes = attributes.into_iter().map(EthtoolAttr::ModuleEEPROM).collect();
    let operation = format!("read page {} of the module of link {index}", page.page);
    Request::new(operation, family, packet(EthtoolCmd::ModuleEEPROMGet, attributes))
}

fn own(command: u8, index: u32) -> Vec<u8> {
    body(command, VERSION, |message| {
        message.nest(HEADER, |header| {
            header.put_u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
            header.put_u32(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS);
        });
    })
}

fn packet(cmd: EthtoolCmd, nlas: Vec<EthtoolAttr>) -> Vec<u8> {
    let message = GenlMessage::from_payload(EthtoolMessage { cmd, nlas });
    let mut body = vec![0; message.buffer_len()];
    message.serialize(&mut body);
    body
}
