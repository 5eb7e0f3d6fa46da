//! The configuration that a command is given: by name, with what is set beside it.
use clap::Args;
use virtio_hdl_rtl::config::{EndpointConfig, Setting};

#[derive(Args)]
pub(super) struct Settings {
    /// Set a key of the configuration, a section's with a dot, as queue_size=64, blk.queues=2, 'link.speed="gen3 x4"'; may be
    /// repeated, and the last one counts
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<Setting>,
}

impl Settings {
    /// Reads a configuration, and shows what was replaced in it.
    pub fn load(&self, name: &str) -> anyhow::Result<EndpointConfig> {
        if super::own_rtl(name).is_some() {
            anyhow::bail!("{name} describes RTL of your own: `serve` and `qemu` run it, and nothing here generates it");
        }
        let config = EndpointConfig::load_set(name, &self.set)?;
        for warning in &config.warnings {
            note!("warning: {}", warning.in_file(name));
        }
        Ok(config)
    }

    /// What a configuration of this name is with them, for people and for the heads of files.
    pub fn name(&self, config: &str) -> String {
        std::iter::once(config.to_string()).chain(self.set.iter().map(Setting::text)).collect::<Vec<_>>().join(" ")
    }
}
