//! Examples about pools, shown by the handler's own function.

use std::time::{Duration, SystemTime};

use openapi::{Event, EventCause, FieldChange, PoolList};
use serde_json::Value;

use super::super::pools::pool;
use crate::config::{DevicePool, DeviceUse, PoolKind, Ranged, Selector};
use crate::device_plugin::{Device, Fault, PoolView, Standing};

/// One answer of every kind.
pub(super) fn answers() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let vfs = DevicePool {
        name: "rails".to_owned(),
        kind: PoolKind::Vf,
        usage: DeviceUse::Netdevice,
        rdma: true,
        exclude_topology: false,
        selectors: vec![Selector {
            vendors: vec!["15b3".to_owned()],
            pf_names: Ranged::parse("ens1f0np0#0-3").into_iter().collect(),
            ..Selector::default()
        }],
    };
    let shares = DevicePool { name: "shares".to_owned(), kind: PoolKind::Nic { count: 8 }, ..vfs.clone() };
    let device = |id: &str, fault: Option<Fault>| Device {
        id: id.to_owned(),
        healthy: fault.is_none(),
        numa: Some(0),
        port: "0000:3b:00.0".to_owned(),
        held: fault.is_some(),
        fault,
    };
    let held = Fault::NoCarrier { port: "ens1f0np0".to_owned() };
    let of_vf = vec![
        (device("0000:3b:00.2", Some(held)), vec!["pod shop/cart (network rails, net1)".to_owned()]),
        (device("0000:3b:00.3", None), Vec::new()),
    ];
    let of_share = vec![(device("0000:3b:00.0#0", None), Vec::new())];
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_325_504);
    let view = |config: DevicePool, devices| {
        let mut view = PoolView::of(config, "multinic.fms.io", Standing::new(since), Some(devices));
        view.standing.last_error = Some((REASON.to_owned(), since - Duration::from_secs(30)));
        view
    };
    // The share first: an example keeps the one with the most members.
    let pools = [view(shares, of_share), view(vfs, of_vf)].iter().map(|view| pool(view, true)).collect();
    Ok(vec![("PoolList", serde_json::to_value(PoolList { enabled: true, pools })?)])
}

const REASON: &str = "it listens on /var/lib/kubelet/device-plugins/multinic.fms.io_rails.sock";

/// An event about a pool, from any other event.
pub(super) fn refused(event: Event) -> Event {
    Event {
        cause: EventCause::Agent,
        gpu: None,
        warning: None,
        pool: Some("multinic.fms.io/rails".to_owned()),
        changes: vec![
            FieldChange { path: "/state".to_owned(), from: Some("waiting".into()), to: Some("taken".into()) },
            FieldChange { path: "/lastError/message".to_owned(), from: None, to: Some(REASON.into()) },
        ],
        ..event
    }
}
