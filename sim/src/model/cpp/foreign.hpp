// Comes before everything in the model of Verilog that is not generated here: what it prints goes to standard error.
#pragma once

int virtio_hdl_print(const char* format, ...);
#define VL_PRINTF virtio_hdl_print
