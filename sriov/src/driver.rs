//! Which driver a PCI function is bound to: to vfio-pci, to its own, off and on again (TRAPS V4).
//!
//! Always by `driver_override`, `unbind` and `drivers_probe`, never by `new_id`, which would catch functions that nobody
//! meant. The override stays only while the function is bound to a driver that is not its own.
//! Source: Documentation/ABI/testing/sysfs-bus-pci.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hwprobe::{Driver, PciAddress};

use crate::Roots;
use crate::stuck::{Stuck, Works};

/// Where to bind, and how long it may take.
#[derive(Debug, Clone)]
pub struct Binder {
    roots: Roots,
    works: Works,
    deadline: Duration,
}

/// A function is not bound as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// There is no such function.
    #[error("{device}: there is no such PCI function; it was removed, or its PF has fewer VFs now")]
    NoDevice {
        /// The function.
        device: PciAddress,
    },
    /// The driver is not in the kernel.
    #[error("{device}: the driver {driver} is not loaded; run `modprobe {driver}`")]
    NotLoaded {
        /// The function.
        device: PciAddress,
        /// The driver.
        driver: String,
    },
    /// A file below `/sys` refused what was written.
    #[error("{device}: write `{value}` to {}", file.display())]
    Write {
        /// The function.
        device: PciAddress,
        /// The file.
        file: PathBuf,
        /// What was written.
        value: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel took everything and another driver, or none, is bound.
    #[error(
        "{device}: bound to {} instead of {wanted}; see the kernel's log for why {wanted} refused it",
        bound.as_deref().unwrap_or("no driver")
    )]
    NotBound {
        /// The function.
        device: PciAddress,
        /// The driver that was asked for, or `its own driver`.
        wanted: String,
        /// The driver that is bound.
        bound: Option<String>,
    },
    /// The kernel did not come back.
    #[error(transparent)]
    Stuck(#[from] Stuck),
}

impl Binder {
    /// Binds below `roots`, each time within `deadline`; what hangs is in `works`.
    pub fn new(roots: Roots, works: Works, deadline: Duration) -> Self {
        Self { roots, works, deadline }
    }

    /// The driver that a function is bound to now.
    pub fn bound(&self, device: PciAddress) -> Option<String> {
        Function::new(&self.roots, device).bound()
    }

    /// The driver that the function is reserved for (`driver_override`); none is the usual.
    pub fn reserved(&self, device: PciAddress) -> Option<String> {
        Function::new(&self.roots, device).reserved()
    }

    /// Binds a function to a driver that is not its own, like `vfio-pci`, and reserves it. Nothing happens when it is
    /// bound already. `owned` lives until the kernel has come back: the PF's lock.
    ///
    /// # Errors
    /// When the driver is not loaded or does not take it, or the kernel hangs.
    pub fn bind(
        &self,
        device: PciAddress,
        driver: &str,
        owned: impl Send + 'static,
    ) -> Result<(), DriverError> {
        let driver = driver.to_owned();
        self.run(device, &format!("bind to {driver}"), owned, move |function| {
            if function.bound().as_deref() == Some(&driver) && function.reserved().as_deref() == Some(&driver)
            {
                return Ok(());
            }
            if !function.has_driver(&driver) {
                return Err(DriverError::NotLoaded { device, driver });
            }
            function.write("driver_override", &driver)?;
            if function.bound().as_deref() != Some(&driver) {
                function.unbind()?;
                function.probe()?;
            }
            function.must_be_bound(Some(&driver))
        })
    }

    /// Binds a function to the driver that the kernel chooses for it, with no reservation left. Nothing happens when it
    /// is so already. `owned` as for [`Binder::bind`].
    ///
    /// # Errors
    /// When no driver takes it, or the kernel hangs.
    pub fn bind_own(&self, device: PciAddress, owned: impl Send + 'static) -> Result<(), DriverError> {
        self.run(device, "bind to its own driver", owned, move |function| {
            function.clear_reservation()?;
            if function.bound().is_none_or(|name| Driver::is_passthrough(&name)) {
                function.unbind()?;
                function.probe()?;
            }
            function.must_be_bound(None)
        })
    }

    /// Unbinds a function and binds it to the same driver again: a VF takes a MAC that its PF set only then.
    /// `owned` as for [`Binder::bind`].
    ///
    /// # Errors
    /// When the driver does not take it back, or the kernel hangs.
    pub fn rebind(&self, device: PciAddress, owned: impl Send + 'static) -> Result<(), DriverError> {
        self.run(device, "bind again", owned, move |function| {
            let before = function.bound();
            function.unbind()?;
            function.probe()?;
            function.must_be_bound(before.as_deref())
        })
    }

    /// Unbinds a function; fine when it is bound to nothing. `owned` as for [`Binder::bind`].
    ///
    /// # Errors
    /// When the kernel refuses or hangs.
    pub fn unbind(&self, device: PciAddress, owned: impl Send + 'static) -> Result<(), DriverError> {
        self.run(device, "unbind", owned, |function| function.unbind())
    }

    fn run(
        &self,
        device: PciAddress,
        what: &str,
        owned: impl Send + 'static,
        work: impl FnOnce(&Function) -> Result<(), DriverError> + Send + 'static,
    ) -> Result<(), DriverError> {
        let function = Function::new(&self.roots, device);
        self.works.run(&device.to_string(), what, self.deadline, move || {
            let _owned = owned;
            if !function.folder.is_dir() {
                return Err(DriverError::NoDevice { device });
            }
            work(&function)
        })?
    }
}

/// A PCI function's files.
#[derive(Debug)]
struct Function {
    device: PciAddress,
    folder: PathBuf,
    bus: PathBuf,
}

impl Function {
    fn new(roots: &Roots, device: PciAddress) -> Self {
        let bus = roots.sys.join("bus/pci");
        Self { device, folder: bus.join("devices").join(device.to_string()), bus }
    }

    fn bound(&self) -> Option<String> {
        let target = fs::read_link(self.folder.join("driver")).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    fn reserved(&self) -> Option<String> {
        crate::pf::reserved(&self.folder)
    }

    fn has_driver(&self, driver: &str) -> bool {
        !driver.contains('/') && self.bus.join("drivers").join(driver).is_dir()
    }

    fn clear_reservation(&self) -> Result<(), DriverError> {
        // A single line end clears it; an empty write never reaches the kernel.
        if self.reserved().is_some() { self.write("driver_override", "\n") } else { Ok(()) }
    }

    fn unbind(&self) -> Result<(), DriverError> {
        let Some(driver) = self.bound() else { return Ok(()) };
        let file = self.bus.join("drivers").join(driver).join("unbind");
        match self.put(&file, &self.device.to_string()) {
            // Somebody else was faster.
            Err(_) if self.bound().is_none() => Ok(()),
            done => done,
        }
    }

    fn probe(&self) -> Result<(), DriverError> {
        let file = self.bus.join("drivers_probe");
        match self.put(&file, &self.device.to_string()) {
            // The verdict is which driver is bound: the kernel also answers EINVAL for "no driver wants it".
            Err(DriverError::Write { source, .. }) if source.raw_os_error() == Some(nix::libc::EINVAL) => {
                Ok(())
            }
            done => done,
        }
    }

    fn must_be_bound(&self, wanted: Option<&str>) -> Result<(), DriverError> {
        let bound = self.bound();
        let right = match wanted {
            Some(wanted) => bound.as_deref() == Some(wanted),
            None => bound.as_deref().is_some_and(|driver| !Driver::is_passthrough(driver)),
        };
        if right {
            return Ok(());
        }
        let wanted = wanted.unwrap_or("its own driver").to_owned();
        Err(DriverError::NotBound { device: self.device, wanted, bound })
    }

    fn write(&self, name: &str, value: &str) -> Result<(), DriverError> {
        self.put(&self.folder.join(name), value)
    }

    fn put(&self, file: &Path, value: &str) -> Result<(), DriverError> {
        write_attribute(file, value).map_err(|source| DriverError::Write {
            device: self.device,
            file: file.to_owned(),
            value: value.trim().to_owned(),
            source,
        })
    }
}

/// Writes a sysfs attribute in one piece; never makes a file.
pub(crate) fn write_attribute(file: &Path, value: &str) -> io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binder(roots: &Roots) -> Binder {
        Binder::new(roots.clone(), Works::new(), Duration::from_secs(20))
    }

    #[test]
    fn a_function_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());

        let error = binder(&roots).rebind("0000:01:10.0".parse().unwrap(), ()).unwrap_err();

        assert!(error.to_string().starts_with("0000:01:10.0: there is no such PCI function"), "{error}");
    }

    #[test]
    fn a_driver_that_is_not_loaded_is_named_with_the_remedy_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let device = roots.sys.join("bus/pci/devices/0000:01:10.0");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("driver_override"), "(null)\n").unwrap();

        let error = binder(&roots).bind("0000:01:10.0".parse().unwrap(), "vfio-pci", ()).unwrap_err();

        assert!(error.to_string().ends_with("run `modprobe vfio-pci`"), "{error}");
        assert_eq!(fs::read_to_string(device.join("driver_override")).unwrap(), "(null)\n");
    }
}
