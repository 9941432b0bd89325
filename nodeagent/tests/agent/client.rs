//! The typed client of `openapi` against the real agent, over both transports. REQUIRES: root, veth.

use std::future::Future;

use crate::harness::Lab;
use crate::harness::pods::Pod;
use openapi::{
    AttachmentPhase, AttachmentRequest, Client, ClientError, EventType, PfDesired, ProblemCode, SelectRequest,
};

/// Runs a future on the calling thread, which is the one in the private namespace.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn every_route_is_typed_and_read_over_both_transports() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    let agent = lab.agent();
    for client in [Client::unix(&agent.socket), Client::tcp(agent.tcp())] {
        run(async {
            let node = client.node().await.unwrap();
            let inventory = client.inventory().await.unwrap();
            assert!(node.agent.standalone && node.counts.nics == inventory.nics.len(), "{node:?}");
            assert_eq!(client.nics("kind=veth").await.unwrap().nics.len(), 2);
            assert_eq!(client.nic("one").await.unwrap().label(), "one");
            assert_eq!(client.sriov().await.unwrap().totals.pfs, 0);
            assert_eq!(client.pfs().await.unwrap().pfs, []);
            assert_eq!(client.topology().await.unwrap().nics.len(), node.counts.hardware);
            assert_eq!(client.classes().await.unwrap().speed_classes.len(), 4);
            let warnings = client.warnings().await.unwrap().warnings;
            assert_eq!(inventory.warnings, warnings);
            assert!(client.livez().await.unwrap().live);
            assert!(client.readyz().await.unwrap().ready);
            assert!(client.metrics().await.unwrap().contains("multi_nic_inventory_generation"));
            assert_eq!(client.openapi().await.unwrap(), openapi::DOCUMENT);
            let part = client.json("/v1/nics?fields=name&name=one").await.unwrap();
            assert_eq!(part["nics"], serde_json::json!([{ "name": "one" }]));
        });
    }
}

#[test]
fn a_pod_is_attached_and_detached_with_types() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let agent = lab.agent();
    let client = Client::unix(&agent.socket);
    let pod = Pod::new();
    run(async {
        while client.networks().await.unwrap().networks.iter().all(|one| one.interfaces.is_empty()) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let select = SelectRequest { network: Some("red".to_owned()), ..SelectRequest::default() };
        assert_eq!(client.select(&select).await.unwrap().chosen[0].master, "m0");
        let request = AttachmentRequest {
            network: "red".to_owned(),
            container_id: "c1".to_owned(),
            ifname: "net1".to_owned(),
            netns: pod.netns(),
            config: None,
            args: String::new(),
        };

        let made = client.attach(&request).await.unwrap();

        assert_eq!((made.phase, made.links.len()), (AttachmentPhase::Attached, 1));
        assert_eq!(client.attachment("red", "c1", "net1").await.unwrap(), made);
        assert_eq!(client.attachments("phase=attached").await.unwrap().attachments, [made]);
        assert_eq!(client.network("red").await.unwrap().attachments, 1);
        assert_eq!(client.addresses().await.unwrap().networks[0].totals.used, 1);
        assert!(client.detach("red", "c1", "net1").await.unwrap().is_none());
        match client.detach("red", "c1", "net1").await.unwrap_err() {
            ClientError::Problem(problem) => {
                assert_eq!(problem.code(), Some(ProblemCode::UnknownAttachment));
            }
            other => panic!("{other}"),
        }
    });
}

#[test]
fn refusals_come_as_problems() {
    let lab = Lab::new();
    let agent = lab.agent();
    let client = Client::unix(&agent.socket);

    run(async {
        let code = |error: ClientError| match error {
            ClientError::Problem(problem) => problem.code().unwrap(),
            other => panic!("{other}"),
        };
        assert_eq!(code(client.nic("a/b ü").await.unwrap_err()), ProblemCode::UnknownNic);
        assert_eq!(code(client.vfs("lo").await.unwrap_err()), ProblemCode::NoSriov);
        assert_eq!(code(client.pf("lo").await.unwrap_err()), ProblemCode::NoSriov);
        assert_eq!(code(client.pf_vfs("lo").await.unwrap_err()), ProblemCode::NoSriov);
        let four = PfDesired { num_vfs: 4, ..PfDesired::default() };
        assert_eq!(code(client.set_pf("lo", &four).await.unwrap_err()), ProblemCode::NoSriov);
        assert_eq!(code(client.plan_pf("nobody", &four).await.unwrap_err()), ProblemCode::UnknownNic);
        assert_eq!(code(client.forget_pf("lo").await.unwrap_err()), ProblemCode::NoSriov);
        assert_eq!(code(client.nics("clas=high").await.unwrap_err()), ProblemCode::UnknownParameter);
        assert_eq!(code(client.events(None, "nic.add").await.unwrap_err()), ProblemCode::InvalidValue);
        let nobody = Client::unix(lab.path("nobody.sock"));
        assert!(matches!(nobody.node().await.unwrap_err(), ClientError::Connect { .. }));
    });
}

#[test]
fn unchanged_answers_are_not_sent_again() {
    let lab = Lab::new();
    let agent = lab.agent();
    let client = Client::unix(&agent.socket);

    run(async {
        let first = client.nics_if_changed("", None).await.unwrap().unwrap();
        assert!(client.nics_if_changed("", Some(&first.etag)).await.unwrap().is_none());
        lab.ip("link add name one type veth peer name two");
        agent.wait_for_nic("one", "there", |_| true);
        let second = client.nics_if_changed("", Some(&first.etag)).await.unwrap().unwrap();
        assert_ne!(first.etag, second.etag);
        assert_eq!(second.value.nics.len(), first.value.nics.len() + 2);
        let whole = client.inventory_if_changed(None).await.unwrap().unwrap();
        assert!(client.inventory_if_changed(Some(&whole.etag)).await.unwrap().is_none());
    });
}

#[test]
fn event_stream_goes_on_across_a_restart_of_the_agent() {
    let lab = Lab::new();
    let mut agent = lab.agent();
    let client = Client::unix(&agent.socket);

    run(async {
        let mut events = client.events(None, "nic.added,nic.removed").await.unwrap();
        lab.ip("link add name one type veth peer name two");
        loop {
            let event = events.next().await.unwrap();
            assert_eq!(event.kind, EventType::NicAdded);
            if event.name.as_deref() == Some("one") {
                break;
            }
        }
        agent.stop();
        let agent = lab.agent();
        // Another run: what came in between is unknown, so everything has to be read again.
        // (`two` may not have been read yet.)
        let mut kinds = Vec::new();
        while !kinds.contains(&EventType::Reset) {
            kinds.push(events.next().await.unwrap().kind);
        }
        assert!(kinds.len() <= 2, "{kinds:?}");
        lab.ip("link del one");
        assert_eq!(events.next().await.unwrap().kind, EventType::NicRemoved);
        assert!(agent.nic("one").is_none());
    });
}
