# Runs a script with the commands of Vivado that it uses: they write down how they were called, one line per call, words
# divided by tabs, to the file CALLS. Queries answer from ATTRIBUTES (those of the hard block) and SLACK.
set calls [open $env(CALLS) w]
fconfigure $calls -buffering line
set file [open $env(ATTRIBUTES)]
set attributes [read $file]
close $file

proc record {name arguments} {
    puts $::calls [join [concat [list $name] [lmap word $arguments {string trim [string map {\n " " \t " "} $word]}]] \t]
}

foreach name {
    create_project create_ip set_property generate_target synth_ip read_verilog read_xdc synth_design write_checkpoint
    report_utilization report_timing_summary report_drc opt_design place_design phys_opt_design route_design reset_property
    write_bitstream write_cfgmem
} {
    proc $name args [format {record %s $args} $name]
}
proc get_ips {name} {
    return "ip $name"
}
proc get_cells {args} {
    record get_cells $args
    return cell
}
proc get_timing_paths {args} {
    return path
}
proc get_property {name object} {
    if {$object eq "path"} {
        return $::env(SLACK)
    }
    if {![dict exists $::attributes $name]} {
        return ""
    }
    return [dict get $::attributes $name]
}

set argv0 [lindex $argv 0]
source $argv0
