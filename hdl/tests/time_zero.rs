//! Endpoints in Icarus Verilog, as Verilog-2005 and as SystemVerilog: registers begin unknown, and inputs that nobody uses are
//! constants. After the reset a host finds the function, sets it up, reads its registers and starts its queue.
use rust_hdl::prelude::*;
use std::fmt::Write as _;
use virtio_hdl_rtl::testing::{icarus, is_control, starts_known};
use virtio_hdl_rtl::{config, device, endpoint, verilog};

/// Tasks of the testbench: a request is sent, its completion checked.
const TASKS: &str = r#"
    // what came: the beginning of the last completion, and of the last read
    reg in_packet = 0, answered = 0, read = 0;
    reg [127:0] answer, request;
    always @(posedge clock) if (!reset && tx_valid && tx_ready) begin
        in_packet <= !tx_last;
        if (!in_packet && (tx_data[31:24] == 8'h4a || tx_data[31:24] == 8'h0a)) begin answer <= tx_data; answered <= 1; end
        if (!in_packet && tx_data[31:24] == 8'h00) begin request <= tx_data; read <= 1; end
    end

    integer waited;
    // a request of one double word and its completion; `mask` says which bits are looked at
    task host(input [7:0] kind, input [7:0] tag, input [3:0] enable, input [31:0] address, input [31:0] data,
              input [31:0] mask);
        begin
            answered <= 0;
            rx_data <= {data, address, 16'h0000, tag, 4'h0, enable, kind, 24'h000001};
            rx_keep <= kind[6] ? 4'hf : 4'h7;
            rx_valid <= 1;
            @(posedge clock);
            while (rx_ready !== 1) @(posedge clock);
            rx_valid <= 0;
            waited = 0;
            while (!answered && waited < 500) begin @(posedge clock); waited = waited + 1; end
            if (!answered || answer[63:45] !== 19'd0 || answer[79:72] !== tag || ((answer[127:96] ^ data) & mask) !== 32'd0) begin
                $display("%h %h: completion %b %h in place of %h", kind, address, answered, answer, data);
                $finish;
            end
        end
    endtask
"#;

fn bench(top: &str, ports: &[verilog::Port], script: &str) -> String {
    let mut text = String::from(
        "`timescale 1ns/1ps\nmodule bench;\n    reg clock = 0, reset = 1;\n    always #4 clock = !clock;\n",
    );
    let mut connections = vec![];
    let mut checks = String::new();
    for port in ports {
        for (name, _, width) in &port.nets {
            let range = format!("[{}:0]", width - 1);
            let own =
                ["clock", "reset", "rx_data", "rx_keep", "rx_last", "rx_valid", "tx_ready"].contains(&name.as_str());
            if port.input && !own {
                let value = u8::from(name.ends_with("_ready"));
                connections.push(format!(".{name}({width}'d{value})"));
                continue;
            }
            connections.push(format!(".{name}({name})"));
            if !port.input {
                let _ = writeln!(text, "    wire {range} {name};");
                if is_control(name) {
                    let _ = writeln!(
                        checks,
                        "        if (^{name} === 1'bx) begin $display(\"%0t: {name} is %b\", $time, {name}); $finish; end"
                    );
                }
            }
        }
    }
    let _ = writeln!(
        text,
        "    reg [127:0] rx_data = 0;\n    reg [3:0] rx_keep = 0;\n    reg rx_valid = 0;\n    wire rx_last = 1, tx_ready = 1;\n    \
         {top} uut ({});\n{TASKS}\n    always @(negedge clock) if (!reset) begin\n{checks}    end\n    \
         initial begin\n        repeat (10) @(posedge clock);\n        reset <= 0;\n        \
         repeat (20) @(posedge clock);\n{script}        $display(\"passed\");\n        $finish;\n    end\nendmodule",
        connections.join(", ")
    );
    text
}

fn comes_up(name: &str, ids: u32) {
    let config = config::EndpointConfig::load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let generated = endpoint::generate(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
    let features = config.host_features();
    let script = format!(
        "        host(8'h04, 1, 4'hf, 32'h0000_0000, 32'h{ids:x}, 32'hffffffff);       // vendor and device
        host(8'h44, 2, 4'hf, 32'h0000_0010, 32'h0000c000, 0);                 // BAR0
        host(8'h04, 3, 4'hf, 32'h0000_0010, 32'h0000c001, 32'hffffffff);
        host(8'h44, 4, 4'h3, 32'h0000_0004, 32'h00000005, 0);                 // I/O space, Bus Master
        host(8'h02, 5, 4'hf, 32'h0000_c000, 32'h{features:x}, 32'hffffffdf);  // features, but RO
        host(8'h02, 6, 4'h3, 32'h0000_c00c, 32'd{size}, 32'h0000ffff);        // entries of queue 0
        host(8'h42, 7, 4'hf, 32'h0000_c008, 32'h00000100, 0);                 // its address
        host(8'h42, 8, 4'h4, 32'h0000_c010, 32'h00070000, 0);                 // DRIVER_OK
        host(8'h42, 9, 4'h3, 32'h0000_c010, 32'h00000000, 0);                 // there is something in queue 0
        waited = 0;
        while (!read && waited < 500) begin @(posedge clock); waited = waited + 1; end
        if (!read || request[95:76] !== 20'h00101) begin $display(\"queue: %b %h\", read, request); $finish; end
",
        size = config.queue_size,
    );
    let top = endpoint::top_name(&config);
    icarus(&generated.design, &bench(&top, &generated.ports, &script));
}

#[test]
fn blk_comes_up_with_everything_unknown_before_the_reset() {
    comes_up("blk", 0x1001_1af4);
}

#[test]
fn net_comes_up_with_everything_unknown_before_the_reset() {
    comes_up("net", 0x1000_1af4);
}

/// Every valid, ready and busy of every endpoint.
#[test]
fn no_endpoint_has_an_unknown_handshake_after_the_reset() {
    let links = ["7-series\"\ndata_bits = 64", "7-series\"\ndata_bits = 128", "ultrascale+\"\ndata_bits = 128"];
    let behind = links.map(|link| format!("[link]\ninterface = \"{link}\nclock_hz = 250_000_000"));
    for device in ["blk", "net"] {
        for link in ["", &behind[0], &behind[1], &behind[2]] {
            let text = format!("device = \"{device}\"\n{link}");
            let config = config::EndpointConfig::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
            let generated = endpoint::generate(&config).unwrap_or_else(|error| panic!("{text}: {error}"));
            starts_known(&generated.design, &generated.ports);
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Colour {
    Red,
    Green,
    Blue,
}

/// Logic that depends on constants and on inputs alone.
#[derive(LogicBlock, Default)]
struct Asleep {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    choice: Signal<In, Bits<2>>,
    colour: Signal<Out, Colour>,
    sum: Signal<Out, Bits<8>>,
    chosen_valid: Signal<Out, Bit>,
    base: Signal<Local, Bits<8>>,
    register: virtio_hdl_rtl::cells::Reg<Bit>,
}

impl Logic for Asleep {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, register);
        self.register.reset.next = self.reset.val();
        self.base.next = 0x7f.into();
        self.sum.next = 0.into();
        if self.base.val().get_bits::<4>(3) == 0xf {
            self.sum.next = (self.base.val() + 3) << 1;
        }
        self.colour.next = Colour::Red;
        match self.base.val().index() {
            0x7e => self.colour.next = Colour::Green,
            0x7f => self.colour.next = Colour::Blue,
            _ => {}
        }
        self.chosen_valid.next = false;
        match self.choice.val().index() {
            0 => self.chosen_valid.next = true,
            2 => self.chosen_valid.next = self.choice.val().get_bit(1),
            _ => {}
        }
    }
}

/// An `always @*` waits for a change, and no input here has to change.
#[test]
fn logic_of_constants_and_of_constant_inputs_has_its_value() {
    let mut uut = Asleep::default();
    uut.connect_all();
    let design = verilog::print(&uut, "asleep").unwrap_or_else(|error| panic!("{error}"));
    virtio_hdl_rtl::testing::accepted(&design);
    let text = design.single_file();
    for line in ["assign sum = 8'd4;", "assign colour = COLOUR_BLUE;"] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    assert_eq!(text.matches("always @*").count(), 1, "{text}");
    let bench = "module bench;
    reg clock = 0, reset = 1;
    always #4 clock = !clock;
    wire [1:0] colour;
    wire [7:0] sum;
    wire chosen_valid;
    asleep uut (.clock(clock), .reset(reset), .choice(2'd0), .colour(colour), .sum(sum), .chosen_valid(chosen_valid));
    initial begin
        repeat (3) @(posedge clock);
        reset <= 0;
        repeat (3) @(posedge clock);
        if (colour === 2'd2 && sum === 8'd4 && chosen_valid === 1'b1) $display(\"passed\");
        else $display(\"%b %b %b\", colour, sum, chosen_valid);
        $finish;
    end
endmodule";
    icarus(&design, bench);
}

/// Nothing has an initial value.
#[test]
fn no_register_has_an_initial_value() {
    for (name, _) in device::examples() {
        let config = config::EndpointConfig::load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let generated = endpoint::generate(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = generated.design.single_file();
        let line = text
            .lines()
            .find(|line| line.contains("initial ") || line.trim_start().starts_with("reg ") && line.contains('='));
        assert_eq!(line, None, "{name}");
    }
}
