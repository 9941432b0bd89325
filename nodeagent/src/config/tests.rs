use std::path::Path;

use super::{ConfigError, ReprobeInterval, Settings, default_file, parse};

fn file() -> &'static Path {
    Path::new("agent.yaml")
}

fn refusal(text: &str) -> String {
    match parse(file(), text) {
        Ok(settings) => panic!("accepted: {settings:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn default_file_is_documented_and_reads_back_as_the_defaults() {
    let text = default_file();

    insta::assert_snapshot!("default_agent_yaml", text);
    assert_eq!(parse(file(), &text).unwrap(), Settings::default());
    for (number, line) in text.lines().enumerate() {
        let key = line.trim_start().split(':').next().unwrap_or_default();
        let is_top = !line.starts_with([' ', '#']) && !key.is_empty();
        let above = text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
        assert!(!is_top || above.starts_with("# "), "`{key}` has no comment above it");
    }
}

#[test]
fn empty_file_gives_the_defaults() {
    for text in ["", "\n", "# nothing\n", "---\n", "{}"] {
        assert_eq!(parse(file(), text).unwrap(), Settings::default(), "{text:?}");
    }
}

#[test]
fn every_setting_is_read() {
    let text = r#"
listen: ["127.0.0.1:12000", "[::1]:12000"]
allowedHosts: [Node-7.example, "proxy.example:8443"]
thresholds: { standardFrom: 25G, highFrom: 200000 }
protected: [eth0, "0000:3b:00.0"]
excluded: ["02:00:5e:10:00:01"]
apiServers: [192.0.2.1]
nodeAddresses: ["2001:db8::1"]
deviceClasses:
  rails: { ids: ["15b3:1021", "8086"], minSpeed: 100G, class: high }
sriov:
  - name: rails
    deviceClass: rails
    onUplink: true
    nicSelector: { pfNames: ["ens1f0#0-3"] }
    numVfs: 8
    deviceType: vfio-pci
    mtu: 9000
    priority: 5
    eSwitchMode: legacy
    resourceName: rails
  - { nicSelector: { rootDevices: ["0000:3b:00.0"] }, numVfs: 0 }
rdmaMode: exclusive
reprobeInterval: off
logLevel: debug
logFormat: json
devicePlugin:
  enabled: true
  prefix: net.example
  kubeletDir: /run/kubelet
  deviceInfoDir: /run/info
  unhealthyAfter: 1
  healthyAfter: 3
  pools:
    - name: vfs
      use: vfio
      rdma: true
      excludeTopology: true
      selectors:
        vendors: ["15B3"]
        devices: ["0x101e"]
        drivers: [vfio-pci]
        pciAddresses: ["0000:3b:00.2"]
        pfNames: ["ens1f0#0-3,5", ens2]
        rootDevices: ["0000:3B:00.0#1"]
        linkTypes: [ether, infiniband]
        deviceClasses: [rails]
    - { name: nics_1, kind: nic, count: 16, selectors: [{ drivers: [igb] }, { vendors: ["8086"] }] }
limits: { connections: 7, connectionsPerPeer: 6, eventStreams: 5, headerBytes: 9000, headerFields: 33, bodyBytes: 100, headerSeconds: 3, requestSeconds: 2, writeSeconds: 1 }
"#;
    let settings = parse(file(), text).unwrap();

    insta::assert_json_snapshot!("every_setting", settings);
    assert_eq!(settings.reprobe_interval, ReprobeInterval::Off);
}

#[test]
fn unknown_keys_and_wrong_values_are_named() {
    let texts = [
        "treshold: {}",
        "limits: { conections: 5 }",
        "deviceClasses: { rails: { id: [] } }",
        "colour: red",
        "listen: 127.0.0.1:11000",
        "listen: [localhost]",
        "thresholds: { standardFrom: fast }",
        "thresholds: { standardFrom: 100G, highFrom: 10G }",
        "thresholds: 10G",
        "reprobeInterval: 5",
        "reprobeInterval: sometimes",
        "limits: { headerBytes: 100 }",
        "limits: { connections: -1 }",
        "logLevel: loud",
        "deviceClasses: { rails: { ids: [15b3-1021] } }",
        "deviceClasses: { rails: { class: unknown } }",
        "apiServers: [api.example]",
        "allowedHosts: [\"a b\"]",
        "- a\n- b",
        "protected: [\"\"]",
        "devicePlugin: { enable: true }",
        "devicePlugin: { prefix: kubernetes.io }",
        "devicePlugin: { prefix: Net.example }",
        "devicePlugin: { kubeletDir: var/lib }",
        "devicePlugin: { pools: 7 }",
        "devicePlugin: { pools: [{ kind: vf }] }",
        "devicePlugin: { pools: [{ name: a-b }] }",
        "devicePlugin: { pools: [{ name: a }, { name: A }] }",
        "devicePlugin: { pools: [{ name: a, kind: pf }] }",
        "devicePlugin: { pools: [{ name: a, count: 3 }] }",
        "devicePlugin: { pools: [{ name: a, kind: nic, count: 3, use: vfio }] }",
        "devicePlugin: { pools: [{ name: a, selectors: [{ pfName: [x] }] }] }",
        "devicePlugin: { pools: [{ name: a, selectors: { pfNames: [\"x#3-1\"] } }] }",
        "devicePlugin: { pools: [{ name: a, selectors: { deviceClasses: [x] } }] }",
        "rdmaMode: private",
        "sriov: 4",
        "sriov: [4]",
        "sriov: [{ numVfs: 4 }]",
        "sriov: [{ deviceClass: high, numVfs: 4, numVf: 3 }]",
        "sriov: [{ nicSelector: { pfName: eth1 }, numVfs: '4', onUplink: perhaps, deviceType: vfio }]",
        "sriov: [{ nicSelector: { pfNames: ['eth1#3'] }, numVfs: 4 }]",
        "sriov: [{ name: a, deviceClass: x, numVfs: 4 }, { name: a, deviceClass: x, numVfs: 4 }]",
    ];
    let refusals: Vec<String> = texts.iter().map(|text| format!("{text:?}\n    {}", refusal(text))).collect();

    insta::assert_snapshot!("refusals", refusals.join("\n"));
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_place() {
    for text in ["a: [", "a: b: c", "listen: []\nlisten: []", "\u{1}"] {
        assert!(matches!(parse(file(), text), Err(ConfigError::Syntax { .. })), "{text:?}");
    }
}
