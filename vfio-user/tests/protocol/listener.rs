//! The socket in the file system, and clients that come and go.
use crate::fake::*;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use vfio_user_server::{irq, Server, ServerError, ServerOptions};

fn bind(path: &Path) -> Result<Server, ServerError> {
    Server::bind(path, ServerOptions::default())
}

/// A server at `path` with a client that has agreed.
fn serve(path: &Path) -> Setup {
    let mut setup = Setup::with(bind(path).unwrap(), || UnixStream::connect(path).unwrap());
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
    setup
}

#[test]
fn the_socket_is_for_its_owner_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = bind(&path).unwrap();
    let metadata = path.metadata().unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn somebody_else_is_heard_with_and_without_a_client_and_may_end_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = Setup::with(bind(&path).unwrap(), || UnixStream::connect(&path).unwrap());
    let hears = |setup: &mut Setup, byte: &[u8]| {
        setup.control.write_all(byte).unwrap();
        setup.event()
    };
    assert_eq!(hears(&mut setup, b"?"), Event::Controlled(false), "nobody has agreed on anything yet");
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
    assert_eq!(hears(&mut setup, b"?"), Event::Controlled(true));
    setup.reconnect(&path);
    assert!(matches!(setup.event(), Event::Detached(_)));
    assert_eq!(hears(&mut setup, b"?"), Event::Controlled(false));
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
    assert_eq!(hears(&mut setup, b"!"), Event::Controlled(true));
    assert!(matches!(setup.event(), Event::Detached(_)), "the server ends");
}

#[test]
fn a_dead_servers_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    serve(&path);
    assert!(!path.exists());
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = serve(&path);
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    setup.settle();
    // Of another type.
    let datagrams = folder.path().join("datagrams");
    let _other = UnixDatagram::bind(&datagrams).unwrap();
    let error = bind(&datagrams).unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    // So busy that nobody gets through.
    let busy = folder.path().join("busy");
    let _server = bind(&busy).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(UnixStream::connect(&busy).unwrap());
    }
    let error = bind(&busy).unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    assert!(busy.exists());
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let link = folder.path().join("link");
    symlink(folder.path().join("nothing"), &link).unwrap();
    for path in [&file, &link, folder.path()] {
        let error = bind(path).unwrap_err();
        assert!(matches!(error, ServerError::NotASocket { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_path_that_cannot_be_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("no/folder"), folder.path().join("x".repeat(200))] {
        let error = bind(&path).unwrap_err();
        assert!(matches!(error, ServerError::Bind { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn another_servers_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
}

#[test]
fn a_second_client_is_refused_while_the_first_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = serve(&path);
    for _ in 0..3 {
        let mut second = TestClient::new(UnixStream::connect(&path).unwrap());
        assert_eq!(second.receive(), None);
        setup.expect_no_event();
    }
}

#[test]
fn a_second_client_is_served_after_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = serve(&path);
    for _ in 0..20 {
        // Sent just before it goes, so that the next one is there before this one's end is seen.
        for _ in 0..100 {
            setup.client.send(RESET, NO_REPLY, &[], &[]);
        }
        setup.reconnect(&path);
        setup.client.agree();
        for _ in 0..100 {
            assert_eq!(setup.event(), Event::Reset);
        }
        assert!(matches!(setup.event(), Event::Detached(_)));
        assert_eq!(setup.event(), Event::Attached);
        setup.settle();
    }
}

#[test]
fn a_client_that_never_agrees_is_not_attached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = Setup::with(bind(&path).unwrap(), || UnixStream::connect(&path).unwrap());
    setup.reconnect(&path);
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
    setup.expect_no_event();
}

#[test]
fn nothing_of_a_client_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = serve(&path);
    let (eventfd, end) = witness();
    setup.client.ask_with(SET_IRQS, &set_irqs(4 | 32, irq::MSIX, 0, 1), &[eventfd.as_fd()]).unwrap();
    drop(eventfd);
    let name = format!("vfio-user-left-behind-{}", std::process::id());
    let file = std::fs::File::from(rustix::fs::memfd_create(&name, rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.set_len(4096).unwrap();
    setup.client.ask_with(DMA_MAP, &dma_map(READ_WRITE, 0, 0, 4096), &[file.as_fd()]).unwrap();
    let is_mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains(&name);
    assert!(is_mapped() && !is_closed(&end));
    setup.order(|client| {
        client.dma_read(1, 0x1000_0000, 4);
        client.dma_write(0x1000_0000, &[1]);
    });
    setup.client.expect_dma(DMA_READ, 0x1000_0000, 4);
    setup.client.expect_dma(DMA_WRITE, 0x1000_0000, 1);
    setup.client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let statistics = setup.expect_gone();
    assert_eq!((statistics.messages["DMA_MAP"], statistics.dma_messages), (1, 2));
    assert!(!is_mapped() && is_closed(&end));
    setup.client = TestClient::new(UnixStream::connect(&path).unwrap());
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
    assert_eq!(setup.look(|client| (client.reads_pending(), client.writes_pending())), (false, false));
    assert_eq!(setup.statistics().dma_messages, 0);
}

#[test]
fn a_stopped_server_says_goodbye_to_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut setup = serve(&path);
    setup.stop();
    setup.expect_gone();
    assert!(!path.exists());
}
