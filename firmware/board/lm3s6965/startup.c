/* From reset to main, and what is done about a fault: the vectors of the LM3S6965. */

#include "crash.h"     /* what a fault leaves behind */
#include "outputs.h"    /* outputs_all_off */
#include "registers.h" /* SCB_SHCSR */
#include "vectors.h"   /* the handlers of the other modules */

#include <stddef.h> /* NULL */
#include <stdint.h> /* uint32_t */

extern uint32_t _sidata, _sdata, _edata, _sbss, _ebss, _estack; /* memory.ld */

int main(void);
void reset_handler(void);
void fault_handler(void);

/* Copy initialised data, clear the rest, run. `.noinit` is left as the last reset left it. */
void reset_handler(void) {
    uint32_t *from = &_sidata;
    for (uint32_t *to = &_sdata; to != &_edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_sbss; to != &_ebss;) {
        *to++ = 0;
    }
    SCB_SHCSR |= SHCSR_FAULTS_ENABLED;
    (void)main();
    crash(CRASH_RETURNED, NULL);
}

/* All faults, and interrupts that nobody asked for: onto a fresh stack, because the old one may be what is broken. */
__attribute__((naked)) void fault_handler(void) {
    __asm volatile("mov  r1, sp      \n"
                   "mrs  r0, ipsr    \n"
                   "ldr  r2, =_estack\n"
                   "mov  sp, r2      \n"
                   "b    die_of_fault\n");
}

/* Everything off, remember what happened, start again. */
__attribute__((used)) static void die_of_fault(uint32_t exception, const uint32_t *frame) {
    outputs_all_off();
    crash(exception, frame);
}

typedef void handler_t(void);

/* What the processor reads: its first stack pointer, its exceptions, the interrupts of the LM3S6965. */
static const struct {
    const void *stack;
    handler_t *exceptions[15];
    handler_t *interrupts[44];
} vectors __attribute__((section(".vectors"), used)) = {
    .stack = &_estack,
    .exceptions =
        {
            reset_handler,
            fault_handler, /* NMI */
            fault_handler, /* hard fault */
            fault_handler, /* memory management */
            fault_handler, /* bus */
            fault_handler, /* usage */
            fault_handler,
            fault_handler,
            fault_handler,
            fault_handler,
            fault_handler, /* SVC */
            fault_handler, /* debug monitor */
            fault_handler,
            fault_handler, /* PendSV */
            on_systick,
        },
    .interrupts =
        {
            fault_handler, /* 0 GPIO A */
            fault_handler, /* 1 GPIO B */
            fault_handler, /* 2 GPIO C */
            fault_handler, /* 3 GPIO D */
            fault_handler, /* 4 GPIO E */
            on_uart0,      /* 5 */
            fault_handler, /* 6 UART 1 */
            fault_handler, /* 7 SSI 0 */
            fault_handler, /* 8 I2C 0 */
            fault_handler, /* 9 PWM fault */
            fault_handler, /* 10 PWM 0 */
            fault_handler, /* 11 PWM 1 */
            fault_handler, /* 12 PWM 2 */
            fault_handler, /* 13 QEI 0 */
            fault_handler, /* 14 ADC 0 */
            fault_handler, /* 15 ADC 1 */
            fault_handler, /* 16 ADC 2 */
            fault_handler, /* 17 ADC 3 */
            on_watchdog,   /* 18 */
            on_timer0,     /* 19 timer 0 A */
            fault_handler, /* 20 timer 0 B */
            on_timer1,     /* 21 timer 1 A */
            fault_handler, /* 22 timer 1 B */
            fault_handler, /* 23 timer 2 A, which triggers the converter and nobody else */
            fault_handler, /* 24 timer 2 B */
            fault_handler, /* 25 comparator 0 */
            fault_handler, /* 26 comparator 1 */
            fault_handler, /* 27 */
            fault_handler, /* 28 system control */
            fault_handler, /* 29 flash */
            fault_handler, /* 30 GPIO F */
            fault_handler, /* 31 GPIO G */
            fault_handler, /* 32 */
            fault_handler, /* 33 UART 2 */
            fault_handler, /* 34 */
            fault_handler, /* 35 timer 3 A */
            fault_handler, /* 36 timer 3 B */
            fault_handler, /* 37 I2C 1 */
            fault_handler, /* 38 QEI 1 */
            fault_handler, /* 39 */
            fault_handler, /* 40 */
            fault_handler, /* 41 */
            fault_handler, /* 42 Ethernet */
            fault_handler, /* 43 hibernation */
        },
};
