//! A pin harness: a design of hundreds of ports on three pins, so that it can be placed and routed on its own.
//!
//! ```text
//! serial_in -> shift register, one bit per input -> dut -> one flip-flop per output -> parity tree -> serial_out
//! ```
//! Every path of the design begins and ends in a flip-flop, as in a larger design, and nothing of it can be optimised away.
use std::fmt::Write as _;
use virtio_hdl_rtl::verilog::Port;

/// Name of the harness's module.
pub const TOP: &str = "harness";
/// Outputs per flip-flop of the parity tree's first level.
const GROUP: usize = 16;

/// The Verilog of a harness, and what it adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harness {
    /// The module.
    pub text: String,
    /// Its flip-flops.
    pub flip_flops: u64,
}

/// The harness of the module `top` with these ports, `clock` among them.
pub fn harness(top: &str, ports: &[Port]) -> Harness {
    let nets = |input: bool| {
        let ports = ports.iter().filter(move |port| port.input == input && port.name != "clock");
        ports.flat_map(|port| &port.nets).map(|(name, _, width)| (name.as_str(), *width)).collect::<Vec<_>>()
    };
    let mut connections = String::from("        .clock(clock)");
    let mut connect = |nets: &[(&str, usize)], vector: &str| {
        nets.iter().fold(0, |low, (name, width)| {
            let _ = write!(connections, ",\n        .{name}({vector}[{}:{low}])", low + width - 1);
            low + width
        })
    };
    let inputs = connect(&nets(true), "inputs");
    let outputs = connect(&nets(false), "outputs");
    let groups = outputs.div_ceil(GROUP);
    let (last_input, last_output, last_group) =
        (inputs.saturating_sub(1), outputs.saturating_sub(1), groups.saturating_sub(1));
    let parity: String = (0..groups)
        .map(|group| {
            let (low, high) = (group * GROUP, (group * GROUP + GROUP).min(outputs) - 1);
            format!("        parity[{group}] <= ^registered[{high}:{low}];\n")
        })
        .collect();
    let text = format!(
        "module {TOP} (
    input  wire clock,
    input  wire serial_in,
    output reg  serial_out
);
    reg  [{last_input}:0] inputs;
    wire [{last_output}:0] outputs;
    reg  [{last_output}:0] registered;
    reg  [{last_group}:0] parity;

    always @(posedge clock) begin
        inputs <= {{inputs, serial_in}};
        registered <= outputs;
{parity}        serial_out <= ^parity;
    end

    {top} dut (
{connections}
    );
endmodule
"
    );
    Harness { text, flip_flops: (inputs + outputs + groups + 1) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_connected_once() {
        let ports = [
            Port::plain("clock", 1, true),
            Port::plain("reset", 1, true),
            Port {
                name: "request".into(),
                width: 40,
                input: true,
                nets: vec![("request_kind".into(), 0, 8), ("request_address".into(), 8, 32)],
            },
            Port::plain("data", 17, false),
            Port::plain("valid", 1, false),
        ];
        let Harness { text, flip_flops } = harness("small", &ports);
        for line in [
            "    reg  [40:0] inputs;",
            "    wire [17:0] outputs;",
            "        parity[0] <= ^registered[15:0];",
            "        parity[1] <= ^registered[17:16];",
            "    small dut (",
            "        .clock(clock),",
            "        .reset(inputs[0:0]),",
            "        .request_kind(inputs[8:1]),",
            "        .request_address(inputs[40:9]),",
            "        .data(outputs[16:0]),",
            "        .valid(outputs[17:17])",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert_eq!(flip_flops, 41 + 18 + 2 + 1);
    }
}
