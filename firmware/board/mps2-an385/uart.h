/* The line to the host: CMSDK UART 0, received by interrupt. */
#ifndef MPS2_UART_H
#define MPS2_UART_H

#include <stdbool.h> /* bool */

void uart_start(void);
void uart_interrupt(void);
bool uart_waits(void);
/* Wait, for a bounded time, until what was queued has left. */
void uart_drain(void);

#endif
