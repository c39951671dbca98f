/* Start of a program on an emulated Cortex-M: vectors, stack and heap of the linker script, and files and
 * output of the machine that emulates, through newlib's semihosting. A fault ends the emulation with an error.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern uint32_t stack_top[];
extern char heap_start[], heap_end[];
extern uint32_t bss_start[], bss_end[];

int main(int count, char **arguments);
void initialise_monitor_handles(void);
void reset_handler(void);
void fault_handler(void);
void *_sbrk(ptrdiff_t more);

void _init(void) {}
void _fini(void) {}

/* The emulator writes .data itself when it loads the program. */
void reset_handler(void) {
    /* CPACR: coprocessors 10 and 11, the vector unit of a Cortex-M55; elsewhere this does nothing or no harm. */
    *(volatile uint32_t *)(uintptr_t)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb");
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    initialise_monitor_handles();
    exit(main(0, NULL));
}

void *_sbrk(ptrdiff_t more) {
    static char *top = heap_start;
    if (more > heap_end - top) {
        return (void *)-1;
    }
    char *old = top;
    top += more;
    return old;
}

void fault_handler(void) {
    /* Semihosting: SYS_EXIT with ADP_Stopped_RunTimeErrorUnknown. */
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = 0x20023;
    for (;;) {
        __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason) : "memory");
    }
}

__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
    stack_top,
    (const void *)reset_handler,
    (const void *)fault_handler, /* NMI */
    (const void *)fault_handler, /* HardFault */
    (const void *)fault_handler, /* MemManage */
    (const void *)fault_handler, /* BusFault */
    (const void *)fault_handler, /* UsageFault */
};
