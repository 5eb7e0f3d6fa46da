# Constraints for the AMD Alveo U200
# part xcu200-fsgd2104-2-e; sources of the pins: docs/boards.md. Not run on hardware.

# Configuration
set_property CFGBVS GND [current_design]
set_property CONFIG_VOLTAGE 1.8 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
set_property BITSTREAM.CONFIG.CONFIGFALLBACK ENABLE [current_design]
set_property BITSTREAM.CONFIG.EXTMASTERCCLK_EN DISABLE [current_design]
set_property BITSTREAM.CONFIG.CONFIGRATE 63.8 [current_design]
set_property BITSTREAM.CONFIG.SPI_32BIT_ADDR YES [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
set_property BITSTREAM.CONFIG.SPI_FALL_EDGE YES [current_design]
set_property BITSTREAM.CONFIG.UNUSEDPIN PULLUP [current_design]
set_operating_conditions -design_power_budget 160

# Reference clock of the slot: 100 MHz, MGTREFCLK0_226
set_property PACKAGE_PIN AM11 [get_ports pcie_refclk_p]
set_property PACKAGE_PIN AM10 [get_ports pcie_refclk_n]
create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_p]

# PERST#
set_property -dict {PACKAGE_PIN BD21 IOSTANDARD LVCMOS12 PULLUP true} [get_ports pcie_perst_n]

# Lanes 0 to 3: quad 227, 4 to 7: quad 226; hard block PCIE40E4_X1Y2
set_property PACKAGE_PIN AF2  [get_ports {pcie_rx_p[0]}]
set_property PACKAGE_PIN AF1  [get_ports {pcie_rx_n[0]}]
set_property PACKAGE_PIN AF7  [get_ports {pcie_tx_p[0]}]
set_property PACKAGE_PIN AF6  [get_ports {pcie_tx_n[0]}]
set_property PACKAGE_PIN AG4  [get_ports {pcie_rx_p[1]}]
set_property PACKAGE_PIN AG3  [get_ports {pcie_rx_n[1]}]
set_property PACKAGE_PIN AG9  [get_ports {pcie_tx_p[1]}]
set_property PACKAGE_PIN AG8  [get_ports {pcie_tx_n[1]}]
set_property PACKAGE_PIN AH2  [get_ports {pcie_rx_p[2]}]
set_property PACKAGE_PIN AH1  [get_ports {pcie_rx_n[2]}]
set_property PACKAGE_PIN AH7  [get_ports {pcie_tx_p[2]}]
set_property PACKAGE_PIN AH6  [get_ports {pcie_tx_n[2]}]
set_property PACKAGE_PIN AJ4  [get_ports {pcie_rx_p[3]}]
set_property PACKAGE_PIN AJ3  [get_ports {pcie_rx_n[3]}]
set_property PACKAGE_PIN AJ9  [get_ports {pcie_tx_p[3]}]
set_property PACKAGE_PIN AJ8  [get_ports {pcie_tx_n[3]}]
set_property PACKAGE_PIN AK2  [get_ports {pcie_rx_p[4]}]
set_property PACKAGE_PIN AK1  [get_ports {pcie_rx_n[4]}]
set_property PACKAGE_PIN AK7  [get_ports {pcie_tx_p[4]}]
set_property PACKAGE_PIN AK6  [get_ports {pcie_tx_n[4]}]
set_property PACKAGE_PIN AL4  [get_ports {pcie_rx_p[5]}]
set_property PACKAGE_PIN AL3  [get_ports {pcie_rx_n[5]}]
set_property PACKAGE_PIN AL9  [get_ports {pcie_tx_p[5]}]
set_property PACKAGE_PIN AL8  [get_ports {pcie_tx_n[5]}]
set_property PACKAGE_PIN AM2  [get_ports {pcie_rx_p[6]}]
set_property PACKAGE_PIN AM1  [get_ports {pcie_rx_n[6]}]
set_property PACKAGE_PIN AM7  [get_ports {pcie_tx_p[6]}]
set_property PACKAGE_PIN AM6  [get_ports {pcie_tx_n[6]}]
set_property PACKAGE_PIN AN4  [get_ports {pcie_rx_p[7]}]
set_property PACKAGE_PIN AN3  [get_ports {pcie_rx_n[7]}]
set_property PACKAGE_PIN AN9  [get_ports {pcie_tx_p[7]}]
set_property PACKAGE_PIN AN8  [get_ports {pcie_tx_n[7]}]

# LEDs: link up, clock, work to do
set_property -dict {PACKAGE_PIN BC21 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN BB21 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN BA20 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports {led[2]}]

# Asynchronous: the IP synchronises PERST#, nobody times an LED
set_false_path -from [get_ports pcie_perst_n]
set_false_path -to [get_ports {led[*]}]

# UART: USB bridge FT4232, its third port; asynchronous, and at rest with nobody there
set_property -dict {PACKAGE_PIN BB20 IOSTANDARD LVCMOS12 SLEW SLOW DRIVE 8} [get_ports uart_txd]
set_property -dict {PACKAGE_PIN BF18 IOSTANDARD LVCMOS12 PULLUP true} [get_ports uart_rxd]
set_false_path -to [get_ports uart_txd]
set_false_path -from [get_ports uart_rxd]
