//! The annotation `k8s.v1.cni.cncf.io/networks` (FOREIGN §2.2): a list of names, or JSON. Pure.

use std::collections::BTreeSet;

use cni::Error;
use cni::chained::NETWORKS;
use cni::config::StaticIp;
use cni::environment::is_ifname;
use cni::error::code;
use serde_json::{Map, Value};

/// Bytes of the annotation at most: all annotations of an object together may have 256 KiB.
const LONGEST: usize = 256 * 1024;

/// Networks that one annotation may list.
const MOST: usize = 64;

/// One network that a pod asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Element {
    /// Its name.
    pub(crate) name: String,
    /// Namespace of its attachment definition; the pod's own unless it is named.
    pub(crate) namespace: String,
    /// Name of the interface: `net<position from 1>` unless it is named.
    pub(crate) interface: String,
    /// `cni-args`.
    pub(crate) args: Map<String, Value>,
    /// What goes into `runtimeConfig`: `ips`, `mac`, `infinibandGUID`, `deviceID`, `portMappings`, `bandwidth`.
    pub(crate) runtime: Map<String, Value>,
}

/// Reads an annotation of a pod in `namespace`.
///
/// # Errors
/// Code 7, naming the place in the annotation, what is wrong, and what it may be.
pub(crate) fn elements(text: &str, namespace: &str) -> Result<Vec<Element>, Error> {
    if text.len() > LONGEST {
        return Err(wrong("", &format!("is over {LONGEST} bytes")));
    }
    let mut elements = if text.contains(['[', '{', '"']) { json(text)? } else { list(text)? };
    if elements.len() > MOST {
        return Err(wrong("", &format!("lists over {MOST} networks")));
    }
    let mut taken = BTreeSet::new();
    for (position, element) in elements.iter_mut().enumerate() {
        if element.namespace.is_empty() {
            namespace.clone_into(&mut element.namespace);
        }
        if element.interface.is_empty() {
            element.interface = format!("net{}", position + 1);
        }
        if !taken.insert(element.interface.clone()) {
            let words = format!("two networks are to have the interface {}", element.interface);
            return Err(wrong(&format!("[{position}].interface"), &words));
        }
    }
    Ok(elements)
}

fn wrong(place: &str, words: &str) -> Error {
    Error::new(code::INVALID_CONFIG, format!("annotation {NETWORKS}{place}: {words}"))
}

/// `[<namespace>/]<name>[@<interface>]`, with commas between.
fn list(text: &str) -> Result<Vec<Element>, Error> {
    let each = text.split(',').map(str::trim).enumerate();
    each.map(|(position, text)| {
        let place = |key: &str| format!("[{position}]{key}");
        let (name, interface) = match text.split_once('@') {
            Some((name, interface)) => (name.trim(), Some(interface.trim())),
            None => (text, None),
        };
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, name),
        };
        let mut element = Element { name: object_name(&place(""), name)?, ..Element::default() };
        if let Some(namespace) = namespace {
            element.namespace = object_name(&place(""), namespace)?;
        }
        if let Some(interface) = interface {
            element.interface = interface_name(&place(""), interface)?;
        }
        Ok(element)
    })
    .collect()
}

fn json(text: &str) -> Result<Vec<Element>, Error> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong("", &format!("is no JSON: {error}")))?;
    let Value::Array(items) = value else {
        return Err(wrong("", "is JSON, but no list; write [{\"name\": \"...\"}]"));
    };
    items.iter().enumerate().map(|(position, item)| element(&format!("[{position}]"), item)).collect()
}

fn element(place: &str, item: &Value) -> Result<Element, Error> {
    let Value::Object(item) = item else { return Err(wrong(place, "is no object with a name")) };
    let mut element = Element::default();
    for (key, value) in item {
        let at = format!("{place}.{key}");
        let text = || value.as_str().ok_or_else(|| wrong(&at, "is no text"));
        match key.as_str() {
            _ if value.is_null() => {}
            "name" => element.name = object_name(&at, text()?)?,
            "namespace" if text()?.is_empty() => {}
            "namespace" => element.namespace = object_name(&at, text()?)?,
            "interface" if text()?.is_empty() => {}
            "interface" => element.interface = interface_name(&at, text()?)?,
            "ips" => {
                let list = value.as_array().ok_or_else(|| wrong(&at, "is no list of addresses"))?;
                for ip in list {
                    if ip.as_str().and_then(StaticIp::parse).is_none() {
                        return Err(wrong(&at, &format!("{ip} is no address")));
                    }
                }
                element.runtime.insert("ips".to_owned(), value.clone());
            }
            "mac" => {
                link_address(&at, text()?, 6)?;
                element.runtime.insert("mac".to_owned(), value.clone());
            }
            "infiniband-guid" => {
                link_address(&at, text()?, 8)?;
                element.runtime.insert("infinibandGUID".to_owned(), value.clone());
            }
            "deviceID" => {
                text()?;
                element.runtime.insert(key.clone(), value.clone());
            }
            "portMappings" | "bandwidth" => {
                element.runtime.insert(key.clone(), value.clone());
            }
            "cni-args" => {
                let args = value.as_object().ok_or_else(|| wrong(&at, "is no object"))?;
                element.args.clone_from(args);
            }
            "default-route" if value.as_array().is_some_and(Vec::is_empty) => {}
            "default-route" => {
                let words = "the default route stays that of the cluster network; \
                             write routes into the network's ipam instead";
                return Err(wrong(&at, words));
            }
            // Whoever acts on it, it is not the one who attaches.
            "ipam-claim-reference" => {}
            // As Multus, whose reader skips what it does not know.
            _ => {}
        }
    }
    if element.name.is_empty() {
        return Err(wrong(&format!("{place}.name"), "is missing"));
    }
    Ok(element)
}

/// A name of an object as Multus takes them: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`.
fn object_name(place: &str, text: &str) -> Result<String, Error> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = !text.starts_with('-') && !text.ends_with('-');
    if text.is_empty() || !ends || !text.bytes().all(inside) {
        let words = format!("`{text}` is no name: small letters, digits and `-` between them");
        return Err(wrong(place, &words));
    }
    Ok(text.to_owned())
}

fn interface_name(place: &str, text: &str) -> Result<String, Error> {
    if !is_ifname(text) {
        let words =
            format!("`{text}` is no name of an interface: 1 to 15 bytes without `/`, `:` and white space");
        return Err(wrong(place, &words));
    }
    Ok(text.to_owned())
}

fn link_address(place: &str, text: &str, bytes: usize) -> Result<(), Error> {
    let address: Option<hwprobe::HwAddr> = text.parse().ok();
    if address.is_none_or(|address| address.bytes().len() != bytes) {
        return Err(wrong(place, &format!("`{text}` is no address of {bytes} bytes like 02:00:00:00:00:01")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Vec<Element> {
        elements(text, "pods").unwrap()
    }

    fn refused(text: &str) -> String {
        elements(text, "pods").unwrap_err().msg
    }

    #[test]
    fn names_in_a_list_have_namespaces_and_interfaces() {
        let all = read("red, other/blue@fast0 ,red");
        let short: Vec<_> = all.iter().map(|one| (&*one.namespace, &*one.name, &*one.interface)).collect();
        assert_eq!(short, [("pods", "red", "net1"), ("other", "blue", "fast0"), ("pods", "red", "net3")]);
    }

    #[test]
    fn json_has_everything_that_a_pod_may_ask_for() {
        let text = json!([
            {"name": "red", "ips": ["10.0.0.5", "10.0.0.6/24"], "mac": "02:00:00:00:00:01",
             "cni-args": {"nics": 2, "masters": ["eth1"]}, "interface": "a0", "namespace": "other"},
            {"name": "ib", "infiniband-guid": "c2:11:22:33:44:55:66:77", "deviceID": "0000:01:10.0",
             "default-route": [], "bandwidth": {"ingressRate": 1}, "namespace": null},
        ]);
        let all = read(&text.to_string());

        assert_eq!((&*all[0].namespace, &*all[0].interface), ("other", "a0"));
        assert_eq!(Value::Object(all[0].args.clone()), json!({"nics": 2, "masters": ["eth1"]}));
        let runtime = json!({"ips": ["10.0.0.5", "10.0.0.6/24"], "mac": "02:00:00:00:00:01"});
        assert_eq!(Value::Object(all[0].runtime.clone()), runtime);
        assert_eq!((&*all[1].namespace, &*all[1].interface), ("pods", "net2"));
        let runtime = json!({"infinibandGUID": "c2:11:22:33:44:55:66:77", "deviceID": "0000:01:10.0",
            "bandwidth": {"ingressRate": 1}});
        assert_eq!(Value::Object(all[1].runtime.clone()), runtime);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let table = [
            ("a,,b", "[1]: `` is no name"),
            ("A", "[0]: `A` is no name"),
            ("a/b/c", "[0]: `b/c` is no name"),
            ("a@sixteen-bytes-xx", "[0]: `sixteen-bytes-xx` is no name of an interface"),
            ("a@x,b@x", "[1].interface: two networks are to have the interface x"),
            ("a@net2,b", "[1].interface: two networks are to have the interface net2"),
            ("{}", ": is JSON, but no list"),
            ("[1]", "[0]: is no object"),
            ("[", ": is no JSON"),
            (r#"[{"interface": "x"}]"#, "[0].name: is missing"),
            (r#"[{"name": "a", "ips": ["x"]}]"#, r#"[0].ips: "x" is no address"#),
            (r#"[{"name": "a", "mac": "02:00"}]"#, "[0].mac: `02:00` is no address of 6 bytes"),
            (
                r#"[{"name": "a", "default-route": ["10.0.0.1"]}]"#,
                "[0].default-route: the default route stays",
            ),
            (r#"[{"name": "a", "cni-args": 1}]"#, "[0].cni-args: is no object"),
        ];
        for (text, words) in table {
            let told = refused(text);
            assert!(told.contains(words), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_code_7(text in r#"[a-z/@,\[\]{}": -]{0,40}"#) {
            match elements(&text, "pods") {
                Ok(all) => prop_assert!(all.iter().all(|one| is_ifname(&one.interface) && !one.name.is_empty())),
                Err(error) => prop_assert_eq!(error.code, 7),
            }
        }
    }
}
