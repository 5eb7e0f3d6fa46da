# Constraints for the AMD AC701
# part xc7a200tfbg676-2; sources of the pins: docs/boards.md. Not run on hardware.

# Configuration
set_property CFGBVS VCCO [current_design]
set_property CONFIG_VOLTAGE 3.3 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
set_property BITSTREAM.CONFIG.EXTMASTERCCLK_EN div-1 [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
set_property BITSTREAM.CONFIG.SPI_FALL_EDGE YES [current_design]

# Reference clock of the slot: 100 MHz, MGTREFCLK0_216
set_property PACKAGE_PIN F11  [get_ports pcie_refclk_p]
set_property PACKAGE_PIN E11  [get_ports pcie_refclk_n]
create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_p]

# PERST#
set_property -dict {PACKAGE_PIN M20 IOSTANDARD LVCMOS33 PULLUP true} [get_ports pcie_perst_n]

# Lanes: quad 216, GTPE2_CHANNEL_X0Y7 down to X0Y4, as the IP places them; hard block PCIE_X0Y0
set_property PACKAGE_PIN D12  [get_ports {pcie_rx_p[0]}]
set_property PACKAGE_PIN C12  [get_ports {pcie_rx_n[0]}]
set_property PACKAGE_PIN D10  [get_ports {pcie_tx_p[0]}]
set_property PACKAGE_PIN C10  [get_ports {pcie_tx_n[0]}]
set_property PACKAGE_PIN B13  [get_ports {pcie_rx_p[1]}]
set_property PACKAGE_PIN A13  [get_ports {pcie_rx_n[1]}]
set_property PACKAGE_PIN B9   [get_ports {pcie_tx_p[1]}]
set_property PACKAGE_PIN A9   [get_ports {pcie_tx_n[1]}]
set_property PACKAGE_PIN D14  [get_ports {pcie_rx_p[2]}]
set_property PACKAGE_PIN C14  [get_ports {pcie_rx_n[2]}]
set_property PACKAGE_PIN D8   [get_ports {pcie_tx_p[2]}]
set_property PACKAGE_PIN C8   [get_ports {pcie_tx_n[2]}]
set_property PACKAGE_PIN B11  [get_ports {pcie_rx_p[3]}]
set_property PACKAGE_PIN A11  [get_ports {pcie_rx_n[3]}]
set_property PACKAGE_PIN B7   [get_ports {pcie_tx_p[3]}]
set_property PACKAGE_PIN A7   [get_ports {pcie_tx_n[3]}]

# LEDs: link up, clock, work to do
set_property -dict {PACKAGE_PIN M26 IOSTANDARD LVCMOS33} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN T24 IOSTANDARD LVCMOS33} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN T25 IOSTANDARD LVCMOS33} [get_ports {led[2]}]

# Asynchronous: the IP synchronises PERST#, nobody times an LED
set_false_path -from [get_ports pcie_perst_n]
set_false_path -to [get_ports {led[*]}]

# UART: USB bridge CP2103, U44; asynchronous, and at rest with nobody there
set_property -dict {PACKAGE_PIN U19 IOSTANDARD LVCMOS18} [get_ports uart_txd]
set_property -dict {PACKAGE_PIN T19 IOSTANDARD LVCMOS18 PULLUP true} [get_ports uart_rxd]
set_false_path -to [get_ports uart_txd]
set_false_path -from [get_ports uart_rxd]
