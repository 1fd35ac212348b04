/* The line to the host. */
#include "uart.h"

#include "board.h"     /* board_uart_… */
#include "registers.h" /* UART_… */

enum { RING = 1024, BAUD = 115200, DRAIN_US = 200000 };

static volatile uint8_t in[RING];
static volatile uint32_t in_head, in_tail;
static uint8_t out[RING];
static uint32_t out_head, out_tail;

void uart_start(void) {
    UART_BAUDDIV = CLOCK_HZ / BAUD;
    UART_CTRL = 0xBu; /* transmit, receive, interrupt on receive */
    NVIC_ISER0 = 1u;
}

/* Take what came into the ring; when it is full the line's own repetition helps. */
void uart_interrupt(void) {
    UART_INTCLEAR = 3u;
    while ((UART_STATE & UART_RX_FULL) != 0) {
        uint8_t octet = (uint8_t)UART_DATA;
        if (in_head - in_tail < RING) {
            in[in_head % RING] = octet;
            in_head++;
        }
    }
}

/* Push out what the line takes. */
static void push(void) {
    while (out_tail != out_head && (UART_STATE & UART_TX_FULL) == 0) {
        UART_DATA = out[out_tail % RING];
        out_tail++;
    }
}

bool uart_waits(void) {
    push();
    return in_head != in_tail || out_head != out_tail;
}

void uart_drain(void) {
    uint64_t until = board_micros() + DRAIN_US;
    while ((out_head != out_tail || (UART_STATE & UART_TX_FULL) != 0) && board_micros() < until) {
        push();
    }
}

size_t board_uart_read(uint8_t *to, size_t room) {
    size_t count = 0;
    while (count < room && in_tail != in_head) {
        to[count++] = in[in_tail % RING];
        in_tail++;
    }
    return count;
}

size_t board_uart_room(void) {
    push();
    return RING - (out_head - out_tail);
}

void board_uart_write(const uint8_t *octets, size_t length) {
    for (size_t i = 0; i < length; i++) {
        out[out_head % RING] = octets[i];
        out_head++;
    }
    push();
}
