//! Settings of a link below `/proc/sys/net`, as the calling thread's namespace shows them.

use std::fs;

use crate::DatapathError;

/// IPv6 settings of a pod's link, written before it comes up (TRAPS P10): what a router says on the wire must
/// not give the pod a default route or an address.
const WITH_IPV6: [(&str, &str); 4] =
    [("accept_ra", "0"), ("autoconf", "0"), ("accept_redirects", "0"), ("keep_addr_on_down", "1")];

/// On a link that has no IPv6 address.
const WITHOUT_IPV6: [(&str, &str); 1] = [("disable_ipv6", "1")];

/// Settles IPv6 on a link of the calling thread's namespace. A kernel without IPv6 is settled already.
pub(crate) fn settle_ipv6(link: &str, wanted: bool) -> Result<(), DatapathError> {
    let settings: &[(&str, &str)] = if wanted { &WITH_IPV6 } else { &WITHOUT_IPV6 };
    for (setting, value) in settings {
        let file = format!("/proc/sys/net/ipv6/conf/{link}/{setting}");
        match fs::write(&file, value) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !wanted => {}
            Err(source) => return Err(DatapathError::Sysctl { file, value: (*value).to_owned(), source }),
        }
    }
    // The namespace may have IPv6 off for new links.
    if wanted {
        let file = format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6");
        if fs::read_to_string(&file).is_ok_and(|value| value.trim() == "1") {
            fs::write(&file, "0").map_err(|source| DatapathError::Sysctl {
                file,
                value: "0".to_owned(),
                source,
            })?;
        }
    }
    Ok(())
}

/// Reads a setting of a host link, as a number.
pub(crate) fn read(family: &str, link: &str, setting: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/net/{family}/conf/{link}/{setting}")).ok()?.trim().parse().ok()
}

/// Writes a setting of a host link.
pub(crate) fn write(family: &str, link: &str, setting: &str, value: u32) -> Result<(), DatapathError> {
    let file = format!("/proc/sys/net/{family}/conf/{link}/{setting}");
    fs::write(&file, value.to_string()).map_err(|source| DatapathError::Sysctl {
        file,
        value: value.to_string(),
        source,
    })
}
