//! `pcie4_uscale_plus` 1.3 (PG213): the module's ports and the parameters.
//!
//! Ports: those of the module with all its interfaces, which is how it comes; with vectors those of external MSI-X instead of
//! MSI.
use super::{
    bar0_type, input, number, output, size_and_scale, speed_name, tied, width_name, word, Attribute, IpPort, Mode,
};
use crate::config::{Bar0, EndpointConfig};
use crate::endpoint::core::function_config;
use crate::pcie::registers;

pub(super) fn ports(lanes: usize, bits: usize, vectors: bool) -> Vec<IpPort> {
    let keep = bits / 32;
    let mut ports = vec![
        input("sys_clk", 1),
        input("sys_clk_gt", 1),
        input("sys_reset", 1),
        output("pci_exp_txn", lanes),
        output("pci_exp_txp", lanes),
        input("pci_exp_rxn", lanes),
        input("pci_exp_rxp", lanes),
        output("user_clk", 1),
        output("user_reset", 1),
        output("user_lnk_up", 1),
        output("phy_rdy_out", 1),
        // requests of ours
        input("s_axis_rq_tdata", bits),
        input("s_axis_rq_tkeep", keep),
        input("s_axis_rq_tlast", 1),
        output("s_axis_rq_tready", 4),
        input("s_axis_rq_tuser", 62),
        input("s_axis_rq_tvalid", 1),
        // their completions
        output("m_axis_rc_tdata", bits),
        output("m_axis_rc_tkeep", keep),
        output("m_axis_rc_tlast", 1),
        input("m_axis_rc_tready", 1),
        output("m_axis_rc_tuser", 75),
        output("m_axis_rc_tvalid", 1),
        // requests to us
        output("m_axis_cq_tdata", bits),
        output("m_axis_cq_tkeep", keep),
        output("m_axis_cq_tlast", 1),
        input("m_axis_cq_tready", 1),
        output("m_axis_cq_tuser", 88),
        output("m_axis_cq_tvalid", 1),
        // our completions
        input("s_axis_cc_tdata", bits),
        input("s_axis_cc_tkeep", keep),
        input("s_axis_cc_tlast", 1),
        output("s_axis_cc_tready", 4),
        input("s_axis_cc_tuser", 33),
        input("s_axis_cc_tvalid", 1),
        tied("pcie_cq_np_req", 2, 1),
        tied("cfg_power_state_change_ack", 1, 1),
        tied("cfg_link_training_enable", 1, 1),
        tied("cfg_config_space_enable", 1, 1),
    ];
    let outputs = [
        ("pcie_rq_seq_num0", 6),
        ("pcie_rq_seq_num_vld0", 1),
        ("pcie_rq_seq_num1", 6),
        ("pcie_rq_seq_num_vld1", 1),
        ("pcie_rq_tag0", 8),
        ("pcie_rq_tag1", 8),
        ("pcie_rq_tag_av", 4),
        ("pcie_rq_tag_vld0", 1),
        ("pcie_rq_tag_vld1", 1),
        ("pcie_tfc_nph_av", 4),
        ("pcie_tfc_npd_av", 4),
        ("pcie_cq_np_req_count", 6),
        ("cfg_phy_link_down", 1),
        ("cfg_phy_link_status", 2),
        ("cfg_negotiated_width", 3),
        ("cfg_current_speed", 2),
        ("cfg_max_payload", 2),
        ("cfg_max_read_req", 3),
        ("cfg_function_status", 16),
        ("cfg_function_power_state", 12),
        ("cfg_vf_status", 504),
        ("cfg_vf_power_state", 756),
        ("cfg_link_power_state", 2),
        ("cfg_mgmt_read_data", 32),
        ("cfg_mgmt_read_write_done", 1),
        ("cfg_err_cor_out", 1),
        ("cfg_err_nonfatal_out", 1),
        ("cfg_err_fatal_out", 1),
        ("cfg_local_error_valid", 1),
        ("cfg_local_error_out", 5),
        ("cfg_ltssm_state", 6),
        ("cfg_rx_pm_state", 2),
        ("cfg_tx_pm_state", 2),
        ("cfg_rcb_status", 4),
        ("cfg_obff_enable", 2),
        ("cfg_pl_status_change", 1),
        ("cfg_tph_requester_enable", 4),
        ("cfg_tph_st_mode", 12),
        ("cfg_vf_tph_requester_enable", 252),
        ("cfg_vf_tph_st_mode", 756),
        ("cfg_msg_received", 1),
        ("cfg_msg_received_data", 8),
        ("cfg_msg_received_type", 5),
        ("cfg_msg_transmit_done", 1),
        ("cfg_fc_ph", 8),
        ("cfg_fc_pd", 12),
        ("cfg_fc_nph", 8),
        ("cfg_fc_npd", 12),
        ("cfg_fc_cplh", 8),
        ("cfg_fc_cpld", 12),
        ("cfg_bus_number", 8),
        ("cfg_power_state_change_interrupt", 1),
        ("cfg_flr_in_process", 4),
        ("cfg_vf_flr_in_process", 252),
        ("cfg_interrupt_sent", 1),
        ("cfg_hot_reset_out", 1),
    ];
    ports.extend(outputs.map(|(name, width)| output(name, width)));
    let inputs = [
        ("cfg_mgmt_addr", 10),
        ("cfg_mgmt_function_number", 8),
        ("cfg_mgmt_write", 1),
        ("cfg_mgmt_write_data", 32),
        ("cfg_mgmt_byte_enable", 4),
        ("cfg_mgmt_read", 1),
        ("cfg_mgmt_debug_access", 1),
        ("cfg_msg_transmit", 1),
        ("cfg_msg_transmit_type", 3),
        ("cfg_msg_transmit_data", 32),
        ("cfg_fc_sel", 3),
        ("cfg_dsn", 64),
        ("cfg_err_cor_in", 1),
        ("cfg_err_uncor_in", 1),
        ("cfg_flr_done", 4),
        ("cfg_vf_flr_func_num", 8),
        ("cfg_vf_flr_done", 1),
        ("cfg_interrupt_int", 4),
        ("cfg_interrupt_pending", 4),
        ("cfg_pm_aspm_l1_entry_reject", 1),
        ("cfg_pm_aspm_tx_l0s_entry_disable", 1),
        ("cfg_req_pm_transition_l23_ready", 1),
        ("cfg_hot_reset_in", 1),
        ("cfg_ds_port_number", 8),
        ("cfg_ds_bus_number", 8),
        ("cfg_ds_device_number", 5),
    ];
    ports.extend(inputs.map(|(name, width)| input(name, width)));
    if vectors {
        ports.extend([
            output("cfg_interrupt_msix_enable", 4),
            output("cfg_interrupt_msix_mask", 4),
            output("cfg_interrupt_msix_vf_enable", 252),
            output("cfg_interrupt_msix_vf_mask", 252),
            input("cfg_interrupt_msix_address", 64),
            input("cfg_interrupt_msix_data", 32),
            input("cfg_interrupt_msix_int", 1),
            input("cfg_interrupt_msix_vec_pending", 2),
            output("cfg_interrupt_msix_vec_pending_status", 1),
            output("cfg_interrupt_msi_sent", 1),
            output("cfg_interrupt_msi_fail", 1),
            input("cfg_interrupt_msi_function_number", 8),
        ]);
    }
    ports
}

pub(super) fn parameters(
    config: &EndpointConfig,
    mode: Mode,
    block: &str,
    quad: Option<&str>,
) -> Vec<(&'static str, String)> {
    let ids = &config.ids;
    let function = function_config(config);
    let (bar0_size, bar0_scale) = size_and_scale(function.bar0_size);
    let mut all: Vec<(&'static str, String)> = vec![
        ("mode_selection", "Advanced".into()),
        ("device_port_type", "Legacy_PCI_Express_Endpoint_device".into()),
        ("pcie_blk_locn", block.into()),
        ("sys_reset_polarity", "ACTIVE_LOW".into()),
        // link and user side
        ("PL_LINK_CAP_MAX_LINK_WIDTH", width_name(config)),
        ("PL_LINK_CAP_MAX_LINK_SPEED", speed_name(config)),
        ("REF_CLK_FREQ", "100_MHz".into()),
        ("axisten_if_width", format!("{}_bit", mode.data_bits)),
        ("axisten_freq", mode.megahertz.to_string()),
        ("AXISTEN_IF_CQ_ALIGNMENT_MODE", "DWORD_Aligned".into()),
        ("AXISTEN_IF_RQ_ALIGNMENT_MODE", "DWORD_Aligned".into()),
        ("AXISTEN_IF_RC_STRADDLE", "false".into()),
        ("axisten_if_enable_client_tag", "true".into()),
        // identity
        ("vendor_id", format!("{:04X}", ids.vendor)),
        ("PF0_DEVICE_ID", format!("{:04X}", ids.device)),
        ("PF0_REVISION_ID", format!("{:02X}", ids.revision)),
        ("PF0_SUBSYSTEM_VENDOR_ID", format!("{:04X}", ids.subsystem_vendor)),
        ("PF0_SUBSYSTEM_ID", format!("{:04X}", ids.subsystem)),
        ("PF0_Use_Class_Code_Lookup_Assistant", "false".into()),
        ("pf0_class_code_base", format!("{:02X}", ids.class >> 16)),
        ("pf0_class_code_sub", format!("{:02X}", ids.class >> 8 & 0xff)),
        ("pf0_class_code_interface", format!("{:02X}", ids.class & 0xff)),
        ("PF0_CLASS_CODE", format!("{:06X}", ids.class)),
        // BARs
        ("pf0_bar0_enabled", "true".into()),
        ("pf0_bar0_type", bar0_type(config).into()),
        ("pf0_bar0_64bit", "false".into()),
        ("pf0_bar0_prefetchable", "false".into()),
        ("pf0_bar0_scale", bar0_scale),
        ("pf0_bar0_size", bar0_size),
        ("pf0_bar1_enabled", (config.vectors > 0).to_string()),
        ("pf0_bar2_enabled", "false".into()),
        ("pf0_bar3_enabled", "false".into()),
        ("pf0_bar4_enabled", "false".into()),
        ("pf0_bar5_enabled", "false".into()),
        ("pf0_expansion_rom_enabled", "false".into()),
        // interrupts
        ("PF0_INTERRUPT_PIN", "INTA".into()),
        ("pf0_msi_enabled", "false".into()),
        ("pf0_msix_enabled", (config.vectors > 0).to_string()),
        ("MSI_X_OPTIONS", if config.vectors > 0 { "MSI-X_External" } else { "None" }.into()),
        // other capabilities
        ("pf0_dev_cap_max_payload", format!("{}_bytes", config.max_payload)),
        ("extended_tag_field", "true".into()),
        ("PF0_DEV_CAP_FUNCTION_LEVEL_RESET_CAPABLE", "true".into()),
        ("pf0_dsn_enabled", "false".into()),
    ];
    if let Some(quad) = quad {
        all.extend([("en_gt_selection", "true".into()), ("select_quad", quad.into())]);
    }
    if config.vectors > 0 {
        let (bar1_size, bar1_scale) = size_and_scale(function.bar1_size());
        all.extend([
            ("pf0_bar1_type", "Memory".into()),
            ("pf0_bar1_64bit", "false".into()),
            ("pf0_bar1_prefetchable", "false".into()),
            ("pf0_bar1_scale", bar1_scale),
            ("pf0_bar1_size", bar1_size),
            // one less than the number of vectors, hexadecimal; offsets in bytes
            ("PF0_MSIX_CAP_TABLE_SIZE", format!("{:03X}", config.vectors - 1)),
            ("PF0_MSIX_CAP_TABLE_BIR", "BAR_1".into()),
            ("PF0_MSIX_CAP_TABLE_OFFSET", format!("{:08X}", registers::MSIX_TABLE_OFFSET)),
            ("PF0_MSIX_CAP_PBA_BIR", "BAR_1".into()),
            ("PF0_MSIX_CAP_PBA_OFFSET", format!("{:08X}", registers::MSIX_PBA_OFFSET)),
        ]);
    }
    all
}

pub(super) fn attributes(config: &EndpointConfig) -> Vec<Attribute> {
    /// Values of a BAR's control attribute: I/O; 32 bits of memory space, not prefetchable.
    const CONTROL_IO: u32 = 1;
    const CONTROL_MEMORY: u32 = 4;
    /// An aperture of 0 is 128 bytes.
    const SMALLEST_BAR: u32 = 128;
    let function = function_config(config);
    let control = match config.bar0 {
        Bar0::Io => CONTROL_IO,
        Bar0::Memory => CONTROL_MEMORY,
    };
    let mut all = vec![
        number("PF0_BAR0_CONTROL", control),
        number("PF0_CLASS_CODE", function.class),
        number("PF0_INTERRUPT_PIN", 1),
        number("PF0_DEV_CAP_MAX_PAYLOAD_SIZE", u32::from(function.max_payload)),
        number("PL_LINK_CAP_MAX_LINK_SPEED", 1 << (function.link_speed - 1)),
        number("PL_LINK_CAP_MAX_LINK_WIDTH", u32::from(function.link_width)),
        word("PF0_DEV_CAP_FUNCTION_LEVEL_RESET_CAPABLE", "TRUE"),
        word("PF0_DEV_CAP2_CPL_TIMEOUT_DISABLE", "TRUE"),
        word("AXISTEN_IF_ENABLE_CLIENT_TAG", "TRUE"),
        word("AXISTEN_IF_RC_STRADDLE", "FALSE"),
    ];
    if function.vectors > 0 {
        all.extend([
            number("PF0_BAR1_CONTROL", CONTROL_MEMORY),
            number("PF0_BAR1_APERTURE_SIZE", (function.bar1_size() / SMALLEST_BAR).ilog2()),
            number("PF0_MSIX_CAP_TABLE_SIZE", u32::from(function.vectors) - 1),
            number("PF0_MSIX_CAP_TABLE_BIR", function.msix_table() & 7),
            number("PF0_MSIX_CAP_TABLE_OFFSET", function.msix_table() >> 3),
            number("PF0_MSIX_CAP_PBA_BIR", function.msix_pba() & 7),
            number("PF0_MSIX_CAP_PBA_OFFSET", function.msix_pba() >> 3),
        ]);
    }
    all
}
