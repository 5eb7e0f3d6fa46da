//! One guest on the endpoint.
use super::{Arguments, Ended, Stop, BLK_DEMO, NET_DEMO};
use crate::bridge::{Bridge, Report};
use crate::cli::report;
use crate::guest::{vfio_user_pci, Guest, Running};
use crate::vfio_user::{Server, ServerOptions};
use anyhow::{bail, Context};
use serde::Serialize;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use virtio_hdl_rtl::config::Device;

/// QEMU has ended, or is told to: it takes no longer.
const END: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Serialize)]
struct Summary {
    qemu: String,
    kernel: String,
    /// Seconds from the kernel's start to the first process.
    boot_seconds: Option<f64>,
    /// Wall-clock seconds from QEMU's start to its end.
    seconds: f64,
    endpoint: Report,
}

/// A guest that came to its end, and how long it took.
pub(super) struct Outcome {
    pub ended: Ended,
    pub seconds: f64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = arguments.endpoint.configuration()?;
    let job = match &arguments.job {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None if config.device == Device::Net => NET_DEMO.into(),
        None => BLK_DEMO.into(),
    };
    let port = arguments.endpoint.port(&config)?;
    let mut bridge = arguments.endpoint.bridge(&config, port)?;
    let parts = arguments.parts(config.device, (!arguments.shell).then_some(&job))?;
    eprintln!("QEMU {}, Linux {}, {}", parts.qemu.version(), parts.kernel.version, arguments.endpoint.config);
    let json = arguments.json;
    let outcome =
        on_endpoint(&mut bridge, arguments.endpoint.server_options(), arguments.guest(&parts), |guest| match arguments
            .shell
        {
            true => guest.start_on_terminal(),
            false => guest.start(move |line| if json { eprintln!("{line}") } else { println!("{line}") }),
        });
    bridge.finish()?;
    let Outcome { ended, seconds } = outcome?;
    if arguments.shell {
        if !ended.status.success() {
            bail!("QEMU ended with {}", ended.status);
        }
    } else {
        ended.job()?;
    }
    let summary = Summary {
        qemu: parts.qemu.version().into(),
        kernel: parts.kernel.version.clone(),
        boot_seconds: ended.init_seconds(),
        seconds,
        endpoint: bridge.report(),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!();
    if let Some(boot) = summary.boot_seconds {
        println!("{boot:>12.2} s from the kernel's start to its first process");
    }
    println!("{seconds:>12.2} s from QEMU's start to its end");
    report::print(&summary.endpoint);
    Ok(())
}

/// Runs a guest with the endpoint among its devices, until QEMU ends or the user wants an end.
pub(super) fn on_endpoint(
    bridge: &mut Bridge,
    options: ServerOptions,
    guest: Guest<'_>,
    start: impl FnOnce(Guest<'_>) -> Result<Running, crate::guest::GuestError>,
) -> anyhow::Result<Outcome> {
    let stop = Stop::on_signals()?;
    let folder = tempfile::Builder::new().prefix("virtio-hdl-").tempdir()?;
    let socket = folder.path().join("endpoint.sock");
    let mut server = Server::bind(&socket, options)?;
    let begin = Instant::now();
    let mut running = start(guest.device(vfio_user_pci(&socket, &[])))?;
    stop.on_end_of(running.pid())?;
    server.serve(bridge, stop.as_fd())?;
    let seconds = begin.elapsed().as_secs_f64();
    match running.wait(END) {
        Ok(ended) => Ok(Outcome { ended, seconds }),
        Err(_) => {
            running.kill()?;
            bail!("ended before the guest did; what it had flushed is in the disk image")
        }
    }
}
