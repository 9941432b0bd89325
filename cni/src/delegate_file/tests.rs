use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::environment::Environment;

fn add(plugin: &str, ifname: &str, config: &str) -> DelegateCall {
    let environment = Environment {
        command: Command::Add,
        container_id: "c".to_owned(),
        netns: "/run/netns/p".to_owned(),
        ifname: ifname.to_owned(),
        args: "A=b".to_owned(),
        path: String::new(),
        netns_override: false,
    };
    let (config, file) = (config.to_owned(), String::new());
    DelegateCall { id: 1, plugin: plugin.to_owned(), environment, config, timeout_ms: 1000, file }
}

fn config_of(call: &DelegateCall) -> Value {
    serde_json::from_str(&call.config).unwrap()
}

#[test]
fn a_file_reads_back_and_one_without_delegates_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = DelegateFile::default();
    let call = add("ipvlan", "net1-0", "{}");
    file.begin(&call);
    file.begin(&call);
    file.ended(&call, "{\"ips\":[]}");
    file.write(folder.path(), "x.json").unwrap();

    assert_eq!(DelegateFile::read(folder.path(), "x.json").unwrap(), Some(file.clone()));
    assert_eq!(file.delegates.len(), 1);

    file.undone(&deletion(&call, None));
    file.write(folder.path(), "x.json").unwrap();
    assert_eq!(DelegateFile::read(folder.path(), "x.json").unwrap(), None);
}

#[test]
fn a_broken_file_is_an_error_and_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(FOLDER)).unwrap();
    for text in ["", "{", "[]", "{\"delegates\":7}"] {
        fs::write(folder.path().join(FOLDER).join("x.json"), text).unwrap();
        assert!(DelegateFile::read(folder.path(), "x.json").is_err(), "{text}");
    }
}

#[test]
fn deletions_run_backwards_with_the_results_where_the_version_has_them() {
    let mut file = DelegateFile::default();
    let calls = [
        add("host-local", "net1", "{\"cniVersion\":\"0.3.1\",\"name\":\"a\"}"),
        add("ipvlan", "net1-0", "{\"cniVersion\":\"1.0.0\",\"name\":\"b\",\"odd\":[1.50]}\n"),
        add("ipvlan", "net1-1", "{\"cniVersion\":\"1.0.0\",\"name\":\"c\"}"),
    ];
    for call in &calls {
        file.begin(call);
    }
    file.ended(&calls[0], "{\"ips\":[1]}");
    file.ended(&calls[1], "{\"ips\":[2]}\n");

    let found = file.deletions();

    let names: Vec<_> = found.iter().map(|call| config_of(call)["name"].clone()).collect();
    assert_eq!(names, ["c", "b", "a"]);
    assert!(found.iter().all(|call| call.environment.command == Command::Del));
    assert_eq!(found[0], DelegateCall { environment: found[0].environment.clone(), ..calls[2].clone() });
    assert_eq!(config_of(&found[1])["prevResult"], json!({"ips": [2]}));
    assert!(found[1].config.contains("[1.50]"), "what ADD got stays as it was written");
    assert_eq!(found[2].config, calls[0].config, "0.3.1 has no prevResult on DEL");
}

#[test]
fn what_is_no_result_is_not_put_into_a_configuration() {
    let call = add("x", "net1", "{\"cniVersion\":\"1.1.0\"}");
    for result in ["", "nonsense", "{", "[]", "{},\"type\":\"evil\""] {
        assert_eq!(with_result(&call, Command::Del, Some(result)).config, call.config, "{result}");
    }
    assert_eq!(config_of(&check(&call, Some(&json!({}))))["prevResult"], json!({}));
    let wrong = add("x", "net1", "{\"cniVersion\":\"1.1.0\",\"prevResult\":1}");
    assert_eq!(
        config_of(&deletion(&wrong, Some(&json!({}))))["prevResult"],
        json!({}),
        "the last one counts"
    );
}

#[test]
fn a_deletion_forgets_its_own_addition_only() {
    let mut file = DelegateFile::default();
    let first = add("x", "net1-0", "{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}");
    let others = [
        add("y", "net1-0", "{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}"),
        add("x", "net1-1", "{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}"),
        add("x", "net1-0", "{\"cniVersion\":\"1.0.0\",\"name\":\"b\"}"),
    ];
    file.begin(&first);
    others.iter().for_each(|call| file.begin(call));

    file.undone(&deletion(&first, Some(&json!({}))));

    assert_eq!(file.delegates.iter().map(|known| known.call.clone()).collect::<Vec<_>>(), others);
}

proptest! {
    #[test]
    fn any_file_and_any_configuration_is_read_without_panic(text in ".{0,120}", result in ".{0,60}") {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join(FOLDER).join("x.json"), &text).unwrap();
        let _ = DelegateFile::read(folder.path(), "x.json");

        let mut file = DelegateFile::default();
        let call = add("x", "net1", &text);
        file.begin(&call);
        file.ended(&call, &result);
        for del in file.deletions() {
            file.undone(&del);
        }
        prop_assert_eq!(file.delegates.len(), 0);
    }

    #[test]
    fn a_file_with_a_broken_byte_never_panics(at in 0usize..400, byte in any::<u8>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = DelegateFile::default();
        file.begin(&add("x", "net1", "{\"cniVersion\":\"1.0.0\"}"));
        let path = folder.path().join(FOLDER).join("x.json");
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let mut bytes = serde_json::to_vec(&file).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        if let Ok(Some(file)) = DelegateFile::read(folder.path(), "x.json") {
            let _ = file.deletions();
        }
    }
}
