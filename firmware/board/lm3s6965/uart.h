/* UART 0 at 115 200 8N1: interrupts on both sides of two rings. */
#ifndef EDGED_LM3S6965_UART_H
#define EDGED_LM3S6965_UART_H

#include <stdbool.h> /* bool */

void uart_start(void);

/* Whether something has come that nobody has read. */
bool uart_waits(void);

/* Wait until everything has left the wire, for at most a quarter of a second. */
void uart_drain(void);

#endif
