// The registers in BAR0, and the one vector of MSI-X.
`include "copy_defines.vh"

module registers (
    input  wire        clk,
    input  wire        rst_n,

    input  wire [12:0] offset,
    output reg  [31:0] value,
    input  wire        write,
    input  wire [31:0] data,
    input  wire [3:0]  enable,

    // To the engine, and from it.
    output reg  [63:0] source,
    output reg  [63:0] destination,
    output reg  [31:0] length,
    output wire        start,
    input  wire        busy,
    input  wire        ended,
    input  wire        failed,
    input  wire [31:0] copied,

    // MSI-X as configuration space has it; the message of the vector, which is to be sent while it is valid.
    input  wire        msix_enable,
    input  wire        msix_mask,
    output wire [63:0] message_address,
    output reg  [31:0] message_data,
    output wire        interrupt_valid,
    input  wire        interrupt_sent
);
    reg         is_done, is_failed;
    reg  [63:2] vector_address;
    reg         vector_mask, pending;

    // Registers take whole double words, as a driver writes them.
    wire        whole = write && enable == 4'hf;
    wire        low   = !offset[12];
    wire [11:0] place = offset[11:0];

    assign start           = whole && low && place == `REG_CONTROL && data[0] && !busy;
    assign message_address = {vector_address, 2'b00};
    assign interrupt_valid = pending && msix_enable && !msix_mask && !vector_mask;

    always @(*) begin
        case (offset)
            {1'b0, `REG_IDENTITY}:    value = 32'h5950_4f43;
            {1'b0, `REG_SOURCE}:      value = source[31:0];
            {1'b0, `REG_SOURCE_HIGH}: value = source[63:32];
            {1'b0, `REG_DESTINATION}: value = destination[31:0];
            {1'b0, `REG_DEST_HIGH}:   value = destination[63:32];
            {1'b0, `REG_LENGTH}:      value = length;
            {1'b0, `REG_STATUS}:      value = {29'd0, is_failed, is_done, busy};
            {1'b0, `REG_COPIED}:      value = copied;
            13'h1000:                 value = message_address[31:0];
            13'h1004:                 value = message_address[63:32];
            13'h1008:                 value = message_data;
            13'h100c:                 value = {31'd0, vector_mask};
            13'h1800:                 value = {31'd0, pending};
            default:                  value = 32'd0;
        endcase
    end

    always @(posedge clk) begin
        if (whole) begin
            case (offset)
                // A copy that goes on keeps what it was begun with.
                {1'b0, `REG_SOURCE}:      if (!busy) source[31:0]       <= {data[31:2], 2'b00};
                {1'b0, `REG_SOURCE_HIGH}: if (!busy) source[63:32]      <= data;
                {1'b0, `REG_DESTINATION}: if (!busy) destination[31:0]  <= {data[31:2], 2'b00};
                {1'b0, `REG_DEST_HIGH}:   if (!busy) destination[63:32] <= data;
                {1'b0, `REG_LENGTH}:      if (!busy) length             <= {data[31:2], 2'b00};
                {1'b0, `REG_STATUS}: begin
                    if (data[1]) is_done   <= 1'b0;
                    if (data[2]) is_failed <= 1'b0;
                end
                13'h1000: vector_address[31:2]  <= data[31:2];
                13'h1004: vector_address[63:32] <= data;
                13'h1008: message_data          <= data;
                13'h100c: vector_mask           <= data[0];
                default: ;
            endcase
        end
        if (interrupt_sent) begin
            pending <= 1'b0;
        end
        if (ended) begin
            is_done   <= !failed;
            is_failed <= failed;
            pending   <= 1'b1;
        end
        if (!rst_n) begin
            source         <= 64'd0;
            destination    <= 64'd0;
            length         <= 32'd0;
            is_done        <= 1'b0;
            is_failed      <= 1'b0;
            vector_address <= 62'd0;
            message_data   <= 32'd0;
            vector_mask    <= 1'b1;
            pending        <= 1'b0;
        end
    end
endmodule
