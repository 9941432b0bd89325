//! Writes from which the kernel does not come back.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::holders::{assert_refused, holder_kinds};
use crate::pf_lab::{Lab, OTHER, PF, count, device, group, vf, vfs, wait_until};
use sriov::{Deadlines, DesiredPf, HolderKind, NoClaims, PlanProblem, SriovError, VfDriver};

/// A process that has a vfio group open.
struct VfioUser(std::process::Child);

impl VfioUser {
    fn of(pci: &str) -> Self {
        let group = fs::read_link(device(pci, "iommu_group")).unwrap();
        let group = format!("/dev/vfio/{}", group.file_name().unwrap().to_str().unwrap());
        // An open group alone does not keep the device: it takes a container and the device's own descriptor.
        let program = format!(
            "import fcntl,os,sys,array\n\
             c=os.open('/dev/vfio/vfio',os.O_RDWR)\n\
             g=os.open('{group}',os.O_RDWR)\n\
             fcntl.ioctl(g,0x3b68,array.array('i',[c]))\n\
             fcntl.ioctl(c,0x3b66,1)\n\
             d=fcntl.ioctl(g,0x3b6a,b'{pci}\\0'+bytes(64))\n\
             print('open',flush=True)\n\
             sys.stdin.read()\n"
        );
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(&line, b"open\n");
        Self(child)
    }
}

impl Drop for VfioUser {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn an_open_vfio_group_refuses_at_once_and_a_write_by_hand_that_hangs_hurts_nobody_else() {
    let lab = Lab::new();
    let passed = DesiredPf { groups: vec![group(0, 1, VfDriver::vfio())], ..vfs(2) };
    assert!(lab.apply(PF, &passed).is_complete());
    assert!(lab.apply(OTHER, &vfs(3)).is_complete());
    let user = VfioUser::of(&vf(PF, 0));

    assert_eq!(holder_kinds(&lab), [(0, HolderKind::Vfio)]);
    assert_refused(&lab, "vfio, open by python3");

    // By hand nothing refuses: the kernel waits for the process.
    let mut by_hand =
        Command::new("sh").args(["-c", &format!("echo 0 > {}", device(PF, "sriov_numvfs"))]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(by_hand.try_wait().unwrap().is_none(), "the write by hand does not hang");

    // Looking never hangs, nor does what is done to another PF's VFs.
    let begun = Instant::now();
    let refused = lab.control.apply(PF, &vfs(1), &NoClaims);
    let problems = refused.unwrap().plan.problems;
    assert!(matches!(problems[..], [PlanProblem::InFlux(1)]), "{problems:?}");
    let to_vfio = DesiredPf { groups: vec![group(1, 1, VfDriver::vfio())], ..vfs(3) };
    let other = lab.apply(OTHER, &to_vfio);
    assert!(other.is_complete(), "{other:?}");
    assert!(lab.locks.give(OTHER, Duration::ZERO).is_ok());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(lab.works.stuck().is_empty(), "{:?}", lab.works.stuck());

    drop(user);
    wait_until("the write by hand ends", || by_hand.try_wait().unwrap().is_some());
    assert_eq!(count(PF), "0");
    assert!(lab.apply(PF, &vfs(1)).is_complete());
}

#[test]
#[ignore = "needs the lab VM"]
fn a_write_of_ours_that_hangs_keeps_its_pf_and_is_listed_until_it_ends() {
    let mut deadlines = Deadlines::default();
    deadlines.lock = Duration::from_millis(100);
    let lab = Lab::with(deadlines);
    let passed = DesiredPf { groups: vec![group(0, 0, VfDriver::vfio())], ..vfs(1) };
    assert!(lab.apply(PF, &passed).is_complete() && lab.apply(OTHER, &vfs(1)).is_complete());
    let user = VfioUser::of(&vf(PF, 0));

    // Nobody is asked here: what happens when a holder comes after the last look.
    let change = lab.locks.change(PF, "make 0 VFs", Duration::ZERO).unwrap();
    let file = device(PF, "sriov_numvfs");
    let hung = lab.works.run(PF, "write 0 to sriov_numvfs", Duration::from_millis(500), move || {
        let _change = change;
        fs::write(file, "0")
    });

    assert!(hung.is_err());
    assert_eq!(lab.works.stuck().len(), 1);
    assert_eq!(lab.works.stuck()[0].device, PF);
    assert!(matches!(lab.control.apply(PF, &vfs(1), &NoClaims), Err(SriovError::Changing(_))));
    assert!(lab.locks.give(PF, Duration::ZERO).is_err());
    // The other PF's VFs are used as before; only its count waits for the kernel.
    assert!(lab.locks.give(OTHER, Duration::ZERO).is_ok());
    let to_vfio = DesiredPf { groups: vec![group(0, 0, VfDriver::vfio())], ..vfs(1) };
    assert!(lab.apply(OTHER, &to_vfio).is_complete());
    let more = lab.apply(OTHER, &vfs(2));
    assert!(matches!(&more.failed, Some((_, SriovError::Behind { .. }))), "{more:?}");
    assert_eq!(count(OTHER), "1");

    drop(user);
    wait_until("the write ends", || lab.works.stuck().is_empty());
    assert!(lab.apply(OTHER, &vfs(2)).is_complete());
    wait_until("the PF is free", || lab.locks.give(PF, Duration::ZERO).is_ok());
    assert!(lab.apply(PF, &vfs(1)).is_complete());
}
