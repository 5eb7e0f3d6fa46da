//! Whose instructions guests run.

/// The processor of a guest.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Processor {
    /// A PC's.
    #[default]
    X86_64,
    /// An Arm of 64 bits.
    Aarch64,
}

impl Processor {
    /// What QEMU is called that has it.
    pub(super) fn program(self) -> &'static str {
        match self {
            Processor::X86_64 => "qemu-system-x86_64",
            Processor::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// What Debian calls it.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Processor::X86_64 => "amd64",
            Processor::Aarch64 => "arm64",
        }
    }

    /// What is not for PCs has the processor in its name.
    pub(super) fn name(self, what: &str) -> String {
        match self {
            Processor::X86_64 => what.into(),
            Processor::Aarch64 => format!("{what} for arm64"),
        }
    }
}
