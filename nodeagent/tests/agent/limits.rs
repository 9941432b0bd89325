//! What clients may take, and that nothing they send breaks the agent. Answers are read from raw sockets.
//! REQUIRES: root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::http::{self, Reply};
use crate::harness::{self, Lab, wait_for};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const LOCAL: [(&str, &str); 1] = [("host", "localhost")];

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn still_works(agent: &harness::Agent) {
    assert_eq!(agent.get("/livez").status, 200);
    let reply = http::tcp(agent.tcp(), "GET", "/v1/nics", &LOCAL).unwrap();
    assert_eq!(reply.status, 200);
}

#[test]
fn every_wrong_request_is_answered_with_a_problem() {
    let lab = Lab::new();
    let agent = lab.agent();
    let address = agent.tcp();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        http::tcp(address, method, path, &[&LOCAL[..], headers].concat()).unwrap()
    };

    let path = ask("GET", "/v1/nisc", &[]);
    assert_eq!((path.status, path.problem().as_str()), (404, "unknown-path"));
    assert_eq!(path.json()["nearest"][0], "/v1/nics");
    let nic = ask("GET", "/v1/nics/eth77", &[]);
    assert_eq!((nic.status, nic.problem().as_str()), (404, "unknown-nic"));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let reply = ask(method, "/v1/nics", &[]);
        assert_eq!((reply.status, reply.problem().as_str()), (405, "method-not-allowed"), "{method}");
        assert_eq!(reply.header("allow"), Some("GET,HEAD"), "{method}");
    }
    for (query, problem, parameter) in [
        ("/v1/nics?clas=high", "unknown-parameter", "clas"),
        ("/v1/nics?class=hihg", "invalid-value", "class"),
        ("/v1/nics?minSpeed=fast", "invalid-value", "minSpeed"),
        ("/v1/nics?fields=nmae", "invalid-value", "fields"),
        ("/v1/nics?sort=colour", "invalid-value", "sort"),
        ("/v1/node?verbose=1", "unknown-parameter", "verbose"),
        ("/livez?x=1", "unknown-parameter", "x"),
    ] {
        let reply = ask("GET", query, &[]);
        assert_eq!((reply.status, reply.problem().as_str()), (400, problem), "{query}");
        assert_eq!(reply.json()["parameter"], parameter, "{query}");
    }
    for path in ["/v1/nics?name=%ff", "/v1/nics/%ff"] {
        let reply = ask("GET", path, &[]);
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed-request"), "{path}");
    }
    let large = ask("GET", "/v1/nics", &[("content-length", "100000")]);
    assert_eq!((large.status, large.problem().as_str()), (413, "body-too-large"));
    let long = "x".repeat(30_000);
    let head = ask("GET", "/v1/nics", &[("x-long", &long)]);
    assert_eq!((head.status, head.problem().as_str()), (431, "header-too-large"));
    let many: Vec<(String, String)> =
        (0..100).map(|number| (format!("x-{number}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(ask("GET", "/v1/nics", &many).problem(), "header-too-large");
    still_works(&agent);
}

#[test]
fn body_that_grows_beyond_the_limit_is_refused() {
    let lab = Lab::new();
    let agent = lab.agent();
    let mut request =
        b"GET /v1/nics HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..100 {
        request.extend_from_slice(b"400\r\n");
        request.extend_from_slice(&[b'x'; 1024]);
        request.extend_from_slice(b"\r\n");
    }

    let reply = Reply::parse(&http::raw_open(agent.tcp(), &request), true);

    assert_eq!((reply.status, reply.problem().as_str()), (413, "body-too-large"));
}

#[test]
fn head_answers_like_get_without_a_body() {
    let lab = Lab::new();
    let agent = lab.agent();
    for path in
        ["/v1/inventory", "/v1/nics/lo", "/openapi.json", "/", "/docs/", "/livez", "/v1/events", "/nope"]
    {
        let reply = http::tcp(agent.tcp(), "HEAD", path, &LOCAL).unwrap();
        assert!(reply.body.is_empty(), "{path}");
        assert_eq!(reply.status, if path == "/nope" { 404 } else { 200 }, "{path}");
    }
}

#[test]
fn request_for_a_foreign_host_is_refused_on_tcp_only() {
    let lab = Lab::new();
    lab.configure("allowedHosts: [node.example]");
    let agent = lab.agent_with(&["--listen", "127.0.0.1:0", "--allowed-host", "Proxy.example:8443"]);
    let address = agent.tcp();
    let status = |host: &str| http::tcp(address, "GET", "/v1/nics", &[("host", host)]).unwrap().status;

    for host in ["localhost", "127.0.0.1", "[::1]:11000", "node.example", "proxy.example:8443"] {
        assert_eq!(status(host), 200, "{host}");
    }
    for host in ["rebound.example", "proxy.example", "10.0.0.1", "localhost.rebound.example"] {
        let reply = http::tcp(address, "GET", "/v1/nics", &[("host", host)]).unwrap();
        assert_eq!((reply.status, reply.problem().as_str()), (421, "forbidden-host"), "{host}");
    }
    let unix = http::unix(&agent.socket, "GET", "/v1/nics", &[]).unwrap();
    assert_eq!(unix.status, 200);
    for reply in [http::tcp(address, "GET", "/", &LOCAL).unwrap(), unix] {
        assert!(
            reply.headers.iter().all(|(name, _)| !name.starts_with("access-control") && name != "server")
        );
    }
    let page = http::tcp(address, "GET", "/", &LOCAL).unwrap();
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn documentation_is_served_from_the_executable() {
    let lab = Lab::new();
    let agent = lab.agent();
    assert_eq!(agent.get("/docs").header("location"), Some("/docs/"));
    let index = agent.get("/docs/").text();
    assert!(!index.contains("://"), "{index}");
    for file in index.split('"').filter(|part| part.starts_with("./") || part.ends_with(".css")) {
        let reply = agent.get(&format!("/docs/{}", file.trim_start_matches("./")));
        assert_eq!(reply.status, 200, "{file}");
        let etag = reply.header("etag").unwrap().to_owned();
        assert_eq!(
            agent
                .get_with(&format!("/docs/{}", file.trim_start_matches("./")), &[("if-none-match", &etag)])
                .status,
            304
        );
    }
    let start = agent.get("/docs/swagger-initializer.js").text();
    assert!(start.contains("/openapi.json"), "{start}");
    assert_eq!(agent.get("/openapi.json").text(), openapi::DOCUMENT);
}

#[test]
fn garbage_is_answered_or_closed_and_nothing_grows() {
    let lab = Lab::new();
    let agent = lab.agent();
    let address = agent.tcp();
    let tls = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    let clear: [&[u8]; 7] = [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/nics HTTP/1.1\r\n\r\n",
        b"GET /v1/nics HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &tls,
    ];
    for bytes in clear {
        let reply = Reply::parse(&http::raw(address, bytes), true);
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed-request"), "{bytes:?}");
    }

    // The same noise each time: a small generator (Knuth's MMIX constants).
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut before = 0;
    for round in 0..400 {
        let length = usize::from(noise()) * 8 + 1;
        let bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
        let answer = http::raw(address, &bytes);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
        if round == 100 {
            before = resident_kib(agent.pid());
        }
    }
    let after = resident_kib(agent.pid());
    assert!(after < before + 2048, "grew from {before} to {after} KiB");
    still_works(&agent);
}

#[test]
fn half_open_clients_are_closed_and_told_why() {
    let lab = Lab::new();
    lab.configure("limits: { headerSeconds: 1 }");
    let agent = lab.agent();
    let half = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(agent.tcp()).unwrap();
        stream.set_read_timeout(Some(harness::PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };

    let reply = Reply::parse(&half(b"GET /v1/nics HTTP/1.1\r\nhost: loc"), true);
    assert_eq!((reply.status, reply.problem().as_str()), (408, "timeout"));
    assert!(half(b"").is_empty(), "who says nothing is told nothing");

    // One byte now and then does not keep a connection.
    let mut drip = TcpStream::connect(agent.tcp()).unwrap();
    drip.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut bytes = b"GET /v1/nics HTTP/1.1\r\nhost: localhost\r\nx: ".iter().chain(std::iter::repeat(&b'x'));
    wait_for("the dripping client to be closed", || {
        let _ = drip.write_all(&[*bytes.next().unwrap()]);
        match drip.read(&mut [0; 1024]) {
            Ok(_) => Some(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
            Err(_) => Some(()),
        }
    });
    wait_for("no connection to be left", || {
        agent.get("/metrics").text().contains("multi_nic_http_connections 1\n").then_some(())
    });
}

#[test]
fn ten_thousand_connections_get_clear_answers_and_leave_nothing_behind() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    assert!(hard >= 12_000, "REQUIRES: 12,000 open files, the limit is {hard}");
    let lab = Lab::new();
    let agent = lab.agent();
    let address = agent.tcp();
    let (mut most, mut quiet) = (0, 0);

    for round in 0..30 {
        let mut streams: Vec<TcpStream> = (0..10_000).map(|_| TcpStream::connect(address).unwrap()).collect();
        // The Unix socket has places of its own.
        assert_eq!(agent.get("/livez").status, 200);
        let (mut served, mut refused, mut reset) = (0, 0, 0);
        for stream in &mut streams {
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        }
        for mut stream in streams {
            stream.set_read_timeout(Some(harness::PATIENCE)).unwrap();
            let mut answer = Vec::new();
            let end = stream.read_to_end(&mut answer);
            match answer.get(..13) {
                Some(b"HTTP/1.1 200 ") => served += 1,
                Some(b"HTTP/1.1 503 ") => {
                    assert_eq!(Reply::parse(&answer, true).problem(), "too-many-connections");
                    refused += 1;
                }
                // Turned away while so many others were being told why that there was no time for words.
                _ => {
                    assert!(answer.is_empty() || end.is_err(), "{answer:?}");
                    reset += 1;
                }
            }
        }
        println!("round {round}: {served} served, {refused} refused, {reset} reset");
        assert!(served >= 100 && refused >= 1000, "{served} served, {refused} refused, {reset} reset");
        wait_for("the connections to end", || {
            agent.get("/metrics").text().contains("multi_nic_http_connections 1\n").then_some(())
        });
        let now = resident_kib(agent.pid());
        println!("round {round}: {now} KiB resident");
        // The allocator keeps what the worst moment so far needed, so the first rounds grow. A leak grows for ever.
        quiet = if now <= most + 64 { quiet + 1 } else { 0 };
        most = most.max(now);
        if quiet == 3 {
            return still_works(&agent);
        }
    }
    panic!("still growing after 30 rounds of 10,000 connections: {most} KiB");
}

#[test]
fn one_address_cannot_take_every_place() {
    let lab = Lab::new();
    lab.configure("limits: { connections: 8, connectionsPerPeer: 4 }");
    lab.ip("address add 127.0.0.2/8 dev lo");
    let agent = lab.agent();
    let address: SocketAddr = agent.tcp();
    let _held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();

    let fifth = wait_for("the fifth to be refused", || {
        http::tcp(address, "GET", "/livez", &LOCAL).ok().filter(|reply| reply.status == 503)
    });

    assert_eq!(fifth.problem(), "too-many-connections");
    let output = harness::run("curl", &format!("-s --interface 127.0.0.2 http://{address}/livez"));
    assert_eq!(output, r#"{"live":true}"#);
}
