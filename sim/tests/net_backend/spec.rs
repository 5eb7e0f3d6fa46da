//! How networks are named, and what is said about names that are none.
use virtio_hdl::backend::net::{NetSpec, Pace};

#[test]
fn every_kind_is_read_and_written() {
    let specs = [
        ("peer", NetSpec::Peer),
        ("loopback", NetSpec::Loopback { swap: false }),
        ("loopback,swap", NetSpec::Loopback { swap: true }),
        ("unix:/run/a:b,../c", NetSpec::Unix { local: "/run/a:b".into(), remote: "../c".into() }),
        (
            "udp:127.0.0.1:0,127.0.0.1:5001",
            NetSpec::Udp { local: "127.0.0.1:0".parse().unwrap(), remote: "127.0.0.1:5001".parse().unwrap() },
        ),
        (
            "udp:[::1]:5000,[::1]:5001",
            NetSpec::Udp { local: "[::1]:5000".parse().unwrap(), remote: "[::1]:5001".parse().unwrap() },
        ),
        ("tap:tap0", NetSpec::Tap("tap0".into())),
        ("pcap:a,b:c.pcap", NetSpec::Pcap { path: "a,b:c.pcap".into(), pace: Pace::Recorded }),
        ("pcap:x.pcapng,fast", NetSpec::Pcap { path: "x.pcapng".into(), pace: Pace::Fast }),
    ];
    for (text, spec) in specs {
        assert_eq!(text.parse(), Ok(spec.clone()), "{text}");
        assert_eq!(spec.to_string(), text);
    }
}

#[test]
fn what_is_wrong_is_said() {
    let kinds =
        "there are peer, loopback[,swap], unix:LOCAL,REMOTE, udp:LOCAL:PORT,REMOTE:PORT, tap:NAME and pcap:FILE[,fast]";
    let interface = "is not the name of an interface: 1 to 15 characters without spaces and slashes";
    let address = "is not an address with a port; write one such as 127.0.0.1:5000 or [::1]:5000";
    let unix = "has not two ends; write unix:LOCAL,REMOTE";
    let refusals = [
        ("", format!("`` is no network; {kinds}")),
        ("user", format!("`user` is no network; {kinds}")),
        ("peer:x", format!("`peer:x` is no network; {kinds}")),
        ("loopback,swop", format!("`loopback,swop` is no network; {kinds}")),
        ("unix", format!("`unix` {unix}")),
        ("unix:a", format!("`unix:a` {unix}")),
        ("unix:a,", format!("`unix:a,` {unix}")),
        ("unix:a,b,c", format!("`unix:a,b,c` {unix}")),
        ("unix:a,a", "`unix:a,a` has the same end twice; the second is the other end's".into()),
        ("udp:1.2.3.4:5", "`udp:1.2.3.4:5` has not two ends; write udp:LOCAL:PORT,REMOTE:PORT".into()),
        ("udp:1.2.3.4,1.2.3.4:5", format!("`1.2.3.4` {address}")),
        ("udp:1.2.3.4:5,1.2.3.4:70000", format!("`1.2.3.4:70000` {address}")),
        (
            "udp:1.2.3.4:5,1.2.3.4:0",
            "port 0 of `1.2.3.4:0` cannot be sent to; give the port that the other end has taken".into(),
        ),
        (
            "udp:1.2.3.4:5,[::1]:5",
            "`udp:1.2.3.4:5,[::1]:5` has one end in IPv4 and one in IPv6; take the same for both".into(),
        ),
        ("tap", format!("`` {interface}")),
        ("tap:a/b", format!("`a/b` {interface}")),
        ("tap:sixteen-letters-", format!("`sixteen-letters-` {interface}")),
        ("pcap", "`pcap` names no file; write pcap:FILE or pcap:FILE,fast".into()),
        ("pcap:,fast", "`pcap:,fast` names no file; write pcap:FILE or pcap:FILE,fast".into()),
    ];
    for (text, said) in refusals {
        assert_eq!(text.parse::<NetSpec>().unwrap_err().to_string(), said, "{text}");
    }
}
