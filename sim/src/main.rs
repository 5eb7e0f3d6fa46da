//! The command line.
fn main() -> std::process::ExitCode {
    virtio_hdl::cli::main()
}
