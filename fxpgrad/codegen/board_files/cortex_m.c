/* Start of a program on an emulated Cortex-M: a vector table, and newlib's start from the reset vector.
 * A fault ends the emulation with an error instead of spinning for ever.
 */
#include <stdint.h>

extern uint32_t stack_top[];
void _start(void);
void reset_handler(void);
void fault_handler(void);

void _init(void) {}
void _fini(void) {}

void reset_handler(void) {
    /* CPACR: coprocessors 10 and 11, the vector unit of a Cortex-M55; elsewhere this does nothing or no harm. */
    *(volatile uint32_t *)(uintptr_t)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb");
    _start();
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
