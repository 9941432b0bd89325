//! An open port serves nobody but the run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::wiring::{Lab, PORT};

const WIRE: &[&str] = &["--from", "10.7.1.1", "--to", "10.7.1.2"];

#[test]
fn whoever_has_another_secret_gets_nothing() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    let before = lab.hosts[1].counters("net1").0;

    let output = lab.try_measure(1, "another secret, long enough", WIRE);

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("it is no pod of this run"), "{said}");
    assert!(lab.hosts[1].counters("net1").0 - before < 10_000);
}

#[test]
fn a_secret_that_is_too_short_is_refused_with_the_fix() {
    let output = Lab::new(2).try_measure(1, "short", WIRE);

    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("CONCHECK_TOKEN") && said.contains("16 or more"), "{said}");
}

#[test]
fn nonsense_and_silence_do_not_keep_others_out() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    let silent = lab.hosts[1].inside(|| {
        let connect = || TcpStream::connect(("127.0.0.1", PORT)).unwrap();
        let mut noisy = connect();
        noisy.write_all(&vec![b'x'; 100_000]).ok();
        noisy.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut said = Vec::new();
        // A reset is as good an end as a close.
        let _ = noisy.read_to_end(&mut said);
        assert!(said.len() < 100, "{}", String::from_utf8_lossy(&said));
        (0..40).map(|_| connect()).collect::<Vec<_>>()
    });

    let (code, outcome) = lab.measure(1, WIRE);

    assert_eq!((code, silent.len()), (0, 40), "{outcome}");
}
