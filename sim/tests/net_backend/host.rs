//! The built-in host: ARP, ICMP, DHCP, UDP, and what comes broken.
use crate::client::{Client, ADDRESS, MAC};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{icmp, udp};
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Icmpv4Packet, Icmpv4Repr, Ipv4Address, Ipv4Cidr,
};
use std::time::Duration;
use virtio_hdl::backend::net::{peer, Link, NetBackend, Peer};

#[test]
fn dhcp_gives_the_address_and_the_network() {
    let mut client = Client::bare(Peer::new());
    let found = client.dhcp();
    assert_eq!(found.address, Ipv4Cidr::new(ADDRESS, 24));
    assert_eq!(found.router, Some(peer::ADDRESS));
    assert_eq!(found.server.identifier, peer::ADDRESS);
    assert_eq!(client.received, 2, "an offer and an acknowledgement");

    // After half of the lease it is renewed, to the address that the client has.
    client.interface.update_ip_addrs(|own| own.push(found.address.into()).unwrap());
    let before = client.received;
    client.run_for(Duration::from_secs(86_400 / 2 + 60));
    assert!(client.received > before, "the lease is renewed");
}

/// A frame with a DHCP request of this client for this address.
fn request(mac: [u8; 6], address: Ipv4Address) -> Vec<u8> {
    let request = DhcpRepr {
        message_type: DhcpMessageType::Request,
        transaction_id: 7,
        secs: 0,
        client_hardware_address: EthernetAddress(mac),
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: Some(address),
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; request.buffer_len()];
    request.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).unwrap();
    udp_frame(mac, 67, &message)
}

/// What the host answers to such a request: the kind and the address.
fn granted(host: &mut Peer, mac: [u8; 6], address: Ipv4Address) -> Option<(DhcpMessageType, Ipv4Address)> {
    host.transmit(Duration::ZERO, &request(mac, address));
    let answer = host.receive(Duration::ZERO)?;
    // Ethernet, IPv4 and UDP headers
    let packet = DhcpPacket::new_checked(&answer[42..]).unwrap();
    let answer = DhcpRepr::parse(&packet).unwrap();
    assert_eq!((answer.transaction_id, answer.client_hardware_address), (7, EthernetAddress(mac)));
    Some((answer.message_type, answer.your_ip))
}

/// UDP from 0.0.0.0:68 to everybody, without checksum.
fn udp_frame(mac: [u8; 6], port: u16, payload: &[u8]) -> Vec<u8> {
    let bytes = 28 + payload.len() as u16;
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    ip[2..4].copy_from_slice(&bytes.to_be_bytes());
    let sum: u32 = ip.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    ip[10..12].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    let udp = [[0, 68], port.to_be_bytes(), (bytes - 20).to_be_bytes(), [0, 0]].concat();
    [&[0xff; 6][..], &mac, &[8, 0], &ip, &udp, payload].concat()
}

#[test]
fn every_client_has_its_own_address_and_keeps_it() {
    let mut host = Peer::new();
    let last = |byte| Ipv4Address::new(10, 0, 2, byte);
    let (first, second) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    assert_eq!(granted(&mut host, first, last(15)), Some((DhcpMessageType::Ack, last(15))));
    assert_eq!(granted(&mut host, second, last(15)), Some((DhcpMessageType::Nak, Ipv4Address::UNSPECIFIED)));
    assert_eq!(granted(&mut host, second, last(16)), Some((DhcpMessageType::Ack, last(16))));
    assert_eq!(granted(&mut host, first, last(15)), Some((DhcpMessageType::Ack, last(15))));
    for client in 2..240u8 {
        let answer = granted(&mut host, [2, 0, 0, 0, 1, client], last(client + 15).min(last(254)));
        assert_eq!(answer, Some((DhcpMessageType::Ack, last(client + 15))).filter(|_| client + 15 < 255), "{client}");
    }
}

#[test]
fn echo_requests_are_answered() {
    let mut client = Client::new(Peer::new());
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(0x1234)).unwrap();
    let handle = client.add(socket);
    for seq_no in 0..20 {
        let data = vec![seq_no as u8; 56 + 60 * seq_no as usize];
        let request = Icmpv4Repr::EchoRequest { ident: 0x1234, seq_no, data: &data };
        let payload = client.socket::<icmp::Socket>(handle).send(request.buffer_len(), peer::ADDRESS.into()).unwrap();
        request.emit(&mut Icmpv4Packet::new_unchecked(payload), &ChecksumCapabilities::default());
        let (answer, from) = client.run("ping", |client| {
            let socket = client.socket::<icmp::Socket>(handle);
            socket.recv().ok().map(|(answer, from)| (answer.to_vec(), from))
        });
        let packet = Icmpv4Packet::new_checked(&answer[..]).unwrap();
        let answer = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap();
        assert_eq!(from, peer::ADDRESS.into());
        assert_eq!(answer, Icmpv4Repr::EchoReply { ident: 0x1234, seq_no, data: &data });
    }
    assert!(client.now < Duration::from_secs(1), "nobody had to wait: {:?}", client.now);
}

#[test]
fn an_arp_request_is_answered_in_a_frame_of_full_size() {
    let mut host = Peer::new();
    let arp = [0, 1, 8, 0, 6, 4, 0, 1];
    let ask = |last| {
        [
            &[0xff; 6][..],
            MAC.as_bytes(),
            &[8, 6],
            &arp,
            MAC.as_bytes(),
            &[10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, last],
        ]
        .concat()
    };
    let now = Duration::from_millis(3);
    host.transmit(now, &ask(3));
    assert_eq!(host.receive(now), None, "somebody else was asked");
    host.transmit(now, &ask(2));
    assert_eq!(host.deadline(), Some(now));
    let answer = host.receive(now).unwrap();
    assert_eq!(host.receive(now), None);
    assert_eq!(answer.len(), 60);
    assert_eq!((&answer[..6], &answer[6..14]), (MAC.as_bytes(), &[0x52, 0x55, 10, 0, 2, 2, 8, 6][..]));
    assert_eq!(answer[20..28], [0, 2, 0x52, 0x55, 10, 0, 2, 2]);
}

#[test]
fn datagrams_come_back() {
    let mut client = Client::new(Peer::new());
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 32], vec![0; 65536]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5000).unwrap();
    let handle = client.add(socket);
    let datagrams: Vec<Vec<u8>> = (0..20).map(|index: u8| vec![index; 77 * usize::from(index)]).collect();
    for datagram in &datagrams {
        client.socket::<udp::Socket>(handle).send_slice(datagram, (peer::ADDRESS, peer::ECHO_PORT)).unwrap();
    }
    for datagram in &datagrams {
        let (answer, from) = client.run("UDP echo", |client| {
            let socket = client.socket::<udp::Socket>(handle);
            socket.recv().ok().map(|(answer, from)| (answer.to_vec(), from.endpoint))
        });
        assert_eq!((&answer, from), (datagram, (peer::ADDRESS, peer::ECHO_PORT).into()));
    }
}

#[test]
fn broken_frames_do_nothing() {
    let mut host = Peer::new();
    let good = udp_frame(*MAC.as_bytes().first_chunk().unwrap(), 67, &[]);
    let mut frames: Vec<Vec<u8>> = (0..=good.len()).map(|bytes| good[..bytes].to_vec()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..2000 {
        // Whatever it is, it is for the host, and of a protocol that it knows.
        let mut frame = vec![0; 14 + random.next_u32() as usize % 1600];
        random.fill_bytes(&mut frame);
        frame[..6].copy_from_slice(peer::MAC.as_bytes());
        frame[12..14].copy_from_slice(if random.next_u32() % 2 == 0 { &[8, 0] } else { &[8, 6] });
        if let Some(ip) = frame.get_mut(14..34) {
            ip[0] = 0x45;
        }
        frames.push(frame);
    }
    for frame in &frames {
        host.transmit(Duration::ZERO, frame);
        assert_eq!(host.receive(Duration::ZERO), None, "{frame:02x?}");
    }
    // It is all there still.
    assert_eq!(Client::bare(host).dhcp().address.address(), ADDRESS);
}

#[test]
fn a_wrong_checksum_gets_no_answer() {
    let mut host = Peer::new();
    let good = request(*MAC.as_bytes().first_chunk().unwrap(), ADDRESS);
    let mut answered = |at: usize| {
        let mut frame = good.clone();
        frame[at] ^= 0x10;
        host.transmit(Duration::ZERO, &frame);
        host.receive(Duration::ZERO).is_some()
    };
    assert!(answered(11), "nothing tells that another source address is wrong");
    // All of the IPv4 header, and the checksum of UDP, which is none while it is zero.
    assert_eq!((14..34).chain(40..42).filter(|at| answered(*at)).collect::<Vec<_>>(), [0; 0]);
}

#[test]
fn a_pulled_plug_loses_both_directions() {
    let link = Link::new(Box::new(Peer::new())).unwrap();
    let switch = link.switch();
    let mut client = Client::bare(link);
    switch.set(false);
    assert!(!client.backend.link_up() && !switch.is_up());
    let handle = client.add(smoltcp::socket::dhcpv4::Socket::new());
    client.run_for(Duration::from_secs(60));
    client.sockets.remove(handle);
    assert_eq!(client.received, 0);
    switch.set(true);
    assert!(client.backend.link_up());
    assert_eq!(client.dhcp().address.address(), ADDRESS);
    // What the host has sent while the plug was pulled does not come later.
    let asked = request(*MAC.as_bytes().first_chunk().unwrap(), ADDRESS);
    client.backend.transmit(client.now, &asked);
    assert_eq!(client.backend.deadline(), Some(client.now), "there is an answer");
    switch.set(false);
    assert_eq!(client.backend.receive(client.now), None);
    switch.set(true);
    assert_eq!(client.backend.receive(client.now), None);
}
