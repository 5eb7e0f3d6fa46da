//! `virtio-hdl serve`
use super::endpoint::{Dma, EndpointArguments};
use super::output::outln;
use super::report;
use super::stop::Stop;
use crate::guest;
use crate::leftovers::Leftover;
use clap::Args;
use std::os::fd::AsFd;
use std::path::PathBuf;
use vfio_user_server::Server;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl serve blk --socket /tmp/blk.sock --disk disk.img\n  \
    virtio-hdl serve blk-intx --socket /tmp/blk.sock --disk disk.img --read-only --tlp-log tlp.log\n  \
    virtio-hdl serve net --socket /tmp/net.sock --net peer --pcap wire.pcapng\n  \
    virtio-hdl serve net --set net.max_frame=9022 --socket /tmp/net.sock\n  \
    virtio-hdl serve net --socket /tmp/net.sock --control /tmp/net.ctl   (and: virtio-hdl ctl /tmp/net.ctl link down)\n  \
    virtio-hdl serve examples/own-rtl/own.toml --socket /tmp/own.sock --vcd own.vcd\n\n\
    It serves one guest after the other until SIGINT, SIGTERM or SIGHUP; QEMU must be 10.1 or later.\n\
    `virtio-hdl qemu` starts QEMU and a small Linux as well.")]
pub(super) struct Arguments {
    #[command(flatten)]
    endpoint: EndpointArguments,
    /// Unix socket to make
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Print what happened as JSON at the end
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let subject = arguments.endpoint.subject()?;
    arguments.endpoint.files().check()?;
    super::for_qemu(&arguments.socket)?;
    // Who may not have the disk or the socket is told so before a model is built, or a file written.
    let opened = arguments.endpoint.open(&subject)?;
    let mut server = Server::bind(&arguments.socket, arguments.endpoint.server_options())?;
    let leftover = Leftover::path(&arguments.socket);
    let control = arguments.endpoint.control()?;
    let mut bridge = arguments.endpoint.bridge(&subject, opened, control)?;
    let stop = Stop::on_signals()?;
    if let Some(control) = &arguments.endpoint.control {
        note!("it takes commands: virtio-hdl ctl {} status", control.display());
    }
    note!("{} waits at {}; add to QEMU (10.1 or later):", arguments.endpoint.config, arguments.socket.display());
    if arguments.endpoint.dma == Dma::Map {
        note!("  -object memory-backend-memfd,id=ram,size=1G,share=on -machine memory-backend=ram -m 1G \\");
    }
    note!("  -device '{}'", guest::vfio_user_pci(&arguments.socket, &[]));
    let served = server.serve(&mut bridge, stop.as_fd());
    drop((stop, server, leftover));
    let finished = bridge.finish();
    served?;
    match arguments.json {
        true => outln!("{}", serde_json::to_string_pretty(&bridge.report())?),
        false => report::print(&bridge.report()),
    }
    Ok(finished?)
}
