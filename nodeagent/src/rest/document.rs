//! The OpenAPI document: from the handlers, with the filters of the table and examples from real answers.

mod pfs;
mod pods;
mod pools;

use openapi::{
    Agent, Event, EventCause, EventId, EventType, Examples, FieldChange, Listener, ListenerState, Liveness,
    NicList, Problem, ProblemCode, Readiness, StoreState, StoreStatus, VfList, WarningList,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::nic_filter::{FILTERS, fixed_values};
use super::nics::SORTS;
use super::{classes, overview};
use crate::config::{DeviceClass, PciId, Settings};

/// Completes what utoipa generated.
///
/// # Errors
/// When the example no longer fits the model.
pub(super) fn complete(generated: &utoipa::openapi::OpenApi) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(generated)?;
    never_null(&mut document);
    filters(&mut document);
    let mut examples = Examples::default();
    let pods = pods::answers(&openapi::example_inventory()?)?;
    for (name, answer) in answers()?.into_iter().chain(pods).chain(pfs::answers()?).chain(pools::answers()?) {
        examples.collect(&document, name, &answer);
    }
    examples.inject(&mut document);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// Takes `null` out of every schema: what is unknown is left out of an answer, never null. For a choice between
/// null and a reference the reference is left, with the member's own description.
fn never_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(never_null),
        Value::Object(members) => {
            if let Some(Value::Array(kinds)) = members.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(parts)) = members.get_mut("oneOf") {
                parts.retain(|part| part.get("type").is_none_or(|kind| kind != "null"));
                if let [Value::Object(only)] = parts.as_mut_slice() {
                    let only = std::mem::take(only);
                    members.remove("oneOf");
                    members.extend(only);
                }
            }
            members.values_mut().for_each(never_null);
        }
        _ => {}
    }
}

/// Adds the table of filters to the parameters of `/v1/nics`.
fn filters(document: &mut Value) {
    let Some(operation) = document.pointer_mut("/paths/~1v1~1nics/get").and_then(Value::as_object_mut) else {
        return;
    };
    let parameter = |name: &str, description: String, example: &str, values: Option<Vec<String>>| {
        let mut schema = json!({ "type": "string" });
        if let Some(values) = values {
            schema = json!({ "type": "array", "items": { "type": "string", "enum": values } });
        }
        let mut parameter = json!({ "name": name, "in": "query", "description": description, "required": false, "schema": schema });
        if parameter["schema"]["type"] == "array" {
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
            parameter["example"] = json!([example]);
        } else {
            parameter["example"] = example.into();
        }
        parameter
    };
    let mut all: Vec<Value> = FILTERS
        .iter()
        .map(|filter| {
            let description = match fixed_values(filter) {
                Some(_) => filter.description.to_owned(),
                None => format!("{} Allowed: {}.", filter.description, (filter.allowed)().join("; ")),
            };
            parameter(filter.name, description, filter.example, fixed_values(filter))
        })
        .collect();
    let fields =
        "Members that each NIC in the answer has, as a comma list of dotted paths; all when not given.";
    all.push(parameter("fields", fields.to_owned(), "id,name,speed.mbps,link.operState", None));
    let sorts = SORTS.iter().flat_map(|key| [(*key).to_owned(), format!("-{key}")]).collect();
    let sort = "Order of the list: keys, each with `-` for the reverse. Unknown comes last; equals keep the order of the inventory.";
    all.push(parameter("sort", sort.to_owned(), "-speed", Some(sorts)));
    operation.insert("parameters".to_owned(), Value::Array(all));
}

/// One answer of every kind, made by the handlers' own functions from the example inventory.
fn answers() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let inventory = openapi::example_inventory()?;
    let mut settings = Settings::default();
    let class = DeviceClass {
        ids: PciId::parse("15b3:1021").into_iter().collect(),
        min_speed: "100G".parse().ok(),
        class: Some(hwprobe::SpeedClass::High),
        expression: r#"nic.driver.name == 'mlx5_core'"#.parse().ok(),
    };
    settings.device_classes.insert("rails".to_owned(), class);
    let agent = Agent {
        version: "0.1.0".to_owned(),
        epoch: "18c3f2a9b".to_owned(),
        standalone: true,
        started: "2026-11-24T05:27:03.120Z".to_owned(),
    };
    let event = |kind, nic: bool| Event {
        id: EventId::new("18c3f2a9b", 17),
        kind,
        time: "2026-11-24T05:31:44.007Z".to_owned(),
        generation: 42,
        cause: EventCause::Notification,
        nic: inventory.nics.get(1).filter(|_| nic).map(|nic| nic.id.clone()),
        name: inventory.nics.get(1).filter(|_| nic).and_then(|nic| nic.name.clone()),
        gpu: inventory.gpus.first().filter(|_| !nic).map(|gpu| gpu.pci),
        pool: None,
        changes: vec![FieldChange {
            path: "/link/operState".to_owned(),
            from: Some("up".into()),
            to: Some("down".into()),
        }],
        warning: inventory.warnings.first().filter(|_| !nic).cloned(),
        attachment: None,
        failure: None,
    };
    let mut refusal =
        super::problem::Refusal::value("class", "hihg", vec!["low".to_owned(), "high".to_owned()]).0;
    refusal.instance = Some("/v1/nics".to_owned());
    let mut ambiguous =
        Problem::new(ProblemCode::AmbiguousNic).detail("`02:00:5e:10:00:10` fits several NICs");
    ambiguous.instance = Some("/v1/nics/02:00:5e:10:00:10".to_owned());
    ambiguous.candidates = inventory.nics.iter().take(2).map(|nic| nic.id.clone()).collect();
    let mut full = Problem::new(ProblemCode::NothingLeft)
        .detail("network rails, master ens1f0np0: block 192.168.0.0/24 is full");
    full.instance = Some("/v1/attachments".to_owned());
    full.cni_code = Some(cni::error::code::NO_ADDRESS);
    let mut held = Problem::new(ProblemCode::Held).detail(
        "ens1f0np0 (0000:3b:00.0): cannot set the number of VFs from 4 to 2: held by VF 0 (0000:3b:00.2): pod shop/cart",
    );
    held.instance = Some("/v1/sriov/pfs/ens1f0np0".to_owned());
    held.holders = vec!["VF 0 (0000:3b:00.2): pod shop/cart".to_owned()];
    let busy = hwprobe::Warning::new(
        hwprobe::WarningCode::RestPortBusy,
        None,
        "127.0.0.1:11000 is taken by another process".to_owned(),
        "stop the other process or set `listen`; it is tried again meanwhile",
    );
    let pf = inventory.nics.iter().find_map(|nic| Some((nic.id.clone(), nic.sriov.clone()?)));
    let vfs = pf.map(|(pf, sriov)| VfList { generation: 42, pf, capacity: sriov.capacity, vfs: sriov.vfs });
    let total = inventory.nics.len();
    // A list is cut to its first element: let that be the NIC with the most to show.
    let mut nics = inventory.nics.clone();
    nics.rotate_left(1);
    fn value<T: Serialize>(name: &'static str, one: &T) -> Result<(&'static str, Value), serde_json::Error> {
        Ok((name, serde_json::to_value(one)?))
    }
    Ok(vec![
        value("NodeView", &overview::node_view(42, &inventory, &agent))?,
        value("SriovSummary", &overview::sriov_summary(42, &inventory))?,
        value("Topology", &overview::matrix(42, &inventory))?,
        value("Classes", &classes::classes(42, &inventory, &settings))?,
        value("WarningList", &WarningList { generation: 42, warnings: inventory.warnings.clone() })?,
        value("VfList", &vfs)?,
        value("NicList", &NicList { generation: 42, total, nics })?,
        value("Inventory", &inventory)?,
        value("Event", &event(EventType::NicChanged, true))?,
        value("Event", &event(EventType::WarningRaised, false))?,
        value("Event", &pods::failed(event(EventType::AttachmentFailed, false))?)?,
        value("Event", &pools::refused(event(EventType::PoolRefused, false)))?,
        value("Problem", &refusal)?,
        value("Problem", &ambiguous)?,
        value("Problem", &full)?,
        value("Problem", &held)?,
        value("Liveness", &Liveness { live: true })?,
        value(
            "Readiness",
            &Readiness {
                ready: true,
                generation: 42,
                listeners: vec![
                    Listener {
                        address: "127.0.0.1:11000".to_owned(),
                        state: ListenerState::Busy,
                        error: Some("Address already in use".to_owned()),
                    },
                    Listener {
                        address: "/run/multi-nic/api.sock".to_owned(),
                        state: ListenerState::Open,
                        error: None,
                    },
                ],
                store: StoreStatus {
                    state: StoreState::OpenedAnew,
                    detail: Some("agent.redb was damaged and lies beside as agent.redb.damaged-1".to_owned()),
                },
                warnings: vec![busy],
            },
        )?,
    ])
}
