//! The built-in host's TCP servers, on a good wire and on a bad one.
use crate::client::{Client, Weather};
use md5::{Digest, Md5};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, State};
use std::time::Duration;
use virtio_hdl::backend::net::peer::{RandomBytes, ECHO_PORT, HTTP_PORT};
use virtio_hdl::backend::net::{NetBackend, Peer};

/// Sends all of `data`, takes what comes until the other end closes or, for an echo, until all is back.
fn exchange(client: &mut Client<Peer>, port: u16, data: &[u8]) -> Vec<u8> {
    let handle = client.connect(port);
    let (mut sent, mut received) = (0, vec![]);
    client.run("TCP", |client| {
        let socket = client.socket::<Socket>(handle);
        if socket.may_send() && sent < data.len() {
            sent += socket.send_slice(&data[sent..]).unwrap();
        }
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).unwrap();
        }
        let all_back = port == ECHO_PORT && received.len() >= data.len();
        let closed = matches!(socket.state(), State::CloseWait | State::Closed);
        (all_back || closed).then_some(())
    });
    close(client, handle);
    received
}

fn close(client: &mut Client<Peer>, handle: SocketHandle) {
    client.socket::<Socket>(handle).close();
    client.run("close", |client| {
        let state = client.socket::<Socket>(handle).state();
        matches!(state, State::Closed | State::TimeWait).then_some(())
    });
}

fn random(bytes: u64, seed: u64) -> Vec<u8> {
    RandomBytes::new(bytes, seed).flatten().collect()
}

fn md5(data: &[u8]) -> String {
    format!("{:x}", Md5::digest(data))
}

/// Status line and body of an answer, whose length is that of its head.
fn answer(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let head = response.parse(bytes).unwrap().unwrap();
    let length = response.headers.iter().find(|header| header.name == "Content-Length").unwrap();
    assert_eq!(length.value, (bytes.len() - head).to_string().as_bytes());
    (format!("{} {}", response.code.unwrap(), response.reason.unwrap()), bytes[head..].to_vec())
}

fn http(client: &mut Client<Peer>, request: &str) -> (String, Vec<u8>) {
    answer(&exchange(client, HTTP_PORT, request.as_bytes()))
}

const BAD: Weather = Weather { lost: 20, late: 50 };

#[test]
fn a_mebibyte_comes_back() {
    let mut client = Client::new(Peer::new());
    let data = random(1 << 20, 1);
    assert!(exchange(&mut client, ECHO_PORT, &data) == data);
    // 100 MB/s at the least on a wire that is looked at every 10 us: nobody waits for a window or a timer.
    assert!(client.now < Duration::from_millis(10), "{:?}", client.now);
}

#[test]
fn a_mebibyte_comes_back_over_a_bad_wire() {
    let mut client = Client::new(Peer::new()).with_weather(BAD);
    let data = random(1 << 20, 2);
    assert!(exchange(&mut client, ECHO_PORT, &data) == data);
    assert!(client.now < Duration::from_secs(5), "{:?}", client.now);
}

#[test]
fn http_gives_bytes_and_their_sum() {
    for weather in [Weather::default(), BAD] {
        let mut client = Client::new(Peer::new()).with_weather(weather);
        let (status, body) = http(&mut client, "GET /random/4194304/7 HTTP/1.1\r\nHost: 10.0.2.2\r\n\r\n");
        assert_eq!((&status[..], body.len()), ("200 OK", 4 << 20));
        assert!(body == random(4 << 20, 7));
        assert!(!body.contains(&0), "busybox' wget can send it back");
        let (status, sum) = http(&mut client, "GET /md5/4194304/7 HTTP/1.1\r\nHost: 10.0.2.2\r\n\r\n");
        assert_eq!((status, String::from_utf8(sum).unwrap()), ("200 OK".into(), md5(&body) + "\n"));
    }
}

#[test]
fn http_takes_bytes_and_answers_with_their_sum() {
    let data = random(4 << 20, 9);
    for weather in [Weather::default(), BAD] {
        let mut client = Client::new(Peer::new()).with_weather(weather);
        // As busybox wget --post-file does it.
        let head = format!(
            "POST /sink HTTP/1.1\r\nHost: 10.0.2.2\r\nUser-Agent: Wget\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            data.len()
        );
        let received = exchange(&mut client, HTTP_PORT, &[head.as_bytes(), &data].concat());
        assert_eq!(answer(&received), ("200 OK".into(), (md5(&data) + "\n").into_bytes()));
    }
}

#[test]
fn http_knows_the_border_cases() {
    let mut client = Client::new(Peer::new());
    let empty = (md5(b"") + "\n").into_bytes();
    let mut ask = |request: &str| http(&mut client, request);
    assert_eq!(ask("GET /random/0 HTTP/1.0\r\n\r\n"), ("200 OK".into(), vec![]));
    assert_eq!(ask("GET /md5/0 HTTP/1.0\r\n\r\n"), ("200 OK".into(), empty.clone()));
    assert_eq!(ask("PUT /sink HTTP/1.1\r\ncontent-length: 0\r\n\r\n"), ("200 OK".into(), empty));
    // A seed that is not given is 0; the size need not be of whole blocks.
    assert_eq!(ask("GET /random/4097 HTTP/1.0\r\n\r\n").1, random(10_000, 0)[..4097]);
    let (status, usage) = ask("GET / HTTP/1.0\r\n\r\n");
    assert!(status == "200 OK" && String::from_utf8(usage).unwrap().contains("POST or PUT /sink"));

    for path in ["x", "", "-1", "1/2/3", "1/x", "268435457", "99999999999999999999"] {
        for kind in ["random", "md5"] {
            let (status, text) = ask(&format!("GET /{kind}/{path} HTTP/1.1\r\n\r\n"));
            assert_eq!(status, "400 Bad Request", "{kind}/{path}");
            assert_eq!(text, b"SIZE is a number of bytes up to 268435456, SEED a number\n");
        }
    }
    assert_eq!(ask("GET /nothing HTTP/1.1\r\n\r\n").0, "404 Not Found");
    assert_eq!(ask("DELETE /sink HTTP/1.1\r\n\r\n").0, "405 Method Not Allowed");
    assert_eq!(ask("POST /sink HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").0, "411 Length Required");
    assert_eq!(ask("nonsense\r\n\r\n").0, "400 Bad Request");
    let long = "x".repeat(20_000);
    assert_eq!(ask(&format!("GET /{long} HTTP/1.1\r\n\r\n")).0, "431 Request Header Fields Too Large");
    assert_eq!(
        ask(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65))).0,
        "431 Request Header Fields Too Large"
    );
}

#[test]
fn http_lets_a_careful_client_proceed() {
    let mut client = Client::new(Peer::new());
    let handle = client.connect(HTTP_PORT);
    client.run("connect", |client| client.socket::<Socket>(handle).may_send().then_some(()));
    let head = b"PUT /sink HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.socket::<Socket>(handle).send_slice(head).unwrap();
    let expected = "HTTP/1.1 100 Continue\r\n\r\n";
    client.run("100", |client| (client.socket::<Socket>(handle).recv_queue() == expected.len()).then_some(()));
    client.socket::<Socket>(handle).recv(|bytes| (bytes.len(), assert_eq!(bytes, expected.as_bytes()))).unwrap();
    client.socket::<Socket>(handle).send_slice(b"hello").unwrap();
    client.run("answer", |client| (client.socket::<Socket>(handle).state() == State::CloseWait).then_some(()));
    let all = client.socket::<Socket>(handle).recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap();
    assert_eq!(answer(&all).1, (md5(b"hello") + "\n").into_bytes());
}

#[test]
fn a_client_that_leaves_early_is_forgotten() {
    let mut client = Client::new(Peer::new());
    for (port, data) in [
        (ECHO_PORT, &b""[..]),
        (HTTP_PORT, b""),
        (HTTP_PORT, b"GET /ran"),
        (HTTP_PORT, b"PUT /sink HTTP/1.1\r\nContent-Length: 10\r\n\r\n123"),
        (HTTP_PORT, b"GET /random/268435456 HTTP/1.1\r\n\r\n"),
    ] {
        for _ in 0..100 {
            let handle = client.connect(port);
            client.run("connect", |client| client.socket::<Socket>(handle).may_send().then_some(()));
            let socket = client.socket::<Socket>(handle);
            socket.send_slice(data).unwrap();
            client.run("send", |client| (client.socket::<Socket>(handle).send_queue() == 0).then_some(()));
            match data.starts_with(b"GET /random") {
                true => client.socket::<Socket>(handle).abort(),
                false => client.socket::<Socket>(handle).close(),
            }
            client.run("end", |client| {
                let socket = client.socket::<Socket>(handle);
                let over = socket.state() == State::Closed && socket.remote_endpoint().is_none();
                (over || socket.state() == State::TimeWait).then_some(())
            });
            // The last acknowledgement goes before the socket does.
            client.run_for(Duration::from_millis(20));
            client.sockets.remove(handle);
        }
    }
    assert_eq!(exchange(&mut client, ECHO_PORT, b"still there"), b"still there");
}

#[test]
fn many_clients_at_a_time() {
    let mut client = Client::new(Peer::new());
    let handles: Vec<_> = (0..50).map(|_| client.connect(ECHO_PORT)).collect();
    for (index, handle) in handles.iter().enumerate() {
        client.run("connect", |client| client.socket::<Socket>(*handle).may_send().then_some(()));
        client.socket::<Socket>(*handle).send_slice(format!("client {index}").as_bytes()).unwrap();
    }
    for (index, handle) in handles.iter().enumerate() {
        let expected = format!("client {index}");
        client.run("echo", |client| (client.socket::<Socket>(*handle).recv_queue() == expected.len()).then_some(()));
        client.socket::<Socket>(*handle).recv(|data| (data.len(), assert_eq!(data, expected.as_bytes()))).unwrap();
    }
}

#[test]
fn a_client_that_vanishes_is_given_up() {
    let mut client = Client::new(Peer::new());
    let handle = client.connect(ECHO_PORT);
    client.run("connect", |client| client.socket::<Socket>(handle).may_send().then_some(()));
    client.run_for(Duration::from_millis(1));
    // The guest crashes: its stack knows nothing any more, and does not answer.
    let (mut host, start, mut now) = (client.backend, client.now, client.now);
    let mut seconds = vec![];
    while let Some(deadline) = host.deadline() {
        now = now.max(deadline);
        if host.receive(now).is_some() {
            seconds.push((now - start).as_secs_f64().round() as u64);
        }
        assert!(now < Duration::from_secs(100), "it asks for ever, at {seconds:?}");
    }
    assert_eq!(seconds, [20, 40, 60], "it asks twice whether the client is there");
}
