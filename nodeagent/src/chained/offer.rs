//! What the networks of this node offer to pods by their annotation, and what an annotation comes to. Pure.

use std::collections::{BTreeMap, VecDeque};

use attach::{Asking, Wanted};
use cni::Error;
use cni::config::nic_of_device;
use cni::error::code;
use crds::{NetConfSettings, NetworkSpec, PluginType, Problem};
use serde_json::{Map, Value, json};

use super::annotation::{Element, elements};
use crate::podresources::Holdings;

/// Where Multus has the files that tell a pod's devices (FOREIGN §2.3).
const DEVICE_INFO: &str = "/var/run/k8s.cni.cncf.io/devinfo/cni";

/// Namespace whose networks every pod may use, as with Multus' isolation.
const OPEN_NAMESPACE: &str = "default";

/// A network as pods may ask for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Offer {
    /// Its NetConf, as the attachment definition has it.
    pub(crate) conf: Map<String, Value>,
    /// Namespaces that it is for; none: all.
    pub(crate) namespaces: Vec<String>,
    /// Which devices of the kubelet it is given out by.
    pub(crate) devices: Devices,
}

/// The devices of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Devices {
    /// It has none.
    #[default]
    None,
    /// Those of a resource of this name (without prefix), where the pod has some; otherwise the agent chooses.
    May(String),
    /// Those of a resource of this name: somebody else gives them out, and without one nothing can be chosen.
    Must(String),
    /// Those that NVIDIA's operator names in an annotation that only Multus reads.
    Multus,
}

impl Offer {
    /// What a network of the cluster offers. `managed`: this agent makes the network's virtual functions itself.
    ///
    /// # Errors
    /// When its `ipam` is no JSON object.
    pub(crate) fn of(name: &str, spec: &NetworkSpec, managed: bool) -> Result<Self, Problem> {
        let conf = spec.netconf(name, &NetConfSettings::default())?;
        let Value::Object(conf) = conf else { return Ok(Self::default()) };
        let devices = match PluginType::of(&spec.plugin.kind) {
            PluginType::Sriov if managed => Devices::May(spec.plugin.resource_name(name)),
            PluginType::Sriov => Devices::Must(spec.plugin.resource_name(name)),
            PluginType::Mellanox => Devices::Multus,
            _ => Devices::None,
        };
        Ok(Self { conf, namespaces: spec.namespaces.clone(), devices })
    }
}

/// Networks by name.
pub(crate) type Offers = BTreeMap<String, Offer>;

/// What an annotation comes to. `held`: which pod has which device; asked only where it matters.
///
/// # Errors
/// Code 7 naming the annotation's place or the network, what is wrong, and what there is.
pub(crate) fn wanted(
    asking: &Asking<'_>,
    annotation: &str,
    offers: &Offers,
    held: &mut dyn FnMut() -> Result<Holdings, Error>,
) -> Result<Vec<Wanted>, Error> {
    let mut devices: Option<BTreeMap<String, VecDeque<String>>> = None;
    let mut all = Vec::new();
    for element in elements(annotation, &asking.pod.namespace)? {
        let offer = offer(&element, offers, &asking.pod.namespace)?;
        let device = match &offer.devices {
            Devices::None => None,
            Devices::Multus => {
                let words = format!(
                    "network {}: its devices are those of NVIDIA's operator, which takes Multus",
                    element.name
                );
                return Err(Error::new(code::INVALID_CONFIG, words));
            }
            Devices::May(resource) | Devices::Must(resource) => {
                let mut of_pod = match devices.take() {
                    Some(known) => known,
                    None => of_pod(&held()?, asking),
                };
                let next = of_pod.get_mut(resource).and_then(VecDeque::pop_front);
                devices = Some(of_pod);
                if next.is_none() && matches!(offer.devices, Devices::Must(_)) {
                    return Err(no_device(&element, resource));
                }
                next
            }
        };
        all.push(one(&element, offer, device, asking.container_id));
    }
    Ok(all)
}

/// The network, if this pod may have it.
fn offer<'a>(element: &Element, offers: &'a Offers, namespace: &str) -> Result<&'a Offer, Error> {
    let refuse = |words: String| Err(Error::new(code::INVALID_CONFIG, words));
    let Some(offer) = offers.get(&element.name) else {
        let known: Vec<&str> = offers.keys().map(String::as_str).collect();
        let words = format!("there is no MultiNicNetwork `{}`", element.name);
        let hint = match crds::nearest(&element.name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there is none at all yet".to_owned(),
            None => format!("there are: {}", known.join(", ")),
        };
        return Err(Error::new(code::INVALID_CONFIG, words).with_details(hint));
    };
    if element.namespace != namespace && element.namespace != OPEN_NAMESPACE {
        return refuse(format!(
            "{}/{}: a pod of namespace {namespace} may use networks of its own namespace and of `{OPEN_NAMESPACE}`",
            element.namespace, element.name
        ));
    }
    if !offer.namespaces.is_empty() && !offer.namespaces.contains(&element.namespace) {
        return refuse(format!(
            "network {} is not for namespace {}; its spec.namespaces lists: {}",
            element.name,
            element.namespace,
            offer.namespaces.join(", ")
        ));
    }
    Ok(offer)
}

/// The pod's devices by resource without prefix, ids in order, as Multus hands them out.
fn of_pod(held: &Holdings, asking: &Asking<'_>) -> BTreeMap<String, VecDeque<String>> {
    let mut devices: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    for (resource, id) in held.of_pod(&asking.pod.namespace, &asking.pod.name) {
        let name = resource.rsplit_once('/').map_or(resource, |(_, name)| name);
        devices.entry(name.to_owned()).or_default().push_back(id.to_owned());
    }
    devices
}

fn no_device(element: &Element, resource: &str) -> Error {
    let words = format!(
        "network {} takes a device of resource {resource} for {}, and the pod has no (further) one",
        element.name, element.interface
    );
    Error::new(code::INVALID_CONFIG, words)
        .with_details("add one for each such interface to the limits of a container")
}

fn one(element: &Element, offer: &Offer, device: Option<String>, container_id: &str) -> Wanted {
    let mut conf = offer.conf.clone();
    let mut runtime = element.runtime.clone();
    if let Some(device) = device {
        // What the kubelet gave out counts, whatever the annotation says.
        let device: Value = nic_of_device(&device).into();
        for key in ["deviceID", "pciBusID"] {
            conf.insert(key.to_owned(), device.clone());
        }
        runtime.insert("deviceID".to_owned(), device);
    }
    if runtime.contains_key("deviceID") {
        let file = format!(
            "{DEVICE_INFO}/{}-{}-{container_id}_{}",
            element.namespace, element.name, element.interface
        );
        runtime.insert("CNIDeviceInfoFile".to_owned(), file.into());
    }
    if !element.args.is_empty() {
        let args = conf.entry("args").or_insert_with(|| json!({}));
        let cni = args.as_object_mut().map(|args| args.entry("cni").or_insert_with(|| json!({})));
        if let Some(Value::Object(cni)) = cni {
            cni.extend(element.args.clone());
        }
    }
    if !runtime.is_empty() {
        conf.insert("runtimeConfig".to_owned(), Value::Object(runtime));
    }
    Wanted {
        name: format!("{}/{}", element.namespace, element.name),
        ifname: element.interface.clone(),
        config: Value::Object(conf).to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use attach::record::Pod;
    use hwprobe::PodHolder;

    fn offers() -> Offers {
        let conf = |name: &str| json!({"cniVersion": "0.3.0", "name": name}).as_object().unwrap().clone();
        let offer =
            |name: &str, devices: Devices| Offer { conf: conf(name), namespaces: Vec::new(), devices };
        let mut red = offer("red", Devices::None);
        red.namespaces = vec!["pods".into(), "default".into()];
        BTreeMap::from([
            ("red".to_owned(), red),
            ("vfs".to_owned(), offer("vfs", Devices::Must("fast".into()))),
            ("own".to_owned(), offer("own", Devices::May("slow".into()))),
        ])
    }

    fn ask(namespace: &str, annotation: &str) -> Result<Vec<Wanted>, Error> {
        let pod = Pod { namespace: namespace.into(), name: "web".into(), uid: "u".into() };
        let asking = Asking { pod: &pod, container_id: "c1", annotation: Some(annotation) };
        let mut held = Holdings::default();
        for (name, id) in [("web", "0000:02:10.0"), ("web", "0000:01:10.2"), ("db", "0000:01:10.0")] {
            let mut holder = PodHolder::new("example.com/fast".into(), id.into());
            (holder.namespace, holder.pod) = (Some("pods".into()), Some(name.into()));
            held.insert(holder);
        }
        wanted(&asking, annotation, &offers(), &mut || Ok(held.clone()))
    }

    fn conf(wanted: &Wanted) -> Value {
        serde_json::from_str(&wanted.config).unwrap()
    }

    #[test]
    fn what_a_pod_asks_for_is_in_the_netconf_as_multus_would_write_it() {
        let all = ask("pods", r#"[{"name": "red", "ips": ["10.0.0.5"], "cni-args": {"nics": 1}}]"#).unwrap();

        assert_eq!((&*all[0].name, &*all[0].ifname), ("pods/red", "net1"));
        let expected = json!({"cniVersion": "0.3.0", "name": "red", "args": {"cni": {"nics": 1}},
            "runtimeConfig": {"ips": ["10.0.0.5"]}});
        assert_eq!(conf(&all[0]), expected);
    }

    #[test]
    fn devices_go_out_in_order_of_their_ids_one_for_each_mention() {
        let all = ask("pods", "vfs,red,vfs,own").unwrap();

        assert_eq!(conf(&all[0])["deviceID"], "0000:01:10.2");
        assert_eq!(conf(&all[2])["pciBusID"], "0000:02:10.0");
        let file = "/var/run/k8s.cni.cncf.io/devinfo/cni/pods-vfs-c1_net3";
        assert_eq!(conf(&all[2])["runtimeConfig"]["CNIDeviceInfoFile"], file);
        assert_eq!(conf(&all[3]).get("deviceID"), None, "the agent chooses");
        let short = ask("pods", "vfs,vfs,vfs").unwrap_err();
        assert!(short.msg.contains("resource fast for net3"), "{}", short.msg);
    }

    #[test]
    fn networks_of_others_are_refused_by_name() {
        let told = |namespace: &str, annotation: &str| {
            let error = ask(namespace, annotation).unwrap_err();
            (error.code, error.msg + "; " + &error.details)
        };
        let (code, words) = told("pods", "rod");
        assert!(code == 7 && words.contains("no MultiNicNetwork `rod`; did you mean `red`?"), "{words}");
        assert!(
            told("web", "red").1.contains("not for namespace web; its spec.namespaces lists: pods, default")
        );
        assert!(told("web", "pods/red").1.contains("of its own namespace and of `default`"));
        assert!(ask("web", "default/red").is_ok());
    }
}
