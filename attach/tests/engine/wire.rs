//! What a pod's link is on the wire and for those who look for it: duplicates, gateways, names.

use cni::Command::{Add, Check, Del};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use serde_json::json;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::*;

#[test]
fn with_dad_an_address_that_somebody_on_the_wire_has_is_not_taken() {
    let host = host(1);
    let engine = host.engine();
    let (pod, stranger) = (pod(), crate::harness::pod());
    let name = stranger.path.file_name().unwrap().to_string_lossy().into_owned();
    ip(&format!("link set w0 netns {name}"));
    stranger.run("link set w0 up");
    stranger.run("address add 192.168.0.1/24 dev w0");
    let mac = stranger.ip("link show w0")[0]["address"].as_str().unwrap().to_owned();
    let mut careful = conf();
    careful["dad"] = json!(true);

    let error = serve(&engine, Add, "c1", &pod, &careful).result.unwrap_err();

    assert!(error.msg.contains("192.168.0.1") && error.msg.contains(&mac), "{error}");
    assert!(pod.links().is_empty() && engine.attachments().is_empty());
    // The address rests, so the next try gets another one.
    let answer = result(serve(&engine, Add, "c1", &pod, &careful));
    assert_eq!(answer["ips"][0]["address"], "192.168.0.2/24");
    // Who does not ask does not hear.
    let second = crate::harness::pod();
    let mut bold = conf();
    bold["runtimeConfig"] = json!({"ips": ["192.168.0.1"]});
    let answer = result(serve(&engine, Add, "c2", &second, &bold));
    assert_eq!(answer["ips"][0]["address"], "192.168.0.1/24");
}

#[test]
fn gateways_of_static_addresses_are_the_defaults_of_their_nics_tables() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let mut fixed = conf();
    fixed["ipam"] = json!({"type": "static", "addresses": [
        {"address": "10.5.0.7/24", "gateway": "10.5.0.1"}, {"address": "10.6.0.7/24"},
        {"address": "fd05::7/64", "gateway": "fd05::1"}]});
    let mut add = call(Add, "c1", &pod.path, &fixed);
    add.environment.args.push_str(";GATEWAY=10.6.0.254");

    let answer = result(engine.serve(&add, Some(pod.fd()), &mut Plugins));

    assert_eq!(answer["ips"][0], json!({"interface": 0, "address": "10.5.0.7/24", "gateway": "10.5.0.1"}));
    for (link, family, gateway) in [(0, "-4", "10.5.0.1"), (0, "-6", "fd05::1"), (1, "-4", "10.6.0.254")] {
        let index = pod.ip(&format!("link show net1-{link}"))[0]["ifindex"].as_u64().unwrap();
        let table = 0x4d4e_0000 + index;
        let routes = pod.ip(&format!("{family} route show table {table}"));
        let default = routes.as_array().unwrap().iter().find(|route| route["dst"] == "default");
        let default = default.unwrap_or_else(|| panic!("net1-{link} {family}: {routes}"));
        assert_eq!((&default["gateway"], &default["dev"]), (&json!(gateway), &json!(format!("net1-{link}"))));
    }
    // A default of a NIC is none of the pod's: that is the cluster network's.
    assert_eq!(pod.ip("-4 route show default"), json!([]));
    let mut check = fixed.clone();
    check["prevResult"] = answer;
    let mut check = call(Check, "c1", &pod.path, &check);
    check.environment.args = add.environment.args.clone();
    assert_eq!(engine.serve(&check, Some(pod.fd()), &mut Plugins).result, Ok(None));
    fixed["ipam"]["addresses"][0]["gateway"] = json!("nobody");
    let error = serve(&engine, Add, "c2", &crate::harness::pod(), &fixed).result.unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (7, "ipam.addresses: gateway: `nobody` is no address"));
}

#[test]
fn a_mac_is_the_first_nics_and_refused_where_the_link_has_its_masters() {
    let host = host(2);
    let engine = host.engine();
    let mut asked = conf();
    asked["runtimeConfig"] = json!({"mac": "02:00:00:00:00:77"});
    let pod = pod();

    let answer = result(serve(&engine, Add, "c1", &pod, &asked));

    assert_eq!(answer["interfaces"][0]["mac"], "02:00:00:00:00:77");
    assert_ne!(answer["interfaces"][1]["mac"], "02:00:00:00:00:77");
    assert_eq!(serve(&engine, Del, "c1", &pod, &asked).result, Ok(None));
    for plugin in [json!({"type": "ipvlan", "mode": "l2"}), json!({"type": "macvlan", "mode": "passthru"})] {
        asked["plugin"] = plugin;
        let error = serve(&engine, Add, "c2", &pod, &asked).result.unwrap_err();
        assert_eq!(error.code, 7);
        assert!(error.msg.contains("runtimeConfig.mac: 02:00:00:00:00:77 cannot be had"), "{error}");
        assert!(engine.attachments().is_empty());
    }
}

/// Index of the link that the kernel names when asked as Go's `netlink.LinkByName` asks: RTM_GETLINK with
/// IFLA_EXT_MASK and IFLA_IFNAME (names over 15 bytes alone go as IFLA_ALT_IFNAME), NLM_F_ACK.
fn link_by_name_in_go(name: &str) -> Option<u32> {
    const RTM_GETLINK: u16 = 18;
    const IFNAME: u16 = 3;
    const EXT_MASK: u16 = 29;
    let mut body = vec![0_u8; 16];
    let mut attribute = |kind: u16, payload: &[u8]| {
        body.extend((4 + payload.len() as u16).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(payload);
        body.resize(body.len().next_multiple_of(4), 0);
    };
    attribute(EXT_MASK, &1_u32.to_ne_bytes());
    attribute(IFNAME, &[name.as_bytes(), &[0]].concat());
    let mut message = (16 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend(RTM_GETLINK.to_ne_bytes());
    message.extend(5_u16.to_ne_bytes());
    message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(body);
    let route =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
    let route = route.unwrap();
    send(route.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
    let mut answer = [0; 16384];
    let length = recv(route.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    let word = |at: usize| u32::from_ne_bytes(answer[at..at + 4].try_into().unwrap());
    // RTM_NEWLINK, or an error.
    let kind = u16::from_ne_bytes(answer[4..6].try_into().unwrap());
    (length > 24 && kind == 16).then(|| word(20))
}

#[test]
fn a_look_up_as_multus_does_it_finds_the_first_link_by_the_plain_name() {
    let host = host(2);
    let engine = host.engine();
    for (names, first) in [("indexed", "net1-0"), ("exact", "net1")] {
        let pod = pod();
        let mut conf = conf();
        conf["names"] = json!(names);
        result(serve(&engine, Add, names, &pod, &conf));
        let index = pod.ip(&format!("link show {first}"))[0]["ifindex"].as_u64().map(|index| index as u32);

        assert_eq!(pod.inside(|| link_by_name_in_go("net1")), index, "{names}");
        assert_eq!(pod.inside(|| link_by_name_in_go("net2")), None);
    }
}

/// One end of a veth pair whose other end is in a namespace: it ends with its peer, and that with the namespace.
struct Canary(String);

impl Canary {
    fn in_namespace(pod: &Pod) -> Self {
        let canary = Self(format!("c{}", std::process::id()));
        let name = pod.path.file_name().unwrap().to_string_lossy().into_owned();
        ip(&format!("link add {} type veth peer name canary netns {name}", canary.0));
        canary
    }

    fn dies_within(&self, time: Duration) {
        let end = Instant::now() + time;
        while ip_json("link show").to_string().contains(&format!("\"{}\"", self.0)) {
            assert!(Instant::now() < end, "the namespace still lives");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn after_a_del_the_engine_holds_nothing_of_a_namespace_although_it_had_more_to_announce() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let canary = Canary::in_namespace(&pod);
    result(serve(&engine, Add, "c1", &pod, &conf()));
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));

    pod.die();

    canary.dies_within(Duration::from_millis(700));
}

#[test]
fn neighbours_are_told_three_times_of_a_pod_that_stays() {
    let host = host(1);
    let engine = host.engine();
    ip("link set w0 up");
    let index = ip_json("link show w0")[0]["ifindex"].as_u64().unwrap();
    let ears = netlink::PacketSocket::listen(u32::try_from(index).unwrap(), 0x0806).unwrap();
    let heard = |wanted: usize| {
        let end = Instant::now() + Duration::from_secs(4);
        let mut mine = 0;
        while mine < wanted && Instant::now() < end {
            match ears.receive().unwrap() {
                Some(packet) if packet.payload[14..18] == [192, 168, 0, 1] => mine += 1,
                Some(_) => {}
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
        mine
    };
    let pod = pod();
    result(serve(&engine, Add, "c1", &pod, &conf()));

    let start = Instant::now();
    assert_eq!(heard(2), 2, "with the answer");
    assert_eq!(heard(4), 4, "and twice more, a request and a reply each");
    assert!(start.elapsed() > Duration::from_millis(2500), "in between there is time to get a carrier");
}

#[test]
fn five_seconds_after_its_answers_the_engine_holds_nothing_of_a_namespace() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let canary = Canary::in_namespace(&pod);
    let mut careful = conf();
    careful["dad"] = json!(true);
    let first = result(serve(&engine, Add, "c1", &pod, &careful));
    result(serve(&engine, Add, "c1", &pod, &careful));
    careful["prevResult"] = first;
    assert_eq!(serve(&engine, Check, "c1", &pod, &careful).result, Ok(None));
    let mut refused = conf();
    refused["name"] = json!("tiny");
    assert_eq!(code(&serve(&engine, Add, "c2", &pod, &refused)), 7, "its name is taken");
    thread::sleep(Duration::from_secs(5));

    pod.die();

    canary.dies_within(Duration::from_secs(2));
    assert_eq!(engine.attachments().len(), 1, "nobody has deleted it");
}
