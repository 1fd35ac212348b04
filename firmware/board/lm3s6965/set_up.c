/* Everything between reset and the main loop, outputs first; and the sleep at the end of a turn. */

#include "set_up.h"

#include "board.h"     /* board_micros, board_sleep */
#include "clock.h"     /* clock_… */
#include "eeprom.h"    /* eeprom_start */
#include "facts.h"     /* facts_find */
#include "outputs.h"   /* outputs_start */
#include "registers.h" /* SYSCTL_PBORCTL */
#include "sensors.h"   /* sensors_start */
#include "uart.h"      /* uart_start, uart_waits */

#define BROWN_OUT_RESETS 2U

void set_up(void) {
    clock_start();
    outputs_start();
    SYSCTL_PBORCTL = BROWN_OUT_RESETS;
    facts_find();
    sensors_start();
    eeprom_start();
    uart_start();
}

uint64_t board_micros(void) {
    return clock_us();
}

/* The main loop waits for edges of the lamps by itself when they are near: it needn't be woken to the microsecond. */
void board_sleep(uint64_t until_us) {
    clock_sleep(until_us, uart_waits);
}
