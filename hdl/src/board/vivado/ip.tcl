# Creates the IP around the hard block for PCI Express; its parameters are in settings.tcl.
source [file join [file dirname [file normalize [info script]]] settings.tcl]

create_ip -vendor xilinx.com -library ip -name $ip_name -module_name $ip_module
set_property -dict $ip_parameters [get_ips $ip_module]
