use std::io::{Read, Write};

use nix::sys::socket::socketpair;
use proptest::prelude::*;

use super::*;
use crate::environment::{Command, Environment};
use crate::protocol::Tool;

fn pair() -> (Connection, Connection) {
    let (one, other) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    (Connection::from_socket(one), Connection::from_socket(other))
}

fn raw(connection: &Connection, packet: &[u8]) {
    let slices = [IoSlice::new(packet)];
    sendmsg::<()>(connection.socket.as_raw_fd(), &slices, &[], MsgFlags::empty(), None).unwrap();
}

fn call(protocol: u32) -> Call {
    let environment = Environment {
        command: Command::Add,
        container_id: "c".to_owned(),
        netns: "/n".to_owned(),
        ifname: "net1".to_owned(),
        args: String::new(),
        path: "/p".to_owned(),
        netns_override: false,
    };
    Call { protocol, tool: Tool::MultiNic, environment, config: "{}".to_owned(), pay_debts: false }
}

#[test]
fn a_message_of_many_packets_arrives_whole_with_its_descriptor() {
    let (one, other) = pair();
    let text = "x".repeat(300_000);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sent = text.clone();
    let thread = std::thread::spawn(move || one.send(&sent, Some(writer.as_fd())).unwrap());

    let (got, fd) = other.receive::<String>().unwrap();
    thread.join().unwrap();

    assert!(got == text);
    let mut file = std::fs::File::from(fd.unwrap());
    file.write_all(b"hello").unwrap();
    drop(file);
    let mut heard = String::new();
    reader.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
}

#[test]
fn the_end_and_a_wait_that_is_over_are_told_apart() {
    let (one, other) = pair();
    other.set_deadline(Duration::from_millis(5)).unwrap();
    assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(one);
    assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn who_sends_byte_by_byte_is_not_waited_for_longer() {
    let (one, other) = pair();
    other.set_deadline(Duration::from_millis(100)).unwrap();
    let slow = std::thread::spawn(move || {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(10));
            let slices = [IoSlice::new(&[MORE, b' '])];
            if sendmsg::<()>(one.socket.as_raw_fd(), &slices, &[], MsgFlags::MSG_NOSIGNAL, None).is_err() {
                return;
            }
        }
        panic!("a message went on for a second");
    });

    let error = other.receive::<String>().unwrap_err();
    drop(other);

    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    slow.join().unwrap();
}

#[test]
fn an_end_in_the_middle_of_a_message_is_an_end() {
    let (one, other) = pair();
    raw(&one, &[MORE, b'"']);
    drop(one);

    assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_message_over_the_limit_is_neither_sent_nor_taken() {
    let (one, other) = pair();
    let error = one.send(&"x".repeat(MESSAGE + 1), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);

    let endless = std::thread::spawn(move || {
        let part = [&[MORE][..], &[b' '; PACKET][..]].concat();
        let slices = [IoSlice::new(&part)];
        while sendmsg::<()>(one.socket.as_raw_fd(), &slices, &[], MsgFlags::MSG_NOSIGNAL, None).is_ok() {}
    });
    let error = other.receive::<String>().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), LIMIT);
    drop(other);
    endless.join().unwrap();
}

const LIMIT: (io::ErrorKind, &str) = (io::ErrorKind::InvalidData, "a message is over the limit of 4 MiB");

#[test]
fn a_packet_that_is_too_long_is_refused() {
    let (one, other) = pair();
    raw(&one, &[LAST; PACKET + 2]);
    assert_eq!(other.receive::<String>().unwrap_err().to_string(), "a packet is over the limit of 64 KiB");
}

#[test]
fn what_was_said_without_listening_is_heard() {
    let (one, other) = pair();
    one.send(&"hello", None).unwrap();
    other.send(&"full", None).unwrap();
    drop(other);

    // Our greeting was never read, which the kernel tells first.
    assert_eq!(one.receive::<String>().unwrap().0, "full");
    assert!(one.send(&"hello?", None).is_err());
    assert_eq!(one.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn the_peer_is_who_the_kernel_says() {
    let (one, _other) = pair();
    let peer = one.peer().unwrap();
    assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
}

#[test]
fn a_newer_executable_is_asked_to_call_again_in_the_agents_version() {
    let (agent, executable) = pair();
    let (_reader, writer) = std::io::pipe().unwrap();
    let newer = std::thread::spawn(move || {
        // What a newer version puts into its call may be anything but for the number.
        let greeting = serde_json::json!({"protocol": PROTOCOL + 1, "odd": []});
        executable.send(&greeting, Some(writer.as_fd())).unwrap();
        let (answer, _) = executable.receive::<Answer>().unwrap();
        assert_eq!(answer, Answer::Speak { protocol: PROTOCOL });
        executable.send(&call(PROTOCOL), None).unwrap();
    });

    let (got, fd) = agent.receive_call().unwrap().unwrap();
    newer.join().unwrap();

    assert_eq!(got, call(PROTOCOL));
    assert!(fd.is_some(), "the descriptor of the first call is kept");
}

#[test]
fn a_packet_of_the_first_release_is_a_call_and_its_answer_a_packet_that_it_reads() {
    let (agent, executable) = pair();
    raw(
        &executable,
        b"\0{\"protocol\":1,\"tool\":\"multi-nic\",\"environment\":{\"command\":\"ADD\",\"containerId\":\"c\",\
        \"netns\":\"/n\",\"ifname\":\"net1\",\"args\":\"\",\"path\":\"/p\",\"netnsOverride\":false},\"config\":\"{}\"}",
    );
    assert_eq!(agent.receive_call().unwrap().unwrap().0, call(1));

    agent.send(&Answer::Done { output: Some("{}".to_owned()), debts: Vec::new() }, None).unwrap();

    let mut packet = vec![0; 1000];
    let (length, _) = executable.receive_packet(&mut packet).unwrap();
    assert_eq!(&packet[..length], b"\0{\"done\":{\"output\":\"{}\",\"debts\":[]}}");
}

#[test]
fn a_version_before_the_last_is_refused_with_the_fix() {
    let (agent, executable) = pair();
    executable.send(&call(0), None).unwrap();

    let error = agent.receive_call().unwrap().unwrap_err();

    assert_eq!(error.code, 11);
    assert_eq!(error.msg, "protocol 0 of the other side is not spoken, only 1 to 1");
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_nothing_else(packets in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..4))
    {
        let (one, other) = pair();
        for packet in &packets {
            raw(&one, packet);
        }
        drop(one);
        prop_assert!(other.receive::<Call>().is_err());
    }

    #[test]
    fn a_broken_call_never_makes_it_panic(at in 0usize..300, byte in any::<u8>(), cut in 0usize..300) {
        let (one, other) = pair();
        let mut bytes = serde_json::to_vec(&call(PROTOCOL)).unwrap();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        raw(&one, &[&[LAST][..], &bytes].concat());
        drop(one);
        let _ = other.receive_call();
    }

    #[test]
    fn a_message_of_any_length_arrives_as_it_was_sent(length in 0usize..200_000) {
        let (one, other) = pair();
        let text = "é".repeat(length / 2);
        std::thread::scope(|scope| {
            scope.spawn(|| one.send(&text, None).unwrap());
            assert!(other.receive::<String>().unwrap().0 == text);
        });
    }
}
