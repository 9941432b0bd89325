//! Everything this crate reads of this machine, as JSON on standard output.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;

use netlink::{Family, Socket, devlink, ethtool, route};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut socket = Socket::open(Family::Route)?;
    let mut generic = Socket::open(Family::Generic)?;
    let links = route::links(&mut socket)?;
    for failure in &links.failures {
        eprintln!("{failure}");
    }
    let indexes: Vec<u32> = links.links.iter().map(|link| link.index).collect();
    let all = json!({
        "links": links.links,
        "ethtool": ethtool::answers(&mut generic, &indexes)?,
        "addresses": route::addresses(&mut socket)?,
        "defaultRoutes": route::default_routes(&mut socket)?,
        "rules": route::rules(&mut socket)?,
        "namespaceIds": route::namespace_ids(&mut socket)?,
        "devlink": devices(&mut generic)?,
    });
    println!("{all:#}");
    Ok(())
}

fn devices(generic: &mut Socket) -> Result<Value, Box<dyn Error>> {
    let devices = match devlink::devices(generic) {
        Err(netlink::Error::FamilyAbsent { .. }) => return Ok(Value::Null),
        other => other?,
    };
    let mut all = Vec::new();
    for device in devices {
        all.push(json!({
            "device": device,
            "info": devlink::info(generic, &device.handle)?,
            "eswitch": devlink::eswitch(generic, &device.handle)?,
        }));
    }
    Ok(json!({ "devices": all, "ports": devlink::ports(generic)? }))
}
