//! One guest on the endpoint.
use super::{Arguments, Ended, Stop};
use crate::bridge::{Bridge, Report};
use crate::cli::device::Device;
use crate::cli::endpoint::Subject;
use crate::cli::output::outln;
use crate::cli::{report, stop};
use crate::guest::{vfio_user_pci, Guest, Running};
use crate::leftovers::Leftover;
use anyhow::{anyhow, bail, Context};
use serde::Serialize;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use vfio_user_server::{Server, ServerOptions};

/// What QEMU said is read by then, once it has ended.
const END: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Serialize)]
struct GuestRun {
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
    let subject = arguments.endpoint.subject()?;
    let device = match &subject {
        Subject::Virtio(config) => Some(Device::of(config.device)?),
        Subject::Own(_) => None,
    };
    let job = match (&arguments.job, device) {
        (Some(path), _) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        (None, Some(device)) => device.demo().into(),
        (None, None) if arguments.shell => String::new(),
        (None, None) => bail!("nobody knows what a guest does with RTL of your own: give --job FILE or --shell"),
    };
    if arguments.endpoint.takes_the_terminal() {
        bail!(
            "--console stdio: the serial console of the guest is here; give pty, unix:PATH or file:PATH, or take serve"
        );
    }
    let files = arguments.endpoint.files().reads("--job", arguments.job.as_deref());
    files.reads("--kernel", arguments.kernel.as_deref()).check()?;
    let opened = arguments.endpoint.open(&subject)?;
    let control = arguments.endpoint.control()?;
    let mut bridge = arguments.endpoint.bridge(&subject, opened, control)?;
    let parts = arguments.parts(device, (!arguments.shell).then_some(&job))?;
    note!("QEMU {}, Linux {}, {}", parts.qemu.version(), parts.kernel.version, arguments.endpoint.config);
    let json = arguments.json;
    let outcome =
        on_endpoint(&mut bridge, arguments.endpoint.server_options(), arguments.guest(&parts), |guest| match arguments
            .shell
        {
            true => guest.start_on_terminal(),
            false => guest.start(move |line| if json { note!("{line}") } else { outln!("{line}") }),
        });
    // What is wrong with the endpoint is told, rather than what followed from it.
    let finished = bridge.finish();
    let mut traces = Ok(());
    let Outcome { ended, seconds } = match (outcome, finished) {
        (outcome, Ok(())) => outcome?,
        (Ok(outcome), Err(error)) if error.is_of_traces() => {
            traces = Err(error);
            outcome
        }
        (_, Err(error)) => return Err(error.into()),
    };
    if arguments.shell {
        if !ended.status.success() {
            bail!("QEMU ended with {}", ended.status);
        }
    } else {
        ended.job()?;
    }
    let summary = GuestRun {
        qemu: parts.qemu.version().into(),
        kernel: parts.kernel.version.clone(),
        boot_seconds: ended.init_seconds(),
        seconds,
        endpoint: bridge.report(),
    };
    if json {
        outln!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(traces?);
    }
    outln!("");
    if let Some(boot) = summary.boot_seconds {
        outln!("{boot:>12.2} s from the kernel's start to its first process");
    }
    outln!("{seconds:>12.2} s from QEMU's start to its end");
    report::print(&summary.endpoint);
    Ok(traces?)
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
    let _leftover = Leftover::path(folder.path());
    let socket = folder.path().join("endpoint.sock");
    crate::cli::for_qemu(&socket)?;
    let mut server = Server::bind(&socket, options)?;
    let begin = Instant::now();
    let mut running = start(guest.device(vfio_user_pci(&socket, &[])))?;
    stop.on_end_of(running.pid())?;
    let served = server.serve(bridge, stop.as_fd());
    drop((stop, server));
    let seconds = begin.elapsed().as_secs_f64();
    if running.has_ended() {
        return Ok(Outcome { ended: running.wait(END)?, seconds });
    }
    running.end()?;
    served?;
    Err(match stop::signal() {
        Some(signal) => {
            anyhow!("ended by {signal} before the guest was at its end; what it had flushed is in the disk image")
        }
        None => anyhow!("the endpoint ended before the guest did"),
    })
}
