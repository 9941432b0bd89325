use std::process::Command;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use nix::sched::unshare;

use super::*;

fn private() -> Socket {
    unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace (needs root)");
    Socket::open(Family::Route).unwrap()
}

fn get_link(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::route(format!("link {index}"), &RouteNetlinkMessage::GetLink(message))
}

fn dump_links() -> Request {
    Request::route("all links", &RouteNetlinkMessage::GetLink(LinkMessage::default()))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

#[test]
fn answers_find_their_requests_whatever_else_fails_in_the_batch() {
    let mut socket = private();
    let requests: Vec<Request> = (0..300).map(|n| get_link(if n % 3 == 0 { 1 } else { 5000 + n })).collect();

    let results = socket.batch(&requests);

    assert_eq!(results.len(), 300);
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(answers) => assert_eq!((n % 3, answers.len()), (0, 1)),
            Err(Error::Kernel { operation, source }) => {
                assert_ne!(n % 3, 0);
                assert_eq!((operation, source.errno), (&format!("link {}", 5000 + n), libc_errno::ENODEV));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_question_that_nobody_answers_ends_at_the_deadline_and_the_socket_lives_on() {
    let mut socket = private();
    socket.set_deadline(Duration::from_millis(200));
    // The kernel takes an answer (`NLMSG_DONE`) sent to it for control traffic and says nothing.
    let silent = Request::new("silence", NLMSG_DONE, Vec::new());
    let mut datagram = Vec::new();
    silent.emit(0, 1, &mut datagram);
    socket.raw.send(&datagram).unwrap();
    let start = Instant::now();

    let failure = socket.raw.receive(socket.deadline);

    assert!(matches!(failure, Err(Failure::Deadline)), "{failure:?}");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(200) && waited < Duration::from_secs(5), "{waited:?}");
    assert_eq!(socket.ask(&get_link(1)).unwrap().len(), 1);
}

#[test]
fn a_late_answer_of_a_question_given_up_is_not_taken_for_the_next_ones() {
    let mut socket = private();
    ip("link add ve0 type veth peer name ve1");
    // The answer of a question that was given up waits in the socket.
    let mut datagram = Vec::new();
    get_link(2).emit(NLM_F_REQUEST | NLM_F_ACK, 77, &mut datagram);
    socket.raw.send(&datagram).unwrap();

    let answers = socket.ask(&get_link(1)).unwrap();

    let index = answers[0].1[4..8].first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    assert_eq!((answers.len(), index), (1, Some(1)));
}

#[test]
fn a_dump_that_was_given_up_does_not_block_the_next_one() {
    let mut socket = private();
    for n in 0..150 {
        ip(&format!("link add a{n} type veth peer name b{n}"));
    }
    // Started, never read: the kernel holds the rest of this dump back and refuses another.
    let mut datagram = Vec::new();
    dump_links().emit(NLM_F_REQUEST | NLM_F_DUMP, 77, &mut datagram);
    socket.raw.send(&datagram).unwrap();
    let refused = socket.dump(&dump_links(), |items, kind, _| items.push(kind));
    assert!(matches!(&refused, Err(error) if error.errno() == Some(libc_errno::EBUSY)), "{refused:?}");
    socket.unsettled = true;

    let items = socket.dump(&dump_links(), |items, kind, _| items.push(kind)).unwrap();

    assert!(items.len() > 300, "{}", items.len());
}

#[test]
fn answers_that_the_buffer_has_no_room_for_are_an_overrun_and_the_socket_lives_on() {
    let mut socket = private();
    setsockopt(&socket.raw.socket, sockopt::RcvBuf, &1).unwrap();
    let requests: Vec<Request> = (0..60).map(|_| get_link(1)).collect();

    let results = socket.batch(&requests);

    let overruns = results.iter().filter(|result| matches!(result, Err(Error::Overrun { .. }))).count();
    assert!(overruns > 0, "60 answers fitted");
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::Overrun { .. }))));
    assert!(Error::Overrun { operation: String::new() }.retryable());
    // One answer needs more than the least buffer there is.
    setsockopt(&socket.raw.socket, sockopt::RcvBuf, &65536).unwrap();
    assert_eq!(socket.ask(&get_link(1)).unwrap().len(), 1);
}

#[test]
fn a_message_longer_than_the_buffer_is_an_error_and_a_dump_grows_the_buffer() {
    let mut socket = private();
    for n in 0..8 {
        ip(&format!("link add a{n} type veth peer name b{n}"));
    }
    socket.raw.buffer = Vec::with_capacity(64);

    let single = socket.ask(&get_link(1));
    let dump = socket.dump(&dump_links(), |items, kind, _| items.push(kind));

    assert!(matches!(single, Err(Error::Truncated { length, .. }) if length > 64), "{single:?}");
    assert!(dump.unwrap().len() > 16);
    assert!(socket.raw.buffer.capacity() > 64);
}

#[test]
fn a_dump_during_changes_is_whole_or_an_error() {
    let mut socket = private();
    for n in 0..120 {
        ip(&format!("link add a{n} type veth peer name b{n}"));
    }
    let namespace: std::os::fd::OwnedFd = std::fs::File::open("/proc/thread-self/ns/net").unwrap().into();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut torn = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                ip("link add churn0 type veth peer name churn1");
                ip("link del churn0");
            }
        });
        for _ in 0..300 {
            match socket.dump_once(&dump_links(), &mut |_, _| {}) {
                Ok(Dump::Torn) => torn += 1,
                Ok(Dump::Whole) => {}
                Err(failure) => panic!("{failure:?}"),
            }
            match socket.dump(&dump_links(), |items, _, body| items.push(body.to_vec())) {
                Ok(items) => {
                    let mut unique: Vec<_> = items.iter().map(|body| body[4..8].to_vec()).collect();
                    unique.sort();
                    unique.dedup();
                    // 240 links of this test and the kernel's own; none missing, none twice.
                    assert!(
                        items.len() >= 241 && unique.len() == items.len(),
                        "{} {}",
                        items.len(),
                        unique.len()
                    );
                }
                Err(error) => {
                    assert!(matches!(error, Error::DumpInterrupted { attempts: 8, .. }), "{error:?}")
                }
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(torn > 0, "no dump was torn: the test proved nothing");
}
