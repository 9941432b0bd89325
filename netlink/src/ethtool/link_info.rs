//! Port, transceiver and pair crossing (`ETHTOOL_MSG_LINKINFO_GET`).

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;

/// What plug the NIC has and who drives it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LinkInfo {
    /// Kind of plug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Address of the PHY on its bus, 0–31.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phy_address: Option<u8>,
    /// Pair crossing in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdi: Option<Mdi>,
    /// Pair crossing asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdi_control: Option<Mdi>,
    /// Where the transceiver sits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transceiver: Option<Transceiver>,
}

open_enum! {
    /// Kind of plug, `PORT_*` of `linux/ethtool.h`.
    Port(u8) {
        /// Twisted pair.
        TwistedPair = 0, "Twisted Pair";
        /// Attachment unit interface.
        Aui = 1, "AUI";
        /// Media-independent interface.
        Mii = 2, "MII";
        /// Optical fibre.
        Fibre = 3, "FIBRE";
        /// Coaxial cable.
        Bnc = 4, "BNC";
        /// Direct-attach copper.
        DirectAttachCopper = 5, "Direct Attach Copper";
        /// No plug (backplane, emulated).
        None = 239, "None";
        /// Something else.
        OtherPort = 255, "Other";
    }
}

open_enum! {
    /// Pair crossing, `ETH_TP_MDI*`.
    Mdi(u8) {
        /// Not known, or not a twisted pair.
        Unknown = 0, "Unknown";
        /// Straight.
        Straight = 1, "MDI";
        /// Crossed.
        Crossed = 2, "MDI-X";
        /// Chosen by the hardware.
        Auto = 3, "auto";
    }
}

open_enum! {
    /// Where the transceiver sits, `XCVR_*`.
    Transceiver(u8) {
        /// On the NIC.
        Internal = 0, "internal";
        /// Outside.
        External = 1, "external";
    }
}
