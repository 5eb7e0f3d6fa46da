// kexec KERNEL INITRD COMMAND-LINE: begins another kernel amid the work of this one. Without a library, so that it needs none in the
// guest and none to be built: the flags are -static -nostdlib. For x86-64.
#include <fcntl.h>
#include <linux/reboot.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

static void end(long result) {
    call(SYS_exit, result < 0 ? -result : result, 0, 0, 0, 0);
}

__attribute__((used)) static void run(char** stack) {
    // The number of arguments, then the arguments.
    char** arguments = stack + 1;
    long kernel = call(SYS_open, (long)arguments[1], O_RDONLY, 0, 0, 0);
    long initrd = call(SYS_open, (long)arguments[2], O_RDONLY, 0, 0, 0);
    long length = 0;
    while (arguments[3][length++]) {
    }
    long loaded = call(SYS_kexec_file_load, kernel, initrd, length, (long)arguments[3], 0);
    if (loaded < 0) end(loaded);
    // No sync and no unmount before it: reads go on until the kernel stops the devices.
    end(call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, 0, 0));
}

__asm__(".globl _start\n_start:\n    mov %rsp, %rdi\n    and $-16, %rsp\n    call run\n");
