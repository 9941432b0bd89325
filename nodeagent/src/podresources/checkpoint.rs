//! The kubelet's own notes on who has which device: `device-plugins/kubelet_internal_checkpoint`.
//!
//! No interface, but the only source while the kubelet is down or does not serve pod resources. Pods are named by
//! their UID alone.

use hwprobe::PodHolder;
use serde_json::Value;

use super::holdings::Holdings;

/// Name of the file in the folder of device plugins.
pub(crate) const FILE: &str = "kubelet_internal_checkpoint";

/// What a checkpoint says; absent when it is none.
pub(crate) fn read(text: &str) -> Option<Holdings> {
    let root: Value = serde_json::from_str(text).ok()?;
    let entries = match root.pointer("/Data/PodDeviceEntries")? {
        // No pod has a device.
        Value::Null => return Some(Holdings::default()),
        entries => entries.as_array()?,
    };
    let mut holdings = Holdings::default();
    for entry in entries {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        // By NUMA node; older kubelets wrote one list.
        let ids: Vec<&Value> = match entry.get("DeviceIDs") {
            Some(Value::Object(nodes)) => nodes.values().filter_map(Value::as_array).flatten().collect(),
            Some(Value::Array(ids)) => ids.iter().collect(),
            _ => Vec::new(),
        };
        for id in ids.into_iter().filter_map(Value::as_str) {
            let mut holder = PodHolder::new(text("ResourceName").to_owned(), id.to_owned());
            holder.uid = Some(text("PodUID").to_owned());
            holder.container = text("ContainerName").to_owned();
            holdings.insert(holder);
        }
    }
    Some(holdings)
}

#[cfg(test)]
mod tests {
    use super::read;

    /// As the kubelet 1.20.2 of the lab writes it, the answers of the plugin cut out.
    const NEW: &str = r#"{"Data":{"PodDeviceEntries":[{"PodUID":"9c1f","ContainerName":"main","ResourceName":"multinic.fms.io/vfs","DeviceIDs":{"0":["0000:41:10.0"],"1":["0000:81:10.2"]},"AllocResp":""}],"RegisteredDevices":{"multinic.fms.io/vfs":["0000:41:10.0","0000:81:10.2"]}},"Checksum":1}"#;

    #[test]
    fn devices_of_a_pod_are_read_from_every_numa_node() {
        let holdings = read(NEW).unwrap();

        let ids: Vec<&str> = holdings.of_resource("multinic.fms.io/vfs").collect();
        assert_eq!(ids, ["0000:41:10.0", "0000:81:10.2"]);
        assert_eq!(holdings.of("0000:81:10.2")[0].uid.as_deref(), Some("9c1f"));
        assert_eq!(holdings.of("0000:81:10.2")[0].container, "main");
    }

    #[test]
    fn the_flat_list_of_older_kubelets_is_read() {
        let old = NEW.replace(r#"{"0":["0000:41:10.0"],"1":["0000:81:10.2"]}"#, r#"["0000:41:10.0"]"#);

        let holdings = read(&old).unwrap();

        assert_eq!(holdings.of_resource("multinic.fms.io/vfs").collect::<Vec<_>>(), ["0000:41:10.0"]);
    }

    #[test]
    fn no_pods_is_an_answer_and_nonsense_is_none() {
        assert!(
            read(r#"{"Data":{"PodDeviceEntries":null,"RegisteredDevices":{}},"Checksum":1}"#)
                .unwrap()
                .is_empty()
        );
        for text in ["", "{}", "[]", "{\"Data\":{\"PodDeviceEntries\":7}}", &NEW[..80]] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
