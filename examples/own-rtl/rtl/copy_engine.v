// Copies memory: reads at most 64 bytes, waits for them, writes them, and so on. No packet crosses a multiple of 64 bytes, so none
// crosses a page, and none is longer than the smallest Max Payload Size.
module copy_engine #(
    parameter [31:0] READ_TIMEOUT = 32'd1_250_000
) (
    input  wire        clk,
    input  wire        rst_n,
    input  wire        bus_master,

    input  wire [63:0] source,
    input  wire [63:0] destination,
    input  wire [31:0] length,
    input  wire        start,
    output wire        busy,
    // In one cycle: the copy has ended, and how.
    output wire        ended,
    output wire        failed,
    output reg  [31:0] copied,

    // Answers to reads.
    input  wire        read_valid,
    input  wire [31:0] read_data,
    input  wire        read_failed,

    // The request that is to be sent, until it is sent; `send_index` asks for its data.
    output wire        send_valid,
    output wire        send_write,
    output wire [63:0] send_address,
    output wire [4:0]  send_dwords,
    input  wire [3:0]  send_index,
    output wire [31:0] send_data,
    input  wire        sent
);
    localparam [2:0] IDLE = 3'd0, CUT = 3'd1, READ = 3'd2, AWAIT = 3'd3, WRITE = 3'd4, DONE = 3'd5, FAILED = 3'd6;

    reg [2:0]  state;
    reg [31:0] buffer [0:15];
    reg [4:0]  dwords, received;
    reg [31:0] waited;

    wire [63:0] from = source + {32'd0, copied};
    wire [63:0] to   = destination + {32'd0, copied};
    wire [31:0] left = length - copied;

    // Double words up to the next multiple of 64 bytes, and of what is left no more than that.
    wire [4:0] from_room = 5'd16 - {1'b0, from[5:2]};
    wire [4:0] to_room   = 5'd16 - {1'b0, to[5:2]};
    wire [4:0] room      = from_room < to_room ? from_room : to_room;
    wire [4:0] next      = left[31:2] < {25'd0, room} ? left[6:2] : room;

    assign busy         = state != IDLE;
    assign ended        = state == DONE || state == FAILED;
    assign failed       = state == FAILED;
    assign send_valid   = state == READ || state == WRITE;
    assign send_write   = state == WRITE;
    assign send_address = state == WRITE ? to : from;
    assign send_dwords  = dwords;
    assign send_data    = buffer[send_index];

    always @(posedge clk) begin
        if (read_valid && state == AWAIT && !received[4]) begin
            buffer[received[3:0]] <= read_data;
        end

        case (state)
            IDLE: if (start) begin
                copied <= 32'd0;
                state  <= CUT;
            end
            CUT: begin
                dwords   <= next;
                received <= 5'd0;
                waited   <= 32'd0;
                state    <= left == 32'd0 ? DONE : bus_master ? READ : FAILED;
            end
            READ: if (sent) begin
                state <= AWAIT;
            end
            AWAIT: begin
                waited <= waited + 32'd1;
                if (read_valid) begin
                    received <= received + 5'd1;
                end
                if (read_failed || waited == READ_TIMEOUT) begin
                    state <= FAILED;
                end else if (received == dwords) begin
                    state <= bus_master ? WRITE : FAILED;
                end
            end
            WRITE: if (sent) begin
                copied <= copied + {25'd0, dwords, 2'b00};
                state  <= CUT;
            end
            default: state <= IDLE;
        endcase

        if (!rst_n) begin
            state  <= IDLE;
            copied <= 32'd0;
        end
    end

    wire unused = &{1'b0, from[1:0], to[1:0], left[1:0]};
endmodule
