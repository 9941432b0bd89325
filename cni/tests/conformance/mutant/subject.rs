//! The toy as a subject.

use serde_json::json;

use crate::runner::bench::{Bench, WIRE};
use crate::runner::debian::unreachable_gateway;
use crate::runner::subject::{Kind, Pool, Subject};

/// The toy, right or with flaws.
pub fn toy(bench: &Bench, kind: Kind, flaws: &[&str]) -> Result<Subject, String> {
    let mut arguments = vec!["toy".to_owned()];
    if kind == Kind::Ipam {
        arguments.push("--ipam".to_owned());
    }
    arguments.extend(flaws.iter().flat_map(|flaw| ["--flaw".to_owned(), (*flaw).to_owned()]));
    let folder = bench.folder().to_owned();
    let config = move |pool, number: usize| {
        let (name, size) = match pool {
            Pool::Wide => ("wide", 100),
            Pool::Narrow => ("narrow", 2),
        };
        json!({
            "name": name, "type": "toy", "master": WIRE, "dns": {"nameservers": ["10.77.0.2"]},
            "ipam": {"type": "toy", "size": size, "routes": [{"dst": "10.88.0.0/16"}],
                "dataDir": folder.join(number.to_string())},
        })
    };
    Ok(Subject {
        name: format!("toy {}", flaws.join(" ")),
        kind,
        program: std::env::current_exe().map_err(|error| error.to_string())?,
        arguments,
        environment: Vec::new(),
        path: "/nonexistent".to_owned(),
        config: Box::new(config),
        narrow_size: 2,
        link_name: str::to_owned,
        fault: Some(unreachable_gateway),
        takes_mac: true,
        takes_ip: Some("10.77.0.90/24".to_owned()),
        uses_prev_result: false,
        keep: None,
    })
}
