//! Messages of the family → answers.

use ethtool::{EthtoolChannelAttr, EthtoolCoalesceAttr, EthtoolPauseAttr, EthtoolRingAttr};
use netlink_packet_core::{NlaBuffer, Parseable};

use super::bitset::bit_set;
use super::features::{Fec, TimestampInfo};
use super::link_info::{LinkInfo, Mdi, Port, Transceiver};
use super::link_modes::{Duplex, LinkModes};
use super::link_state::LinkState;
use super::queues::{Channels, Coalesce, Pause, Rings};
use crate::attribute::{Attribute, Malformed, attributes};
use crate::generic::GENERIC_HEADER;

fn each<'a>(
    message: &'a [u8],
    mut apply: impl FnMut(&Attribute<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let bytes = message
        .get(GENERIC_HEADER..)
        .ok_or_else(|| Malformed(format!("a generic message of {} bytes", message.len())))?;
    attributes(bytes).try_for_each(|attribute| apply(&attribute?))
}

fn packets<'a, P: Parseable<NlaBuffer<&'a [u8]>>>(
    message: &'a [u8],
    mut apply: impl FnMut(P),
) -> Result<(), Malformed> {
    each(message, |attribute| attribute.packet().map(&mut apply))
}

pub(super) fn link_info(message: &[u8]) -> Result<LinkInfo, Malformed> {
    let mut info = LinkInfo::default();
    each(message, |attribute| {
        match attribute.number {
            2 => info.port = Some(Port::from_number(attribute.u8()?)),
            3 => info.phy_address = Some(attribute.u8()?),
            4 => info.mdi = Some(Mdi::from_number(attribute.u8()?)),
            5 => info.mdi_control = Some(Mdi::from_number(attribute.u8()?)),
            6 => info.transceiver = Some(Transceiver::from_number(attribute.u8()?)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(info)
}

pub(super) fn link_modes(message: &[u8]) -> Result<LinkModes, Malformed> {
    const DUPLEX_UNKNOWN: u8 = 0xff;
    let mut modes = LinkModes::default();
    each(message, |attribute| {
        match attribute.number {
            2 => modes.autoneg = Some(attribute.flag()?),
            3 => {
                let ours = bit_set(attribute)?;
                modes.supported = ours.mask;
                modes.advertised = ours.value;
            }
            4 => modes.peer = bit_set(attribute)?.value,
            5 => modes.speed = speed(attribute.u32()?),
            6 => {
                let duplex = attribute.u8()?;
                modes.duplex = (duplex != DUPLEX_UNKNOWN).then(|| Duplex::from_number(duplex));
            }
            7 => modes.master_slave_config = Some(attribute.u8()?),
            8 => modes.master_slave_state = Some(attribute.u8()?),
            9 => modes.lanes = Some(attribute.u32()?),
            10 => modes.rate_matching = Some(attribute.u8()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(modes)
}

/// The three ways in which drivers say "unknown": `SPEED_UNKNOWN`, the same in the 16 bits of
/// the old interface, and nothing.
fn speed(mbps: u32) -> Option<u32> {
    (![0, 0xffff, u32::MAX].contains(&mbps)).then_some(mbps)
}

pub(super) fn link_state(message: &[u8]) -> Result<LinkState, Malformed> {
    let mut state = LinkState::default();
    each(message, |attribute| {
        match attribute.number {
            2 => state.link = Some(attribute.flag()?),
            3 => state.sqi = Some(attribute.u32()?),
            4 => state.sqi_max = Some(attribute.u32()?),
            5 => state.ext_state = Some(attribute.u8()?),
            6 => state.ext_substate = Some(attribute.u8()?),
            7 => state.ext_down_count = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(state)
}

pub(super) fn fec(message: &[u8]) -> Result<Fec, Malformed> {
    let mut fec = Fec::default();
    each(message, |attribute| {
        match attribute.number {
            2 => fec.configured = bit_set(attribute)?.value,
            3 => fec.auto = Some(attribute.flag()?),
            4 => fec.active = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(fec)
}

pub(super) fn timestamps(message: &[u8]) -> Result<TimestampInfo, Malformed> {
    let mut info = TimestampInfo::default();
    each(message, |attribute| {
        match attribute.number {
            2 => info.timestamping = bit_set(attribute)?.value,
            3 => info.tx_types = bit_set(attribute)?.value,
            4 => info.rx_filters = bit_set(attribute)?.value,
            5 => info.phc_index = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(info)
}

/// Feature bits: may be switched, wanted, active, never switched.
#[derive(Debug, Default)]
pub(super) struct FeatureBits {
    pub(super) hardware: Vec<u32>,
    pub(super) wanted: Vec<u32>,
    pub(super) active: Vec<u32>,
    pub(super) no_change: Vec<u32>,
}

pub(super) fn features(message: &[u8]) -> Result<FeatureBits, Malformed> {
    let mut features = FeatureBits::default();
    each(message, |attribute| {
        match attribute.number {
            2 => features.hardware = bit_set(attribute)?.value,
            3 => features.wanted = bit_set(attribute)?.value,
            4 => features.active = bit_set(attribute)?.value,
            5 => features.no_change = bit_set(attribute)?.value,
            _ => {}
        }
        Ok(())
    })?;
    Ok(features)
}

/// Bits of the private switches: which there are, which are on.
pub(super) fn private_flags(message: &[u8]) -> Result<(Vec<u32>, Vec<u32>), Malformed> {
    let mut flags = (Vec::new(), Vec::new());
    each(message, |attribute| {
        if attribute.number == 2 {
            let set = bit_set(attribute)?;
            flags = (set.mask, set.value);
        }
        Ok(())
    })?;
    Ok(flags)
}

/// The names of a set, by position (`ETHTOOL_A_STRSET_STRINGSETS`).
pub(super) fn names(message: &[u8]) -> Result<Vec<String>, Malformed> {
    const ETHTOOL_A_STRSET_STRINGSETS: u16 = 2;
    const ETHTOOL_A_STRINGSET_STRINGS: u16 = 3;
    const ETHTOOL_A_STRING_INDEX: u16 = 1;
    const ETHTOOL_A_STRING_VALUE: u16 = 2;
    /// No set of the kernel is longer than a few hundred names.
    const LIMIT: usize = 4096;
    let mut names = Vec::new();
    each(message, |attribute| {
        if attribute.number != ETHTOOL_A_STRSET_STRINGSETS {
            return Ok(());
        }
        for set in attribute.nested() {
            for part in set?.nested() {
                let part = part?;
                if part.number != ETHTOOL_A_STRINGSET_STRINGS {
                    continue;
                }
                for string in part.nested() {
                    let mut index = None;
                    let mut name = String::new();
                    for field in string?.nested() {
                        let field = field?;
                        match field.number {
                            ETHTOOL_A_STRING_INDEX => index = Some(field.u32()?),
                            ETHTOOL_A_STRING_VALUE => name = field.string(),
                            _ => {}
                        }
                    }
                    let index =
                        index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < LIMIT);
                    let index = index.ok_or_else(|| Malformed(format!("name `{name}` without a place")))?;
                    if names.len() <= index {
                        names.resize(index + 1, String::new());
                    }
                    if let Some(place) = names.get_mut(index) {
                        *place = name;
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(names)
}

pub(super) fn rings(message: &[u8]) -> Result<Rings, Malformed> {
    // Newer than the `ethtool` crate.
    const ETHTOOL_A_RINGS_RX_PUSH: u16 = 14;
    let mut rings = Rings::default();
    each(message, |attribute| {
        if attribute.number == ETHTOOL_A_RINGS_RX_PUSH {
            rings.rx_push = Some(attribute.flag()?);
            return Ok(());
        }
        match attribute.packet()? {
            EthtoolRingAttr::RxMax(value) => rings.rx_max = Some(value),
            EthtoolRingAttr::RxMiniMax(value) => rings.rx_mini_max = Some(value),
            EthtoolRingAttr::RxJumboMax(value) => rings.rx_jumbo_max = Some(value),
            EthtoolRingAttr::TxMax(value) => rings.tx_max = Some(value),
            EthtoolRingAttr::Rx(value) => rings.rx = Some(value),
            EthtoolRingAttr::RxMini(value) => rings.rx_mini = Some(value),
            EthtoolRingAttr::RxJumbo(value) => rings.rx_jumbo = Some(value),
            EthtoolRingAttr::Tx(value) => rings.tx = Some(value),
            EthtoolRingAttr::RxBufLen(value) => rings.rx_buf_len = Some(value),
            EthtoolRingAttr::TcpDataSplit(value) => rings.tcp_data_split = Some(value),
            EthtoolRingAttr::CqeSize(value) => rings.cqe_size = Some(value),
            EthtoolRingAttr::TxPush(value) => rings.tx_push = Some(value),
            EthtoolRingAttr::Header(_) | EthtoolRingAttr::Other(_) => {}
        }
        Ok(())
    })?;
    Ok(rings)
}

pub(super) fn channels(message: &[u8]) -> Result<Channels, Malformed> {
    let mut channels = Channels::default();
    packets(message, |attribute| match attribute {
        EthtoolChannelAttr::RxMax(value) => channels.rx_max = Some(value),
        EthtoolChannelAttr::TxMax(value) => channels.tx_max = Some(value),
        EthtoolChannelAttr::OtherMax(value) => channels.other_max = Some(value),
        EthtoolChannelAttr::CombinedMax(value) => channels.combined_max = Some(value),
        EthtoolChannelAttr::RxCount(value) => channels.rx = Some(value),
        EthtoolChannelAttr::TxCount(value) => channels.tx = Some(value),
        EthtoolChannelAttr::OtherCount(value) => channels.other = Some(value),
        EthtoolChannelAttr::CombinedCount(value) => channels.combined = Some(value),
        EthtoolChannelAttr::Header(_) | EthtoolChannelAttr::Other(_) => {}
    })?;
    Ok(channels)
}

pub(super) fn coalesce(message: &[u8]) -> Result<Coalesce, Malformed> {
    // Newer than the `ethtool` crate.
    const ETHTOOL_A_COALESCE_USE_CQE_MODE_TX: u16 = 24;
    const ETHTOOL_A_COALESCE_USE_CQE_MODE_RX: u16 = 25;
    let mut coalesce = Coalesce::default();
    each(message, |attribute| {
        match attribute.number {
            ETHTOOL_A_COALESCE_USE_CQE_MODE_TX => coalesce.cqe_mode_tx = Some(attribute.flag()?),
            ETHTOOL_A_COALESCE_USE_CQE_MODE_RX => coalesce.cqe_mode_rx = Some(attribute.flag()?),
            _ => set_coalesce(&mut coalesce, attribute.packet()?),
        }
        Ok(())
    })?;
    Ok(coalesce)
}

fn set_coalesce(coalesce: &mut Coalesce, attribute: EthtoolCoalesceAttr) {
    match attribute {
        EthtoolCoalesceAttr::RxUsecs(value) => coalesce.rx_usecs = Some(value),
        EthtoolCoalesceAttr::RxMaxFrames(value) => coalesce.rx_max_frames = Some(value),
        EthtoolCoalesceAttr::RxUsecsIrq(value) => coalesce.rx_usecs_irq = Some(value),
        EthtoolCoalesceAttr::RxMaxFramesIrq(value) => coalesce.rx_max_frames_irq = Some(value),
        EthtoolCoalesceAttr::TxUsecs(value) => coalesce.tx_usecs = Some(value),
        EthtoolCoalesceAttr::TxMaxFrames(value) => coalesce.tx_max_frames = Some(value),
        EthtoolCoalesceAttr::TxUsecsIrq(value) => coalesce.tx_usecs_irq = Some(value),
        EthtoolCoalesceAttr::TxMaxFramesIrq(value) => coalesce.tx_max_frames_irq = Some(value),
        EthtoolCoalesceAttr::StatsBlockUsecs(value) => coalesce.stats_block_usecs = Some(value),
        EthtoolCoalesceAttr::UseAdaptiveRx(value) => coalesce.adaptive_rx = Some(value),
        EthtoolCoalesceAttr::UseAdaptiveTx(value) => coalesce.adaptive_tx = Some(value),
        EthtoolCoalesceAttr::PktRateLow(value) => coalesce.packet_rate_low = Some(value),
        EthtoolCoalesceAttr::RxUsecsLow(value) => coalesce.rx_usecs_low = Some(value),
        EthtoolCoalesceAttr::RxMaxFramesLow(value) => coalesce.rx_max_frames_low = Some(value),
        EthtoolCoalesceAttr::TxUsecsLow(value) => coalesce.tx_usecs_low = Some(value),
        EthtoolCoalesceAttr::TxMaxFramesLow(value) => coalesce.tx_max_frames_low = Some(value),
        EthtoolCoalesceAttr::PktRateHigh(value) => coalesce.packet_rate_high = Some(value),
        EthtoolCoalesceAttr::RxUsecsHigh(value) => coalesce.rx_usecs_high = Some(value),
        EthtoolCoalesceAttr::RxMaxFramesHigh(value) => coalesce.rx_max_frames_high = Some(value),
        EthtoolCoalesceAttr::TxUsecsHigh(value) => coalesce.tx_usecs_high = Some(value),
        EthtoolCoalesceAttr::TxMaxFramesHigh(value) => coalesce.tx_max_frames_high = Some(value),
        EthtoolCoalesceAttr::RateSampleInterval(value) => coalesce.rate_sample_interval = Some(value),
        EthtoolCoalesceAttr::Header(_) | EthtoolCoalesceAttr::Other(_) => {}
    }
}

pub(super) fn pause(message: &[u8]) -> Result<Pause, Malformed> {
    let mut pause = Pause::default();
    packets(message, |attribute| match attribute {
        EthtoolPauseAttr::AutoNeg(value) => pause.autoneg = Some(value),
        EthtoolPauseAttr::Rx(value) => pause.rx = Some(value),
        EthtoolPauseAttr::Tx(value) => pause.tx = Some(value),
        _ => {}
    })?;
    Ok(pause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attribute::Writer;

    proptest! {
        #[test]
        fn any_attributes_are_read_or_refused_without_panic(
            items in proptest::collection::vec((0u16..32, proptest::collection::vec(any::<u8>(), 0..64)), 0..8))
        {
            let mut writer = Writer(vec![0; GENERIC_HEADER]);
            for (number, value) in &items {
                writer.put(*number, value);
            }
            for message in [writer.0.as_slice(), &[]] {
                let _ = (link_info(message), link_modes(message), link_state(message), fec(message));
                let _ = (timestamps(message), features(message), private_flags(message), names(message));
                let _ = (rings(message), channels(message), coalesce(message), pause(message));
            }
        }
    }

    #[test]
    fn every_way_to_say_that_the_speed_is_unknown_is_absent() {
        assert_eq!([0, 0xffff, u32::MAX, 1000].map(speed), [None, None, None, Some(1000)]);
    }
}
