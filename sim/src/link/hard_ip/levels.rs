//! The ports that the block drives as levels, and those that it watches.
use super::{ConfigSpace, Family};
use virtio_hdl_rtl::pcie::layout::*;

/// What `tx_buf_av` and `pcie_tfc_nph_av` say while there is room.
const BUFFERS: u64 = 32;
const CREDITS: u64 = 15;

/// What the ports that depend on config space and credits say.
pub fn levels(family: Family, config: &ConfigSpace, starving: bool) -> Vec<(&'static str, u64)> {
    let (command, control) = (config.command(), config.msix_control());
    let (enable, mask) = (control & MSIX_CONTROL_ENABLE != 0, control & MSIX_CONTROL_MASK != 0);
    match family {
        Family::SevenSeries => vec![
            ("cfg_command", command.into()),
            ("cfg_dcommand", config.device_control().into()),
            ("cfg_dcommand2", config.device_control_2().into()),
            ("cfg_bus_number", config.id().bus().into()),
            ("cfg_device_number", config.id().device().into()),
            ("cfg_function_number", config.id().function().into()),
            ("cfg_pmcsr_powerstate", config.power_state().into()),
            ("cfg_interrupt_msixenable", enable.into()),
            ("cfg_interrupt_msixfm", mask.into()),
            ("tx_buf_av", if starving { 0 } else { BUFFERS }),
        ],
        Family::UltraScalePlus => {
            let intx_disable = command & COMMAND_INTX_DISABLE != 0;
            let spaces = command & (COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER);
            // D0 uninitialised, D0 active, D3hot
            let power = match config.power_state() {
                0 => u64::from(spaces != 0),
                _ => 4,
            };
            vec![
                ("cfg_function_status", u64::from(spaces) | u64::from(intx_disable) << 3),
                ("cfg_function_power_state", power),
                ("cfg_max_payload", config.max_payload().min(3).into()),
                ("cfg_max_read_req", config.max_read_request().into()),
                ("cfg_interrupt_msix_enable", enable.into()),
                ("cfg_interrupt_msix_mask", mask.into()),
                ("cfg_bus_number", config.id().bus().into()),
                ("pcie_tfc_nph_av", if starving { 0 } else { CREDITS }),
            ]
        }
    }
}

/// Ports that are pulsed, or low for good.
pub fn quiet(family: Family) -> &'static [&'static str] {
    match family {
        Family::SevenSeries => &["cfg_interrupt_rdy", "tx_err_drop", "tx_cfg_req"],
        Family::UltraScalePlus => &[
            "cfg_interrupt_sent",
            "cfg_flr_in_process",
            "pcie_rq_seq_num0",
            "pcie_rq_seq_num_vld0",
            "pcie_rq_seq_num1",
            "pcie_rq_seq_num_vld1",
        ],
    }
}

/// Ports of the endpoint whose changes count. What a request says comes before the request.
pub fn watched(family: Family) -> &'static [&'static str] {
    match family {
        Family::SevenSeries => &[
            "cfg_interrupt_assert",
            "cfg_interrupt_di",
            "cfg_interrupt",
            "cfg_interrupt_stat",
            "cfg_trn_pending",
            "rx_np_ok",
            "tx_cfg_gnt",
        ],
        Family::UltraScalePlus => &["cfg_interrupt_int", "cfg_interrupt_pending", "cfg_flr_done", "pcie_cq_np_req"],
    }
}
