//! Port speeds of models, for ports whose driver says neither a speed nor modes.

use crate::model::SpeedMbps;

/// The most that a port of this model does, by lower-case vendor and device id.
///
/// Source: the makers' public data sheets. Only models whose every variant has ports of one greatest speed
/// are listed; a card that was sold slower under the same id would be guessed.
pub(crate) fn port_speed(vendor: &str, device: &str) -> Option<SpeedMbps> {
    let mbps = match (vendor, device) {
        // Intel 82576, I350, I210, I226; 82599, X550, X710; XXV710, E810-XXV; XL710; E810-C.
        ("8086", "10c9" | "1521" | "1533") => 1_000,
        ("8086", "125b" | "125c") => 2_500,
        ("8086", "10fb" | "1563" | "1572") => 10_000,
        ("8086", "158b" | "159b") => 25_000,
        ("8086", "1583" | "1584") => 40_000,
        ("8086", "1592") => 100_000,
        // NVIDIA ConnectX-5 Ex, -6, -7, -8; BlueField-3.
        ("15b3", "1019") => 100_000,
        ("15b3", "101b") => 200_000,
        ("15b3", "1021" | "a2dc") => 400_000,
        ("15b3", "1023") => 800_000,
        // Broadcom 57414; 57608.
        ("14e4", "16d7") => 25_000,
        ("14e4", "1760") => 400_000,
        _ => return None,
    };
    SpeedMbps::new(mbps)
}
