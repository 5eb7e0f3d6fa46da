//! `pcie_7x` 3.3 (PG054): the module's ports and the parameters.
//!
//! Ports: those of the module with the interfaces of the physical layer, of configuration management, of flow control and of
//! received messages left out, error reporting in, clocking inside.
use super::{
    bar0_type, input, number, output, size_and_scale, speed_name, tied, width_name, word, Attribute, IpPort, Mode,
};
use crate::config::EndpointConfig;
use crate::endpoint::core::function_config;
use crate::pcie::registers;

pub(super) fn ports(lanes: usize, bits: usize) -> Vec<IpPort> {
    let mut ports = vec![
        input("sys_clk", 1),
        input("sys_rst_n", 1),
        output("pci_exp_txp", lanes),
        output("pci_exp_txn", lanes),
        input("pci_exp_rxp", lanes),
        input("pci_exp_rxn", lanes),
        output("user_clk_out", 1),
        output("user_reset_out", 1),
        output("user_lnk_up", 1),
        output("user_app_rdy", 1),
        // transmit
        output("tx_buf_av", 6),
        output("tx_cfg_req", 1),
        output("tx_err_drop", 1),
        output("s_axis_tx_tready", 1),
        input("s_axis_tx_tdata", bits),
        input("s_axis_tx_tkeep", bits / 8),
        input("s_axis_tx_tlast", 1),
        input("s_axis_tx_tvalid", 1),
        input("s_axis_tx_tuser", 4),
        tied("tx_cfg_gnt", 1, 1),
        // receive
        output("m_axis_rx_tdata", bits),
        output("m_axis_rx_tkeep", bits / 8),
        output("m_axis_rx_tlast", 1),
        output("m_axis_rx_tvalid", 1),
        input("m_axis_rx_tready", 1),
        output("m_axis_rx_tuser", 22),
        tied("rx_np_ok", 1, 1),
        tied("rx_np_req", 1, 1),
    ];
    // configuration: status
    let outputs = [
        ("cfg_status", 16),
        ("cfg_command", 16),
        ("cfg_dstatus", 16),
        ("cfg_dcommand", 16),
        ("cfg_lstatus", 16),
        ("cfg_lcommand", 16),
        ("cfg_dcommand2", 16),
        ("cfg_pcie_link_state", 3),
        ("cfg_pmcsr_pme_en", 1),
        ("cfg_pmcsr_powerstate", 2),
        ("cfg_pmcsr_pme_status", 1),
        ("cfg_received_func_lvl_rst", 1),
        ("cfg_to_turnoff", 1),
        ("cfg_bus_number", 8),
        ("cfg_device_number", 5),
        ("cfg_function_number", 3),
        ("cfg_bridge_serr_en", 1),
        ("cfg_slot_control_electromech_il_ctl_pulse", 1),
        ("cfg_root_control_syserr_corr_err_en", 1),
        ("cfg_root_control_syserr_non_fatal_err_en", 1),
        ("cfg_root_control_syserr_fatal_err_en", 1),
        ("cfg_root_control_pme_int_en", 1),
        ("cfg_aer_rooterr_corr_err_reporting_en", 1),
        ("cfg_aer_rooterr_non_fatal_err_reporting_en", 1),
        ("cfg_aer_rooterr_fatal_err_reporting_en", 1),
        ("cfg_aer_rooterr_corr_err_received", 1),
        ("cfg_aer_rooterr_non_fatal_err_received", 1),
        ("cfg_aer_rooterr_fatal_err_received", 1),
        ("cfg_vc_tcvc_map", 7),
        // interrupts
        ("cfg_interrupt_rdy", 1),
        ("cfg_interrupt_do", 8),
        ("cfg_interrupt_mmenable", 3),
        ("cfg_interrupt_msienable", 1),
        ("cfg_interrupt_msixenable", 1),
        ("cfg_interrupt_msixfm", 1),
        // errors
        ("cfg_err_cpl_rdy", 1),
        ("cfg_err_aer_headerlog_set", 1),
        ("cfg_aer_ecrc_check_en", 1),
        ("cfg_aer_ecrc_gen_en", 1),
    ];
    ports.extend(outputs.map(|(name, width)| output(name, width)));
    let inputs = [
        // configuration: control
        ("cfg_trn_pending", 1),
        ("cfg_pm_halt_aspm_l0s", 1),
        ("cfg_pm_halt_aspm_l1", 1),
        ("cfg_pm_force_state_en", 1),
        ("cfg_pm_force_state", 2),
        ("cfg_dsn", 64),
        ("cfg_turnoff_ok", 1),
        ("cfg_pm_wake", 1),
        ("cfg_pm_send_pme_to", 1),
        ("cfg_ds_bus_number", 8),
        ("cfg_ds_device_number", 5),
        ("cfg_ds_function_number", 3),
        // interrupts
        ("cfg_interrupt", 1),
        ("cfg_interrupt_assert", 1),
        ("cfg_interrupt_di", 8),
        ("cfg_interrupt_stat", 1),
        ("cfg_pciecap_interrupt_msgnum", 5),
        // errors
        ("cfg_err_ecrc", 1),
        ("cfg_err_ur", 1),
        ("cfg_err_cpl_timeout", 1),
        ("cfg_err_cpl_unexpect", 1),
        ("cfg_err_cpl_abort", 1),
        ("cfg_err_posted", 1),
        ("cfg_err_cor", 1),
        ("cfg_err_atomic_egress_blocked", 1),
        ("cfg_err_internal_cor", 1),
        ("cfg_err_malformed", 1),
        ("cfg_err_mc_blocked", 1),
        ("cfg_err_poisoned", 1),
        ("cfg_err_norecovery", 1),
        ("cfg_err_tlp_cpl_header", 48),
        ("cfg_err_locked", 1),
        ("cfg_err_acs", 1),
        ("cfg_err_internal_uncor", 1),
        ("cfg_err_aer_headerlog", 128),
        ("cfg_aer_interrupt_msgnum", 5),
    ];
    ports.extend(inputs.map(|(name, width)| input(name, width)));
    ports
}

pub(super) fn parameters(config: &EndpointConfig, mode: Mode, block: &str) -> Vec<(&'static str, String)> {
    let ids = &config.ids;
    let function = function_config(config);
    let (bar0_size, bar0_scale) = size_and_scale(function.bar0_size);
    let mut all: Vec<(&'static str, String)> = vec![
        ("mode_selection", "Advanced".into()),
        ("Device_Port_Type", "Legacy_PCI_Express_Endpoint_device".into()),
        ("PCIe_Blk_Locn", block.into()),
        ("Xlnx_Ref_Board", "None".into()),
        // link and user side
        ("Maximum_Link_Width", width_name(config)),
        ("Link_Speed", speed_name(config)),
        ("Trgt_Link_Speed", format!("4'h{}", config.link.speed.generation())),
        ("Interface_Width", format!("{}_bit", mode.data_bits)),
        ("User_Clk_Freq", mode.megahertz.to_string()),
        ("Ref_Clk_Freq", "100_MHz".into()),
        ("Trans_Buf_Pipeline", "None".into()),
        ("Buf_Opt_BMA", "true".into()),
        ("Receive_NP_Request", "true".into()),
        // identity
        ("Vendor_ID", format!("{:04X}", ids.vendor)),
        ("Device_ID", format!("{:04X}", ids.device)),
        ("Revision_ID", format!("{:02X}", ids.revision)),
        ("Subsystem_Vendor_ID", format!("{:04X}", ids.subsystem_vendor)),
        ("Subsystem_ID", format!("{:04X}", ids.subsystem)),
        ("Use_Class_Code_Lookup_Assistant", "false".into()),
        ("Class_Code_Base", format!("{:02X}", ids.class >> 16)),
        ("Class_Code_Sub", format!("{:02X}", ids.class >> 8 & 0xff)),
        ("Class_Code_Interface", format!("{:02X}", ids.class & 0xff)),
        // BARs
        ("Bar0_Enabled", "true".into()),
        ("Bar0_Type", bar0_type(config).into()),
        ("Bar0_64bit", "false".into()),
        ("Bar0_Prefetchable", "false".into()),
        ("Bar0_Scale", bar0_scale),
        ("Bar0_Size", bar0_size),
        ("Bar1_Enabled", (config.vectors > 0).to_string()),
        ("Bar2_Enabled", "false".into()),
        ("Bar3_Enabled", "false".into()),
        ("Bar4_Enabled", "false".into()),
        ("Bar5_Enabled", "false".into()),
        ("Expansion_Rom_Enabled", "false".into()),
        // interrupts
        ("IntX_Generation", "true".into()),
        ("Legacy_Interrupt", "INTA".into()),
        ("MSI_Enabled", "false".into()),
        ("MSIx_Enabled", (config.vectors > 0).to_string()),
        // other capabilities
        ("Max_Payload_Size", format!("{}_bytes", config.max_payload)),
        ("Extended_Tag_Field", "true".into()),
        ("D0_PME_Support", "false".into()),
        ("D1_PME_Support", "false".into()),
        ("D2_PME_Support", "false".into()),
        ("D3hot_PME_Support", "false".into()),
        ("No_Soft_Reset", "true".into()),
        // the endpoint keeps the time, which is the configuration's: there is no range to choose from
        ("Cpl_Timeout_Disable_Sup", "true".into()),
        ("Cpl_Timeout_Range", "none".into()),
        ("DSN_Enabled", "false".into()),
        ("AER_Enabled", "false".into()),
        // interfaces of the module
        ("err_reporting_if", "true".into()),
        ("cfg_ctl_if", "true".into()),
        ("cfg_status_if", "true".into()),
        ("cfg_mgmt_if", "false".into()),
        ("cfg_fc_if", "false".into()),
        ("pl_interface", "false".into()),
        ("rcv_msg_if", "false".into()),
        ("pcie_id_if", "false".into()),
        ("en_ext_clk", "false".into()),
        ("en_ext_gt_common", "false".into()),
        ("shared_logic_in_core", "false".into()),
    ];
    if config.vectors > 0 {
        let (bar1_size, bar1_scale) = size_and_scale(function.bar1_size());
        all.extend([
            ("Bar1_Type", "Memory".into()),
            ("Bar1_64bit", "false".into()),
            ("Bar1_Prefetchable", "false".into()),
            ("Bar1_Scale", bar1_scale),
            ("Bar1_Size", bar1_size),
            // the number of vectors, hexadecimal
            ("MSIx_Table_Size", format!("{:X}", config.vectors)),
            // offsets as the capability holds them, without their three lowest bits
            ("MSIx_Table_Offset", format!("{:X}", registers::MSIX_TABLE_OFFSET >> 3)),
            ("MSIx_Table_BIR", "BAR_1".into()),
            ("MSIx_PBA_Offset", format!("{:X}", registers::MSIX_PBA_OFFSET >> 3)),
            ("MSIx_PBA_BIR", "BAR_1".into()),
        ]);
    }
    all
}

pub(super) fn attributes(config: &EndpointConfig) -> Vec<Attribute> {
    let function = function_config(config);
    let mut all = vec![
        number("BAR0", function.bar0_mask() | function.bar0_kind()),
        number("BAR1", function.bar1_mask()),
        number("BAR2", 0),
        number("CLASS_CODE", function.class),
        number("INTERRUPT_PIN", 1),
        number("PCIE_CAP_DEVICE_PORT_TYPE", u32::from(registers::EXPRESS_CAPABILITIES >> 4 & 15)),
        number("DEV_CAP_MAX_PAYLOAD_SUPPORTED", u32::from(function.max_payload)),
        number("LINK_CAP_MAX_LINK_SPEED", u32::from(function.link_speed)),
        number("LINK_CAP_MAX_LINK_WIDTH", u32::from(function.link_width)),
        number("CPL_TIMEOUT_RANGES_SUPPORTED", 0),
        word("CPL_TIMEOUT_DISABLE_SUPPORTED", "TRUE"),
        word("MSI_CAP_ON", "FALSE"),
        word("MSIX_CAP_ON", if function.vectors > 0 { "TRUE" } else { "FALSE" }),
    ];
    if function.vectors > 0 {
        all.extend([
            number("MSIX_CAP_TABLE_SIZE", u32::from(function.vectors) - 1),
            number("MSIX_CAP_TABLE_BIR", function.msix_table() & 7),
            number("MSIX_CAP_TABLE_OFFSET", function.msix_table() >> 3),
            number("MSIX_CAP_PBA_BIR", function.msix_pba() & 7),
            number("MSIX_CAP_PBA_OFFSET", function.msix_pba() >> 3),
        ]);
    }
    all
}
