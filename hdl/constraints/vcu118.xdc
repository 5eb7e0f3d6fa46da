# Constraints for the AMD VCU118
# part xcvu9p-flga2104-2L-e; sources of the pins: docs/boards.md. Not run on hardware.

# Configuration
set_property CFGBVS GND [current_design]
set_property CONFIG_VOLTAGE 1.8 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
set_property BITSTREAM.CONFIG.EXTMASTERCCLK_EN DIV-1 [current_design]
set_property BITSTREAM.CONFIG.SPI_32BIT_ADDR YES [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 8 [current_design]
set_property BITSTREAM.CONFIG.SPI_FALL_EDGE YES [current_design]

# Reference clock of the slot: 100 MHz, MGTREFCLK0_227
set_property PACKAGE_PIN AC9  [get_ports pcie_refclk_p]
set_property PACKAGE_PIN AC8  [get_ports pcie_refclk_n]
create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_p]

# PERST#
set_property -dict {PACKAGE_PIN AM17 IOSTANDARD LVCMOS18 PULLUP true} [get_ports pcie_perst_n]

# Lanes 0 to 3: quad 227, 4 to 7: quad 226; hard block PCIE40E4_X1Y2
set_property PACKAGE_PIN AA4  [get_ports {pcie_rx_p[0]}]
set_property PACKAGE_PIN AA3  [get_ports {pcie_rx_n[0]}]
set_property PACKAGE_PIN Y7   [get_ports {pcie_tx_p[0]}]
set_property PACKAGE_PIN Y6   [get_ports {pcie_tx_n[0]}]
set_property PACKAGE_PIN AB2  [get_ports {pcie_rx_p[1]}]
set_property PACKAGE_PIN AB1  [get_ports {pcie_rx_n[1]}]
set_property PACKAGE_PIN AB7  [get_ports {pcie_tx_p[1]}]
set_property PACKAGE_PIN AB6  [get_ports {pcie_tx_n[1]}]
set_property PACKAGE_PIN AC4  [get_ports {pcie_rx_p[2]}]
set_property PACKAGE_PIN AC3  [get_ports {pcie_rx_n[2]}]
set_property PACKAGE_PIN AD7  [get_ports {pcie_tx_p[2]}]
set_property PACKAGE_PIN AD6  [get_ports {pcie_tx_n[2]}]
set_property PACKAGE_PIN AD2  [get_ports {pcie_rx_p[3]}]
set_property PACKAGE_PIN AD1  [get_ports {pcie_rx_n[3]}]
set_property PACKAGE_PIN AF7  [get_ports {pcie_tx_p[3]}]
set_property PACKAGE_PIN AF6  [get_ports {pcie_tx_n[3]}]
set_property PACKAGE_PIN AE4  [get_ports {pcie_rx_p[4]}]
set_property PACKAGE_PIN AE3  [get_ports {pcie_rx_n[4]}]
set_property PACKAGE_PIN AH7  [get_ports {pcie_tx_p[4]}]
set_property PACKAGE_PIN AH6  [get_ports {pcie_tx_n[4]}]
set_property PACKAGE_PIN AF2  [get_ports {pcie_rx_p[5]}]
set_property PACKAGE_PIN AF1  [get_ports {pcie_rx_n[5]}]
set_property PACKAGE_PIN AK7  [get_ports {pcie_tx_p[5]}]
set_property PACKAGE_PIN AK6  [get_ports {pcie_tx_n[5]}]
set_property PACKAGE_PIN AG4  [get_ports {pcie_rx_p[6]}]
set_property PACKAGE_PIN AG3  [get_ports {pcie_rx_n[6]}]
set_property PACKAGE_PIN AM7  [get_ports {pcie_tx_p[6]}]
set_property PACKAGE_PIN AM6  [get_ports {pcie_tx_n[6]}]
set_property PACKAGE_PIN AH2  [get_ports {pcie_rx_p[7]}]
set_property PACKAGE_PIN AH1  [get_ports {pcie_rx_n[7]}]
set_property PACKAGE_PIN AN5  [get_ports {pcie_tx_p[7]}]
set_property PACKAGE_PIN AN4  [get_ports {pcie_tx_n[7]}]

# LEDs: link up, clock, work to do
set_property -dict {PACKAGE_PIN AT32 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN AV34 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN AY30 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[2]}]

# Asynchronous: the IP synchronises PERST#, nobody times an LED
set_false_path -from [get_ports pcie_perst_n]
set_false_path -to [get_ports {led[*]}]

# UART: USB bridge CP2105, U34, its port SCI; asynchronous, and at rest with nobody there
set_property -dict {PACKAGE_PIN BB21 IOSTANDARD LVCMOS18 SLEW SLOW DRIVE 8} [get_ports uart_txd]
set_property -dict {PACKAGE_PIN AW25 IOSTANDARD LVCMOS18 PULLUP true} [get_ports uart_rxd]
set_false_path -to [get_ports uart_txd]
set_false_path -from [get_ports uart_rxd]
