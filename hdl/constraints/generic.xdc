# Constraints for any part: no pins.

# Reference clock of the slot: 100 MHz
create_clock -name pcie_refclk -period 10.000 [get_ports pcie_refclk_p]

# Asynchronous: the IP synchronises it
set_false_path -from [get_ports pcie_perst_n]
