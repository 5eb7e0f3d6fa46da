# Builds the card's bitstream with Vivado 2020.2 or later:
#
#   vivado -mode batch -source build.tcl
#
# All that is specific to the card and to the endpoint is in settings.tcl. Results go to build/: reports, checkpoints of each
# step (vivado build/routed.dcp opens one), bitstream, configuration memory file.

set here [file dirname [file normalize [info script]]]
source [file join $here settings.tcl]
set out [file join $here build]
file mkdir $out

proc step {text} {
    puts "== $text"
}

proc fail {text} {
    puts stderr "error: $text"
    exit 1
}

# The number of an attribute as Vivado writes it: 11'h001, 0x1, 1; TRUE and FALSE stay.
proc plain {value} {
    if {[regexp {^[0-9]+'h([0-9A-Fa-f]+)$} $value -> digits]} {
        return [scan $digits %llx]
    }
    if {[regexp {^[0-9]+'d([0-9]+)$} $value -> digits]} {
        return [scan $digits %lld]
    }
    if {[regexp {^[0-9]+'b([01]+)$} $value -> digits]} {
        return [expr 0b$digits]
    }
    if {[string is wideinteger -strict $value]} {
        return [expr {wide($value)}]
    }
    return [string toupper $value]
}

# The hard block has its own config space, made by the IP: it must be the one that the RTL was generated for.
proc check_hard_block {primitive attributes} {
    set cells [get_cells -hierarchical -filter "REF_NAME == $primitive"]
    if {[llength $cells] != 1} {
        puts "warning: [llength $cells] cells $primitive found, not 1: the config space is not checked"
        return
    }
    set wrong {}
    foreach {name expected} $attributes {
        set found [get_property $name $cells]
        if {$found eq ""} {
            puts "warning: $primitive has no attribute $name: not checked"
        } elseif {[plain $found] ne [plain $expected]} {
            lappend wrong "$name is $found, not $expected"
        }
    }
    if {[llength $wrong]} {
        fail "the hard block's config space is not that of the configuration: [join $wrong {; }]; the parameters in settings.tcl\
            do not do in this version of the IP what they should"
    }
    puts "config space of $primitive: [expr {[llength $attributes] / 2}] attributes are as configured"
}

# The worst slack of a kind (-setup, -hold), or nothing where there is no path.
proc worst_slack {kind} {
    set paths [get_timing_paths $kind -max_paths 1 -nworst 1]
    if {[llength $paths] == 0} {
        return ""
    }
    return [get_property SLACK [lindex $paths 0]]
}

# ------------------------------------------------------------------------------------------------ project and IP
step "project for $part"
create_project -force $top [file join $out project] -part $part
foreach file $sources {
    read_verilog [file join $here $file]
}
read_xdc [file join $here $constraints]

step "$ip_name"
source [file join $here ip.tcl]
generate_target all [get_ips $ip_module]
synth_ip [get_ips $ip_module]

# ------------------------------------------------------------------------------------------------ synthesis
step "synthesis of $top"
if {$out_of_context} {
    synth_design -top $top -part $part -mode out_of_context
} else {
    synth_design -top $top -part $part
}
check_hard_block $hard_block $hard_block_attributes
write_checkpoint -force [file join $out synthesised.dcp]
report_utilization -hierarchical -file [file join $out utilization_synthesised.rpt]
report_timing_summary -file [file join $out timing_synthesised.rpt]
if {$out_of_context} {
    puts "no pins, no bitstream: take $top into your design; reports are in $out"
    exit 0
}

# ------------------------------------------------------------------------------------------------ implementation
step "placement"
opt_design
# A card may lead a lane to another transceiver than the IP takes for it.
if {[llength $channels]} {
    reset_property LOC [get_cells -hierarchical -filter {NAME =~ *gtp_channel.gtpe2_channel_i}]
    set lane 0
    foreach channel $channels {
        set filter [format {NAME =~ *pipe_lane[%d].gt_wrapper_i/gtp_channel.gtpe2_channel_i} $lane]
        set_property LOC $channel [get_cells -hierarchical -filter $filter]
        incr lane
    }
}
place_design
phys_opt_design
step "routing"
route_design
write_checkpoint -force [file join $out routed.dcp]
report_utilization -hierarchical -file [file join $out utilization.rpt]
report_timing_summary -max_paths 10 -file [file join $out timing.rpt]
report_drc -file [file join $out drc.rpt]

set missed {}
foreach kind {-setup -hold} {
    set slack [worst_slack $kind]
    puts "worst [string range $kind 1 end] slack: $slack ns"
    if {$slack ne "" && $slack < 0} {
        lappend missed "[string range $kind 1 end] by [expr {-$slack}] ns"
    }
}
if {[llength $missed]} {
    fail "timing is missed, [join $missed {, }]: no bitstream; see [file join $out timing.rpt]"
}

# ------------------------------------------------------------------------------------------------ bitstream
step "bitstream"
set bitstream [file join $out $top.bit]
write_bitstream -force $bitstream
dict with flash {
    write_cfgmem -force -format mcs -interface $interface -size $size -loadbit "up $address $bitstream" \
        -file [file join $out $top.mcs]
}
puts "$bitstream, and [file join $out $top.mcs] for the configuration memory [dict get $flash device]"
