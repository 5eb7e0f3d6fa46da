//! An endpoint on a vfio-user socket, in a thread of the test.
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use virtio_hdl::bridge::{Bridge, BridgeOptions, Report};
use virtio_hdl::model::{DeviceSide, Library};
use virtio_hdl::vfio_user::{Server, ServerOptions};
use virtio_hdl_rtl::config::EndpointConfig;

/// A server at work; it ends with [`Served::end`].
pub struct Served {
    folder: tempfile::TempDir,
    stop: UnixStream,
    thread: JoinHandle<Report>,
}

impl Served {
    /// Serves this endpoint with this at its device side. The socket is there when it returns.
    pub fn start(
        config: &EndpointConfig,
        side: Box<dyn DeviceSide>,
        bridge: BridgeOptions,
        server: ServerOptions,
    ) -> Self {
        let config = config.clone();
        let bridge = BridgeOptions { clock_hz: config.link.clock_hz, ..bridge };
        Served::model(move || crate::library(&config), side, bridge, server)
    }

    /// The same with a model of another kind.
    pub fn model(
        library: impl FnOnce() -> Library + Send + 'static,
        side: Box<dyn DeviceSide>,
        bridge: BridgeOptions,
        server: ServerOptions,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let socket = folder.path().join("socket");
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut bridge = Bridge::new(&library(), side, &bridge).unwrap();
            let mut server = Server::bind(&socket, server).unwrap();
            ready.send(()).unwrap();
            server.serve(&mut bridge, stopped.as_fd()).unwrap();
            bridge.finish().unwrap();
            bridge.report()
        });
        is_ready.recv().unwrap();
        Served { folder, stop, thread }
    }

    /// Where QEMU finds it.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Ends the server.
    pub fn end(mut self) -> Report {
        // The thread may have ended by itself: then joining says why.
        let _ = self.stop.write_all(&[0]);
        self.thread.join().unwrap()
    }
}

/// The endpoint broke no rule and left no access unanswered.
#[track_caller]
pub fn check_sound(report: &Report) {
    assert_eq!((report.violations, report.unanswered_accesses), (0, 0), "{report:?}");
}

/// Nothing went wrong below what the guest sees: no queue was stopped either, and no DMA failed.
#[track_caller]
pub fn check_clean(report: &Report) {
    check_sound(report);
    assert_eq!(report.queue_violations, 0, "{report:?}");
    assert!(!report.clients.is_empty(), "{report:?}");
    for client in &report.clients {
        assert_eq!(client.failed_dma, 0, "{report:?}");
    }
}
