# Constraints for the RHS Research LiteFury
# part xc7a100tfgg484-2; sources of the pins: docs/boards.md. Not run on hardware.

# Configuration
set_property CFGBVS VCCO [current_design]
set_property CONFIG_VOLTAGE 3.3 [current_design]
set_property CONFIG_MODE SPIx4 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
set_property BITSTREAM.CONFIG.EXTMASTERCCLK_EN Div-1 [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
set_property BITSTREAM.CONFIG.SPI_FALL_EDGE YES [current_design]
set_property BITSTREAM.CONFIG.OVERTEMPPOWERDOWN ENABLE [current_design]

# Reference clock of the slot: 100 MHz, MGTREFCLK0_216
set_property PACKAGE_PIN F6   [get_ports pcie_refclk_p]
set_property PACKAGE_PIN E6   [get_ports pcie_refclk_n]
create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_p]

# PERST#
set_property -dict {PACKAGE_PIN J1 IOSTANDARD LVCMOS33 PULLUP true} [get_ports pcie_perst_n]

# Lanes: quad 216, GTPE2_CHANNEL_X0Y6, X0Y4, X0Y5, X0Y7: not as the IP places them, build.tcl moves them; hard block PCIE_X0Y0
set_property PACKAGE_PIN B10  [get_ports {pcie_rx_p[0]}]
set_property PACKAGE_PIN A10  [get_ports {pcie_rx_n[0]}]
set_property PACKAGE_PIN B6   [get_ports {pcie_tx_p[0]}]
set_property PACKAGE_PIN A6   [get_ports {pcie_tx_n[0]}]
set_property PACKAGE_PIN B8   [get_ports {pcie_rx_p[1]}]
set_property PACKAGE_PIN A8   [get_ports {pcie_rx_n[1]}]
set_property PACKAGE_PIN B4   [get_ports {pcie_tx_p[1]}]
set_property PACKAGE_PIN A4   [get_ports {pcie_tx_n[1]}]
set_property PACKAGE_PIN D11  [get_ports {pcie_rx_p[2]}]
set_property PACKAGE_PIN C11  [get_ports {pcie_rx_n[2]}]
set_property PACKAGE_PIN D5   [get_ports {pcie_tx_p[2]}]
set_property PACKAGE_PIN C5   [get_ports {pcie_tx_n[2]}]
set_property PACKAGE_PIN D9   [get_ports {pcie_rx_p[3]}]
set_property PACKAGE_PIN C9   [get_ports {pcie_rx_n[3]}]
set_property PACKAGE_PIN D7   [get_ports {pcie_tx_p[3]}]
set_property PACKAGE_PIN C7   [get_ports {pcie_tx_n[3]}]

# LEDs: link up, clock, work to do
set_property -dict {PACKAGE_PIN G3 IOSTANDARD LVCMOS33} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN H3 IOSTANDARD LVCMOS33} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN G4 IOSTANDARD LVCMOS33} [get_ports {led[2]}]

# CLKREQ#: low, the clock is wanted
set_property -dict {PACKAGE_PIN G1 IOSTANDARD LVCMOS33} [get_ports pcie_clkreq_n]

# Asynchronous: the IP synchronises PERST#, nobody times an LED
set_false_path -from [get_ports pcie_perst_n]
set_false_path -to [get_ports {led[*]}]
set_false_path -to [get_ports pcie_clkreq_n]

# UART: connector P2, 3.3 V; asynchronous, and at rest with nobody there
set_property -dict {PACKAGE_PIN K2 IOSTANDARD LVCMOS33} [get_ports uart_txd]
set_property -dict {PACKAGE_PIN J2 IOSTANDARD LVCMOS33 PULLUP true} [get_ports uart_rxd]
set_false_path -to [get_ports uart_txd]
set_false_path -from [get_ports uart_rxd]
