//! Commands to a served endpoint: each of them, what a driver sees of it, and clients that mean no good.
use serde_json::{json, Value};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use virtio_hdl::control::{Client, ClientError, Command, Plug, Switch};
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::net::{Net, Options as NetOptions};
use virtio_hdl::host::virtio_pci::Interrupted;
use virtio_hdl::host::Platform;
use virtio_hdl::link::Interrupt;
use virtio_hdl_tests::controlled::Guest;
use virtio_hdl_tests::guest::run;
use virtio_hdl_tests::serve::{processor_seconds, Serve, SLOT};
use virtio_hdl_tests::{output, program};

const PATIENCE: Duration = Duration::from_secs(60);
/// Cycles in which an interrupt has come, or never will.
const LONG: u64 = 50_000_000;
const SECTORS: u64 = 2048;

/// A disk of zeros, served with a control socket.
fn disk() -> (Serve, tempfile::NamedTempFile) {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(512 * SECTORS).unwrap();
    let serve = Serve::of("blk", |command, folder| {
        command.arg("--control").arg(folder.join("control")).arg("--disk").arg(image.path());
    });
    (serve, image)
}

fn client(serve: &Serve) -> Client {
    Client::connect(&serve.path("control"), PATIENCE).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn ask(client: &mut Client, command: Command) -> Value {
    client.ask(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[track_caller]
fn refused(client: &mut Client, command: Command, message: &str) {
    match client.ask(&command) {
        Err(ClientError::Refused(why)) => assert!(why.contains(message), "{command:?}: {why}"),
        other => panic!("{command:?}: {other:?}"),
    }
}

/// The driver gets an interrupt for a change of its device's config. One of an earlier request may come late before it.
#[track_caller]
fn config_changes<P: Platform>(platform: &mut P, interrupted: impl Fn(&mut P, Interrupt) -> Interrupted) {
    let deadline = platform.now() + LONG;
    loop {
        let interrupt = platform.wait_interrupt(deadline).expect("no interrupt tells of the change");
        if matches!(interrupted(platform, interrupt), Interrupted::Mine { config_changed: true, .. }) {
            return;
        }
    }
}

#[test]
fn a_disk_does_what_it_is_told_and_its_driver_sees_it() {
    let (mut serve, image) = disk();
    let mode = fs::metadata(serve.path("control")).unwrap();
    assert!(mode.file_type().is_socket());
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(serve.said.contains("virtio-hdl ctl "), "{}", serve.said);
    let mut control = client(&serve);
    let status = ask(&mut control, Command::Status);
    assert_eq!((&status["configuration"], &status["device"]), (&json!("blk"), &json!("blk")));
    assert_eq!((&status["guest"], &status["driver"]), (&json!(false), &Value::Null));
    assert_eq!(status["side"], json!({"capacity": SECTORS, "read_only": false}));
    refused(&mut control, Command::Diagnostics, "no guest is there");

    let (mut platform, mut bus) = serve.on_a_bus();
    let status = ask(&mut control, Command::Status);
    assert_eq!(
        (&status["guest"], &status["driver"]),
        (&json!(true), &Value::Null),
        "its ports are not switched on yet"
    );
    let mut blk = Blk::probe(&mut platform, &mut bus, SLOT, &Options::default()).unwrap();
    let status = ask(&mut control, Command::Status);
    assert_eq!(status["driver"]["status_bits"], json!(["ACKNOWLEDGE", "DRIVER", "DRIVER_OK"]));
    assert_eq!(status["driver"]["status"], json!(7));
    let names = status["driver"]["feature_names"].as_array().unwrap();
    assert!(names.contains(&json!("flush")) && !names.contains(&json!("mq")), "{status}");

    // It grows, and the image with it; it shrinks, and what was behind the end is there when it grows again.
    let answer = ask(&mut control, Command::Capacity { sectors: 2 * SECTORS });
    assert_eq!(answer, json!({"capacity": 2 * SECTORS, "read_only": false}));
    config_changes(&mut platform, |platform, interrupt| blk.interrupt(platform, interrupt).unwrap());
    assert_eq!(blk.capacity(&mut platform), 2 * SECTORS);
    assert_eq!(image.as_file().metadata().unwrap().len(), 1024 * SECTORS);
    let written = [0x5a; 4096];
    blk.write(&mut platform, 2 * SECTORS - 8, &written).unwrap();
    ask(&mut control, Command::Capacity { sectors: SECTORS });
    config_changes(&mut platform, |platform, interrupt| blk.interrupt(platform, interrupt).unwrap());
    let mut read = [0; 4096];
    assert!(blk.read(&mut platform, 2 * SECTORS - 8, &mut read).is_err(), "behind the end");
    ask(&mut control, Command::Capacity { sectors: 2 * SECTORS });
    config_changes(&mut platform, |platform, interrupt| blk.interrupt(platform, interrupt).unwrap());
    blk.read(&mut platform, 2 * SECTORS - 8, &mut read).unwrap();
    assert!(read == written);
    for sectors in [0, u64::MAX] {
        refused(&mut control, Command::Capacity { sectors }, "a disk has 1 to ");
    }
    assert_eq!(blk.capacity(&mut platform), 2 * SECTORS);

    ask(&mut control, Command::ReadOnly { state: Switch::On });
    assert!(blk.write(&mut platform, 0, &written).is_err(), "it refuses writes");
    blk.read(&mut platform, 0, &mut read).unwrap();
    ask(&mut control, Command::ReadOnly { state: Switch::Off });
    blk.write(&mut platform, 0, &written).unwrap();

    let statistics = ask(&mut control, Command::Statistics);
    assert!(statistics["disk_commands"].as_u64().unwrap() >= 4, "{statistics}");
    assert!(statistics["clients"][0]["region_writes"][0].as_u64().unwrap() > 4, "that of the guest there is too");
    let diagnostics = ask(&mut control, Command::Diagnostics);
    assert_eq!((&diagnostics["violation"], &diagnostics["last_violation"]), (&Value::Null, &Value::Null));
    for name in ["memory reads sent", "memory writes sent", "interrupts sent"] {
        assert!(diagnostics["counters"][name].as_u64().unwrap() > 0, "{name}: {diagnostics}");
    }
    blk.queue_mut().offer(platform.memory(), 256).unwrap();
    blk.kick(&mut platform).unwrap();
    platform.run(1_000_000);
    let diagnostics = ask(&mut control, Command::Diagnostics);
    for field in ["violation", "last_violation"] {
        assert!(diagnostics[field].as_str().unwrap().contains("queue 0 has stopped at head 256: "), "{diagnostics}");
    }
    assert_eq!(ask(&mut control, Command::Status)["violation"], diagnostics["violation"]);
    refused(
        &mut control,
        Command::Link { state: Plug::Up },
        "link belongs to net, and this endpoint is a disk (blk): ",
    );

    assert_eq!(ask(&mut control, Command::Quit), json!({}));
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    assert!(!serve.path("control").exists() && !serve.socket().exists());
    drop(platform);
    let (_, report, errors) = serve.end();
    assert!(report.contains("disk commands"), "{errors}");
}

#[test]
fn a_driver_sees_its_plug_pulled_and_put_back() {
    let serve = Serve::of("net", |command, folder| {
        command.args(["--net", "loopback", "--set", "net.max_frame=1522"]).arg("--control").arg(folder.join("control"));
    });
    let mut control = client(&serve);
    // What is done before there is a guest holds when one comes.
    assert_eq!(ask(&mut control, Command::Link { state: Plug::Down })["link"], json!("down"));
    let (mut platform, mut bus) = serve.on_a_bus();
    let net = Net::probe(&mut platform, &mut bus, SLOT, &NetOptions::default()).unwrap();
    assert!(!net.link_up(&mut platform));
    for (state, up) in [(Plug::Up, true), (Plug::Down, false), (Plug::Up, true)] {
        ask(&mut control, Command::Link { state });
        config_changes(&mut platform, |platform, interrupt| net.interrupt(platform, interrupt).unwrap());
        assert_eq!(net.link_up(&mut platform), up);
    }
    let status = ask(&mut control, Command::Status);
    assert_eq!(status["configuration"], json!("net net.max_frame=1522"));
    assert_eq!(status["side"], json!({"link": "up", "mac": "52:54:00:12:34:56"}));
    let capacity = Command::Capacity { sectors: 1 };
    refused(&mut control, capacity, "capacity belongs to blk, and this endpoint is a network card");
    refused(&mut control, Command::ReadOnly { state: Switch::On }, "read-only belongs to blk");
    assert!(ask(&mut control, Command::Statistics)["wire"].is_object());
    assert!(ask(&mut control, Command::Diagnostics)["counters"]["memory reads sent"].is_u64());
}

#[test]
fn diagnostics_come_out_of_bar1_behind_a_hard_block_and_not_at_all_without_vectors() {
    for (config, vectors) in [("blk@7-series-128", true), ("blk-intx", false)] {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(512 * SECTORS).unwrap();
        let serve = Serve::of(config, |command, folder| {
            command.arg("--control").arg(folder.join("control")).arg("--read-only").arg("--disk").arg(image.path());
        });
        let (mut platform, mut bus) = serve.on_a_bus();
        let mut blk = Blk::probe(&mut platform, &mut bus, SLOT, &Options::default()).unwrap();
        blk.read(&mut platform, 0, &mut [0; 512]).unwrap();
        let diagnostics = ask(&mut client(&serve), Command::Diagnostics);
        assert!(
            diagnostics["counters"]["memory reads sent"].as_u64().unwrap() > 2,
            "{config}, {vectors}: {diagnostics}"
        );
        refused(&mut client(&serve), Command::ReadOnly { state: Switch::Off }, "serve it without --read-only");
        let grown = Command::Capacity { sectors: 2 * SECTORS };
        refused(&mut client(&serve), grown, "the disk stays as it is: ");
        assert_eq!(blk.capacity(&mut platform), SECTORS);
    }
}

/// Clients that send garbage, never end a line, never read, come in crowds; all of them as fast as they can.
fn hostile(path: &Path, kind: u64, ends: &AtomicBool) -> u64 {
    let status = b"{\"command\":\"status\"}\n";
    let mut done = 0;
    let mut kept = vec![];
    while !ends.load(Ordering::SeqCst) {
        let Ok(mut stream) = UnixStream::connect(path) else { continue };
        stream.set_nonblocking(true).unwrap();
        // What is not taken is the point.
        let _ = match kind {
            0 => stream.write_all(b"\0\xff garbage {\n\n[[[\n").and_then(|()| stream.read(&mut [0; 9]).map(|_| ())),
            1 => stream.write_all(&vec![b'x'; 100_000]),
            2 => stream.write_all(&status[..10]),
            3 => (0..).try_for_each(|_| stream.write_all(status)),
            _ => Ok(()),
        };
        if kind > 1 {
            kept.push(stream);
            kept.truncate(40);
        }
        done += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    done
}

#[test]
fn clients_that_mean_no_good_hold_up_neither_the_driver_nor_another_client() {
    let (serve, _image) = disk();
    let (mut platform, mut bus) = serve.on_a_bus();
    let mut blk = Blk::probe(&mut platform, &mut bus, SLOT, &Options::default()).unwrap();
    let (ends, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let path = serve.path("control");
    std::thread::scope(|scope| {
        let (hostile_path, hostile_ends) = (&path, &ends);
        let crowd: Vec<_> = (0..5).map(|kind| scope.spawn(move || hostile(hostile_path, kind, hostile_ends))).collect();
        // A good one among them asks anew when it is turned away for the crowd.
        let good = scope.spawn(|| {
            while !ends.load(Ordering::SeqCst) {
                let mut good = Client::connect(&path, PATIENCE).unwrap();
                match good.ask(&Command::Status) {
                    Ok(status) => {
                        assert_eq!(status["driver"]["status"], json!(7), "{status}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(ClientError::Refused(_) | ClientError::Lost { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let begin = Instant::now();
        let mut moved = 0;
        while begin.elapsed() < PATIENCE && (moved < 60 || answered.load(Ordering::SeqCst) < 10) {
            let data = [moved as u8; 4096];
            let mut back = [0xff; 4096];
            blk.write(&mut platform, moved % 100 * 8, &data).unwrap_or_else(|error| panic!("{error}"));
            blk.read(&mut platform, moved % 100 * 8, &mut back).unwrap_or_else(|error| panic!("{error}"));
            assert!(back == data, "what was read is not what was written");
            moved += 1;
        }
        ends.store(true, Ordering::SeqCst);
        good.join().unwrap();
        let crowd: Vec<u64> = crowd.into_iter().map(|hostile| hostile.join().unwrap()).collect();
        println!("{moved} blocks moved, {answered:?} answers, crowd {crowd:?}, {:?}", begin.elapsed());
        assert!(crowd.iter().all(|done| *done > 5), "{crowd:?}");
        assert!(moved >= 60 && answered.load(Ordering::SeqCst) >= 10, "{moved} blocks, {answered:?} answers");
    });
    // All gone, it rests.
    let before = processor_seconds(serve.child.id());
    std::thread::sleep(Duration::from_millis(500));
    assert!(processor_seconds(serve.child.id()) - before < 0.1, "it is busy with nobody");
    assert_eq!(ask(&mut client(&serve), Command::Status)["guest"], json!(true));
}

/// No descriptors for a client: it is turned away, and the next is served when there are some.
#[test]
fn a_client_for_which_there_is_no_descriptor_is_turned_away() {
    let (serve, _image) = disk();
    let process = serve.child.id();
    let limit = |descriptors: usize| {
        run(Process::new("prlimit").args(["--pid", &process.to_string(), &format!("--nofile={descriptors}:4096")]));
    };
    let is_free = |number: &usize| !Path::new(&format!("/proc/{process}/fd/{number}")).exists();
    limit((0..).find(is_free).unwrap());
    let mut stream = UnixStream::connect(serve.path("control")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "it is turned away");
    let before = processor_seconds(process);
    std::thread::sleep(Duration::from_millis(300));
    assert!(processor_seconds(process) - before < 0.1, "it is busy with waiting");
    limit(1024);
    assert_eq!(ask(&mut client(&serve), Command::Status)["device"], json!("blk"));
}

#[test]
fn a_stale_socket_is_replaced_and_what_is_in_use_is_refused() {
    let (mut serve, image) = disk();
    let other = tempfile::NamedTempFile::new().unwrap();
    other.as_file().set_len(512).unwrap();
    let control = serve.path("control");
    let folder = tempfile::tempdir().unwrap();
    let start = |control: &Path| {
        let mut command = program();
        command.args(["serve", "blk", "--socket"]).arg(folder.path().join("socket"));
        command.arg("--disk").arg(other.path()).arg("--control").arg(control);
        command
    };
    for (path, message) in [
        (control.as_path(), "the control socket"),
        (image.path(), "is there already and is no socket"),
        (Path::new("/nowhere/control"), "cannot make the control socket /nowhere/control: No such file"),
    ] {
        let output = output(&mut start(path));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(message), "{errors}");
        assert!(!folder.path().join("socket").exists());
    }
    serve.child.kill().unwrap();
    serve.child.wait().unwrap();
    assert!(control.exists(), "it is left behind");
    let mut second = start(&control).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        let status = Client::connect(&control, PATIENCE).and_then(|mut client| client.ask(&Command::Status));
        match status {
            Err(ClientError::Connect { .. }) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20))
            }
            status => break status,
        }
    };
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(status.unwrap()["side"]["capacity"], json!(1));
}

#[test]
fn ctl_asks_for_people_and_programs() {
    let (serve, _image) = disk();
    let control = serve.path("control");
    let ctl = |arguments: &[&str]| output(program().arg("ctl").arg(&control).args(arguments));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = text(&ctl(&["status"]).stdout);
    assert!(
        shown.contains("device: blk\ndriver: none\nguest: false\nside:\n  capacity: 2048\n  read only: false\n"),
        "{shown}"
    );
    let status: Value = serde_json::from_slice(&ctl(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["side"]["capacity"], json!(SECTORS));
    let failed = |arguments: &[&str], code: i32, message: &str| {
        let output = ctl(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    };
    failed(&["link", "down"], 1, "error: link belongs to net, and this endpoint is a disk (blk): ");
    failed(&["link", "sideways"], 2, "[possible values: up, down]");
    failed(&["capacity", "many"], 2, "invalid value 'many'");
    failed(&["dance"], 2, "unexpected argument 'dance'");
    assert_eq!(ctl(&["quit"]).status.code(), Some(0));
    let (code, _, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
    failed(&["status"], 1, "`serve` and `qemu` make the socket, with --control");
    // One that listens and says nothing is not waited for for ever.
    let folder = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(folder.path().join("silent")).unwrap();
    let patience = Duration::from_millis(200);
    let asked =
        Client::connect(&folder.path().join("silent"), patience).and_then(|mut client| client.ask(&Command::Status));
    assert!(matches!(asked, Err(ClientError::Silent { .. })), "{asked:?}");
}

/// Linux sees its disk grow, in the guest of `qemu`.
#[test]
fn a_guest_sees_its_disk_grow() {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(512 * SECTORS).unwrap();
    let job = "echo booted\nwhile [ $(cat /sys/block/vda/size) != 4096 ]; do sleep 0.1; done; echo grown\n";
    let mut guest = Guest::start(&["blk", "--disk", &image.path().to_string_lossy()], job);
    let mut control = Client::connect(&guest.path("control"), PATIENCE).unwrap();
    assert_eq!(ask(&mut control, Command::Status)["driver"]["status"], json!(7));
    ask(&mut control, Command::Capacity { sectors: 4096 });
    guest.says("grown");
    guest.ends();
}

/// What a guest asks waits while its endpoint stands still, and the server waits with it: it takes no processor, more commands, and an end.
#[test]
fn a_driver_waits_for_an_endpoint_that_stands_still() {
    let (serve, _image) = disk();
    let mut control = client(&serve);
    refused(&mut control, Command::Save { path: serve.path("saved") }, "`freeze` it first");
    // Without a guest it stands still at once, and a guest that comes then waits.
    assert_eq!(ask(&mut control, Command::Freeze), json!({"still": true, "begun": true}));
    assert_eq!(ask(&mut control, Command::Freeze), json!({"still": true, "begun": false}));
    ask(&mut control, Command::Thaw);
    let (mut platform, mut bus) = serve.on_a_bus();
    let mut blk = Blk::probe(&mut platform, &mut bus, SLOT, &Options::default()).unwrap();
    blk.write(&mut platform, 8, &[7; 512]).unwrap();
    stand_still(&mut control);
    let status = ask(&mut control, Command::Status);
    assert_eq!((&status["still"], &status["guest"], &status["driver"]), (&json!(true), &json!(true), &Value::Null));
    refused(&mut control, Command::Diagnostics, "`thaw` it first");
    let saved = serve.path("saved");
    assert_eq!(ask(&mut control, Command::Save { path: saved.clone() }), json!({"saved": saved}));
    assert_eq!(fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = Path::new("/nowhere/saved").to_path_buf();
    refused(&mut control, Command::Save { path: nowhere.clone() }, "cannot write /nowhere/saved");
    refused(&mut control, Command::Restore { path: nowhere }, "cannot restore /nowhere/saved");
    let damaged = serve.path("damaged");
    fs::write(&damaged, fs::read_to_string(&saved).unwrap().replace("\"isr\":", "\"isr\": 1")).unwrap();
    refused(&mut control, Command::Restore { path: damaged }, "cannot restore");
    let reload = |name: &str, set: &[&str]| Command::Reload {
        configuration: name.into(),
        set: set.iter().map(|text| text.to_string()).collect(),
    };
    refused(&mut control, reload("net", &[]), "the virtio device 2, the endpoint 1");
    refused(&mut control, reload("blk-one-vector", &[]), "vectors");
    refused(&mut control, reload("no-such", &[]), "no-such");
    refused(&mut control, reload("blk", &["queue_size=3"]), "queue_size");
    let before = processor_seconds(serve.child.id());
    std::thread::sleep(Duration::from_secs(1));
    assert!(processor_seconds(serve.child.id()) - before < 0.2, "it stands still, and works");
    ask(&mut control, Command::Restore { path: saved.clone() });
    assert_eq!(ask(&mut control, reload("blk", &[])), json!({"configuration": "blk"}));
    // What the driver does now is answered when it goes on.
    let thaws = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        ask(&mut control, Command::Thaw);
        control
    });
    let begun = Instant::now();
    let mut back = [0; 512];
    blk.read(&mut platform, 8, &mut back).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(250) && back == [7; 512]);
    let mut control = thaws.join().unwrap();
    // The driver has gone on: what was saved is of yesterday.
    stand_still(&mut control);
    refused(&mut control, Command::Restore { path: saved }, "the guest has gone on since it was saved");
    ask(&mut control, Command::Quit);
    drop(platform);
    let (code, _, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
}

/// What is not generated has no window, and says so; the guest's endpoint goes on.
#[test]
fn rtl_of_ones_own_does_not_stand_still() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/own-rtl/own.toml");
    let serve = Serve::of(own, |command, folder| {
        command.arg("--control").arg(folder.join("control"));
    });
    let mut control = client(&serve);
    refused(&mut control, Command::Freeze, "has no state window");
    refused(&mut control, Command::Save { path: serve.path("saved") }, "does not stand still");
    assert_eq!(ask(&mut control, Command::Status)["still"], json!(false));
}

/// As `ctl` does it.
fn stand_still(control: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    while ask(control, Command::Freeze)["still"] != true {
        assert!(Instant::now() < deadline, "it does not come to a stand");
    }
}
