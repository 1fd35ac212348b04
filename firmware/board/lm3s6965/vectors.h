/* Interrupt handlers, one a module; startup.c puts them into the table. */
#ifndef EDGED_LM3S6965_VECTORS_H
#define EDGED_LM3S6965_VECTORS_H

void on_systick(void);  /* clock.c: a turn of the counter */
void on_timer0(void);   /* outputs.c: brightness */
void on_timer1(void);   /* clock.c: the tick */
void on_uart0(void);    /* uart.c */
void on_watchdog(void); /* watchdog.c: the main loop stands still */

#endif
