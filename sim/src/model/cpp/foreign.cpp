
// Verilog that is not generated here may stop, and Verilator's answer is to end the process. Here it ends the model.
#include <cstdarg>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

// A model stays in its thread, and so do its failures.
static thread_local std::map<const VirtioHdlInstance*, std::string> virtio_hdl_failures;
// What was printed last: the message of an assertion, or of a $fatal.
static thread_local std::string virtio_hdl_said;

int virtio_hdl_print(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    virtio_hdl_said = text;
    while (!virtio_hdl_said.empty() && virtio_hdl_said.back() == '\n') {
        virtio_hdl_said.pop_back();
    }
    std::fputs(text, stderr);
    return length;
}

static void virtio_hdl_end(const char* what, const char* file, int line, const char* said) {
    std::string text = std::string(what) + " in " + (file && *file ? file : "?") + ":" + std::to_string(line);
    throw std::runtime_error(said && *said ? text + ": " + said : text);
}

void vl_fatal(const char* file, int line, const char*, const char* message) {
    virtio_hdl_end("a fatal error", file, line, message);
}
void vl_stop(const char* file, int line, const char*) {
    virtio_hdl_end("$stop, $fatal or a failed assertion", file, line, virtio_hdl_said.c_str());
}
void vl_finish(const char* file, int line, const char*) { virtio_hdl_end("$finish", file, line, nullptr); }

template <class Do> static void virtio_hdl_guarded(VirtioHdlInstance* instance, Do act) {
    // One that has failed stands still.
    if (virtio_hdl_failures.count(instance) != 0) {
        return;
    }
    try {
        act();
    } catch (const std::exception& error) {
        virtio_hdl_failures[instance] = error.what();
    }
}

static void virtio_hdl_evaluate(VirtioHdlInstance* instance) {
    virtio_hdl_guarded(instance, [&] { instance->top->eval(); });
}

static void virtio_hdl_finalise(VirtioHdlInstance* instance) {
    virtio_hdl_guarded(instance, [&] { instance->top->final(); });
    virtio_hdl_failures.erase(instance);
}

extern "C" __attribute__((visibility("default"))) const char* virtio_hdl_failure(VirtioHdlInstance* instance) {
    auto found = virtio_hdl_failures.find(instance);
    return found == virtio_hdl_failures.end() ? nullptr : found->second.c_str();
}
