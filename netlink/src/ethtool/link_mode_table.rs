//! What each link mode bit means.

use Duplex::{Full, Half};
use Medium::{Backplane, DirectAttachCopper, Fibre, Serdes, TwistedPair};

use super::link_modes::Duplex;

/// A link mode: speed, lanes, duplex and medium; or, without a speed, a property of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mode {
    /// Bit number, `ETHTOOL_LINK_MODE_*_BIT`.
    pub bit: u32,
    /// The kernel's name, as in its string set `link-modes`: `100000baseSR4/Full`.
    pub name: &'static str,
    /// Speed in Mb/s; absent for properties (autonegotiation, plug, pause, FEC).
    pub speed: Option<u32>,
    /// Lanes; absent for properties.
    pub lanes: Option<u32>,
    /// Duplex; absent for properties.
    pub duplex: Option<Duplex>,
    /// What the mode runs over; absent for properties.
    pub medium: Option<Medium>,
}

/// What a link mode runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Medium {
    /// Copper pairs.
    TwistedPair,
    /// Optical fibre.
    Fibre,
    /// Direct-attach copper cable.
    DirectAttachCopper,
    /// Traces of a backplane.
    Backplane,
    /// A bare serial lane to whatever is plugged.
    Serdes,
}

/// What this bit means; absent for bits newer than the table.
pub fn mode(bit: u32) -> Option<&'static Mode> {
    MODES.get(usize::try_from(bit).ok()?)
}

const fn property(bit: u32, name: &'static str) -> Mode {
    Mode { bit, name, speed: None, lanes: None, duplex: None, medium: None }
}

const fn link(bit: u32, name: &'static str, speed: u32, lanes: u32, duplex: Duplex, medium: Medium) -> Mode {
    Mode { bit, name, speed: Some(speed), lanes: Some(lanes), duplex: Some(duplex), medium: Some(medium) }
}

/// All modes; a mode's bit number is its position. Source: `linux/ethtool.h`, the names are
/// compared with the running kernel's in a test.
#[rustfmt::skip] // one mode a line reads as the table it is
pub static MODES: &[Mode] = &[
    link(0, "10baseT/Half", 10, 1, Half, TwistedPair),
    link(1, "10baseT/Full", 10, 1, Full, TwistedPair),
    link(2, "100baseT/Half", 100, 1, Half, TwistedPair),
    link(3, "100baseT/Full", 100, 1, Full, TwistedPair),
    link(4, "1000baseT/Half", 1_000, 1, Half, TwistedPair),
    link(5, "1000baseT/Full", 1_000, 1, Full, TwistedPair),
    property(6, "Autoneg"),
    property(7, "TP"),
    property(8, "AUI"),
    property(9, "MII"),
    property(10, "FIBRE"),
    property(11, "BNC"),
    link(12, "10000baseT/Full", 10_000, 1, Full, TwistedPair),
    property(13, "Pause"),
    property(14, "Asym_Pause"),
    link(15, "2500baseX/Full", 2_500, 1, Full, Serdes),
    property(16, "Backplane"),
    link(17, "1000baseKX/Full", 1_000, 1, Full, Backplane),
    link(18, "10000baseKX4/Full", 10_000, 4, Full, Backplane),
    link(19, "10000baseKR/Full", 10_000, 1, Full, Backplane),
    link(20, "10000baseR_FEC", 10_000, 1, Full, Backplane),
    link(21, "20000baseMLD2/Full", 20_000, 2, Full, Backplane),
    link(22, "20000baseKR2/Full", 20_000, 2, Full, Backplane),
    link(23, "40000baseKR4/Full", 40_000, 4, Full, Backplane),
    link(24, "40000baseCR4/Full", 40_000, 4, Full, DirectAttachCopper),
    link(25, "40000baseSR4/Full", 40_000, 4, Full, Fibre),
    link(26, "40000baseLR4/Full", 40_000, 4, Full, Fibre),
    link(27, "56000baseKR4/Full", 56_000, 4, Full, Backplane),
    link(28, "56000baseCR4/Full", 56_000, 4, Full, DirectAttachCopper),
    link(29, "56000baseSR4/Full", 56_000, 4, Full, Fibre),
    link(30, "56000baseLR4/Full", 56_000, 4, Full, Fibre),
    link(31, "25000baseCR/Full", 25_000, 1, Full, DirectAttachCopper),
    link(32, "25000baseKR/Full", 25_000, 1, Full, Backplane),
    link(33, "25000baseSR/Full", 25_000, 1, Full, Fibre),
    link(34, "50000baseCR2/Full", 50_000, 2, Full, DirectAttachCopper),
    link(35, "50000baseKR2/Full", 50_000, 2, Full, Backplane),
    link(36, "100000baseKR4/Full", 100_000, 4, Full, Backplane),
    link(37, "100000baseSR4/Full", 100_000, 4, Full, Fibre),
    link(38, "100000baseCR4/Full", 100_000, 4, Full, DirectAttachCopper),
    link(39, "100000baseLR4_ER4/Full", 100_000, 4, Full, Fibre),
    link(40, "50000baseSR2/Full", 50_000, 2, Full, Fibre),
    link(41, "1000baseX/Full", 1_000, 1, Full, Serdes),
    link(42, "10000baseCR/Full", 10_000, 1, Full, DirectAttachCopper),
    link(43, "10000baseSR/Full", 10_000, 1, Full, Fibre),
    link(44, "10000baseLR/Full", 10_000, 1, Full, Fibre),
    link(45, "10000baseLRM/Full", 10_000, 1, Full, Fibre),
    link(46, "10000baseER/Full", 10_000, 1, Full, Fibre),
    link(47, "2500baseT/Full", 2_500, 1, Full, TwistedPair),
    link(48, "5000baseT/Full", 5_000, 1, Full, TwistedPair),
    property(49, "None"),
    property(50, "RS"),
    property(51, "BASER"),
    link(52, "50000baseKR/Full", 50_000, 1, Full, Backplane),
    link(53, "50000baseSR/Full", 50_000, 1, Full, Fibre),
    link(54, "50000baseCR/Full", 50_000, 1, Full, DirectAttachCopper),
    link(55, "50000baseLR_ER_FR/Full", 50_000, 1, Full, Fibre),
    link(56, "50000baseDR/Full", 50_000, 1, Full, Fibre),
    link(57, "100000baseKR2/Full", 100_000, 2, Full, Backplane),
    link(58, "100000baseSR2/Full", 100_000, 2, Full, Fibre),
    link(59, "100000baseCR2/Full", 100_000, 2, Full, DirectAttachCopper),
    link(60, "100000baseLR2_ER2_FR2/Full", 100_000, 2, Full, Fibre),
    link(61, "100000baseDR2/Full", 100_000, 2, Full, Fibre),
    link(62, "200000baseKR4/Full", 200_000, 4, Full, Backplane),
    link(63, "200000baseSR4/Full", 200_000, 4, Full, Fibre),
    link(64, "200000baseLR4_ER4_FR4/Full", 200_000, 4, Full, Fibre),
    link(65, "200000baseDR4/Full", 200_000, 4, Full, Fibre),
    link(66, "200000baseCR4/Full", 200_000, 4, Full, DirectAttachCopper),
    link(67, "100baseT1/Full", 100, 1, Full, TwistedPair),
    link(68, "1000baseT1/Full", 1_000, 1, Full, TwistedPair),
    link(69, "400000baseKR8/Full", 400_000, 8, Full, Backplane),
    link(70, "400000baseSR8/Full", 400_000, 8, Full, Fibre),
    link(71, "400000baseLR8_ER8_FR8/Full", 400_000, 8, Full, Fibre),
    link(72, "400000baseDR8/Full", 400_000, 8, Full, Fibre),
    link(73, "400000baseCR8/Full", 400_000, 8, Full, DirectAttachCopper),
    property(74, "LLRS"),
    link(75, "100000baseKR/Full", 100_000, 1, Full, Backplane),
    link(76, "100000baseSR/Full", 100_000, 1, Full, Fibre),
    link(77, "100000baseLR_ER_FR/Full", 100_000, 1, Full, Fibre),
    link(78, "100000baseCR/Full", 100_000, 1, Full, DirectAttachCopper),
    link(79, "100000baseDR/Full", 100_000, 1, Full, Fibre),
    link(80, "200000baseKR2/Full", 200_000, 2, Full, Backplane),
    link(81, "200000baseSR2/Full", 200_000, 2, Full, Fibre),
    link(82, "200000baseLR2_ER2_FR2/Full", 200_000, 2, Full, Fibre),
    link(83, "200000baseDR2/Full", 200_000, 2, Full, Fibre),
    link(84, "200000baseCR2/Full", 200_000, 2, Full, DirectAttachCopper),
    link(85, "400000baseKR4/Full", 400_000, 4, Full, Backplane),
    link(86, "400000baseSR4/Full", 400_000, 4, Full, Fibre),
    link(87, "400000baseLR4_ER4_FR4/Full", 400_000, 4, Full, Fibre),
    link(88, "400000baseDR4/Full", 400_000, 4, Full, Fibre),
    link(89, "400000baseCR4/Full", 400_000, 4, Full, DirectAttachCopper),
    link(90, "100baseFX/Half", 100, 1, Half, Fibre),
    link(91, "100baseFX/Full", 100, 1, Full, Fibre),
    link(92, "10baseT1L/Full", 10, 1, Full, TwistedPair),
    link(93, "800000baseCR8/Full", 800_000, 8, Full, DirectAttachCopper),
    link(94, "800000baseKR8/Full", 800_000, 8, Full, Backplane),
    link(95, "800000baseDR8/Full", 800_000, 8, Full, Fibre),
    link(96, "800000baseDR8_2/Full", 800_000, 8, Full, Fibre),
    link(97, "800000baseSR8/Full", 800_000, 8, Full, Fibre),
    link(98, "800000baseVR8/Full", 800_000, 8, Full, Fibre),
    link(99, "10baseT1S/Full", 10, 1, Full, TwistedPair),
    link(100, "10baseT1S/Half", 10, 1, Half, TwistedPair),
    link(101, "10baseT1S_P2MP/Half", 10, 1, Half, TwistedPair),
    link(102, "10baseT1BRR/Full", 10, 1, Full, TwistedPair),
    link(103, "200000baseCR/Full", 200_000, 1, Full, DirectAttachCopper),
    link(104, "200000baseKR/Full", 200_000, 1, Full, Backplane),
    link(105, "200000baseDR/Full", 200_000, 1, Full, Fibre),
    link(106, "200000baseDR_2/Full", 200_000, 1, Full, Fibre),
    link(107, "200000baseSR/Full", 200_000, 1, Full, Fibre),
    link(108, "200000baseVR/Full", 200_000, 1, Full, Fibre),
    link(109, "400000baseCR2/Full", 400_000, 2, Full, DirectAttachCopper),
    link(110, "400000baseKR2/Full", 400_000, 2, Full, Backplane),
    link(111, "400000baseDR2/Full", 400_000, 2, Full, Fibre),
    link(112, "400000baseDR2_2/Full", 400_000, 2, Full, Fibre),
    link(113, "400000baseSR2/Full", 400_000, 2, Full, Fibre),
    link(114, "400000baseVR2/Full", 400_000, 2, Full, Fibre),
    link(115, "800000baseCR4/Full", 800_000, 4, Full, DirectAttachCopper),
    link(116, "800000baseKR4/Full", 800_000, 4, Full, Backplane),
    link(117, "800000baseDR4/Full", 800_000, 4, Full, Fibre),
    link(118, "800000baseDR4_2/Full", 800_000, 4, Full, Fibre),
    link(119, "800000baseSR4/Full", 800_000, 4, Full, Fibre),
    link(120, "800000baseVR4/Full", 800_000, 4, Full, Fibre),
    link(121, "1600000baseCR8/Full", 1_600_000, 8, Full, DirectAttachCopper),
    link(122, "1600000baseKR8/Full", 1_600_000, 8, Full, Backplane),
    link(123, "1600000baseDR8/Full", 1_600_000, 8, Full, Fibre),
    link(124, "1600000baseDR8_2/Full", 1_600_000, 8, Full, Fibre),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethtool::decode::names;
    use crate::ethtool::request::{self, FAMILY, StringSet};
    use crate::socket::{Family, Socket};

    fn kernel_names() -> Vec<String> {
        let mut socket = Socket::open(Family::Generic).unwrap();
        let family = socket.family(FAMILY).unwrap().id;
        let answers = socket.ask(&request::names(family, StringSet::LinkModes, None)).unwrap();
        names(&answers[0].1).unwrap()
    }

    #[test]
    fn the_running_kernel_gives_each_bit_the_same_name() {
        let kernel = kernel_names();

        assert!(kernel.len() > 90, "{} names", kernel.len());
        for (ours, theirs) in MODES.iter().zip(&kernel) {
            assert_eq!(ours.name, theirs, "bit {}", ours.bit);
        }
    }

    #[test]
    fn each_mode_stands_at_its_bit_and_its_name_tells_its_speed() {
        for (position, mode) in (0..).zip(MODES) {
            assert_eq!(mode.bit, position);
            let speed = mode.name.split_once("base").map(|(speed, _)| speed.parse().unwrap());
            assert_eq!(mode.speed, speed, "{}", mode.name);
            let duplex = mode.name.split_once('/').map(|(_, duplex)| Duplex::from_name(duplex).unwrap());
            assert!(mode.duplex == duplex || duplex.is_none(), "{}", mode.name);
        }
    }

    #[test]
    fn lanes_are_what_the_standards_say() {
        let lanes = |name: &str| MODES.iter().find(|mode| mode.name == name).unwrap().lanes;
        assert_eq!(lanes("400000baseSR8/Full"), Some(8));
        assert_eq!(lanes("400000baseSR4/Full"), Some(4));
        assert_eq!(lanes("100000baseLR4_ER4/Full"), Some(4));
        assert_eq!(lanes("100000baseLR_ER_FR/Full"), Some(1));
        assert_eq!(lanes("200000baseLR2_ER2_FR2/Full"), Some(2));
        assert_eq!(lanes("10000baseKX4/Full"), Some(4));
        assert_eq!(lanes("800000baseDR8_2/Full"), Some(8));
        assert_eq!(lanes("2500baseX/Full"), Some(1));
        assert_eq!(lanes("Autoneg"), None);
    }
}
