//! Settings of a link below `/proc/sys/net`.
//!
//! The kernel shows there what the *calling thread's* network namespace has, whoever mounted it.

use std::fs;
use std::io;
use std::path::Path;

use crate::DatapathError;

/// IPv6 settings of a link, written before it comes up (TRAPS P10): what a router says on the wire must not give it
/// a default route or an address.
const WITH_IPV6: [(&str, &str); 4] =
    [("accept_ra", "0"), ("autoconf", "0"), ("accept_redirects", "0"), ("keep_addr_on_down", "1")];

/// On a link that has no IPv6 address.
const WITHOUT_IPV6: [(&str, &str); 1] = [("disable_ipv6", "1")];

/// Settles IPv6 on a link of the calling thread's namespace. A kernel without IPv6 is settled already.
pub(crate) fn settle_ipv6(proc: &Path, link: &str, wanted: bool) -> Result<(), DatapathError> {
    let settings: &[(&str, &str)] = if wanted { &WITH_IPV6 } else { &WITHOUT_IPV6 };
    for (setting, value) in settings {
        match set(proc, "ipv6", link, setting, value) {
            Err(DatapathError::Sysctl { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !wanted =>
            {
                return Ok(());
            }
            other => other?,
        }
    }
    // The namespace may have IPv6 off for new links.
    if wanted && get(proc, "ipv6", link, "disable_ipv6").as_deref() == Some("1") {
        set(proc, "ipv6", link, "disable_ipv6", "0")?;
    }
    Ok(())
}

/// A setting of a link; absent when there is no such link or setting.
pub(crate) fn get(proc: &Path, family: &str, link: &str, setting: &str) -> Option<String> {
    let file = proc.join(format!("sys/net/{family}/conf/{link}/{setting}"));
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// Changes a setting of a link. Where it cannot be written but is so already, all is well.
pub(crate) fn set(
    proc: &Path,
    family: &str,
    link: &str,
    setting: &str,
    value: &str,
) -> Result<(), DatapathError> {
    let file = proc.join(format!("sys/net/{family}/conf/{link}/{setting}"));
    match fs::write(&file, value) {
        Err(_) if get(proc, family, link, setting).as_deref() == Some(value) => Ok(()),
        Err(source) => {
            Err(DatapathError::Sysctl { file: file.display().to_string(), value: value.to_owned(), source })
        }
        Ok(()) => Ok(()),
    }
}
