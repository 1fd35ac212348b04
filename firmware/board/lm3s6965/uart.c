/* UART 0, a PL011, between two rings: PA0 in, PA1 out. */

#include "uart.h"

#include "board.h"     /* board_uart_… */
#include "clock.h"     /* clock_us */
#include "critical.h"  /* critical_enter, critical_leave */
#include "registers.h" /* UART_…, GPIO_… */
#include "vectors.h"   /* on_uart0 */

enum {
    RX_RING = 1024,         /* 88 ms of the line, longer than a turn of the main loop; powers of two, indices run over */
    TX_RING = 2048,         /* a window of eight frames */
    DRAIN_LIMIT_US = 250000 /* the whole ring takes 178 ms */
};

/*
 * The indices run on; their difference is what is in the ring. One side of each ring is the interrupt: what is in it is
 * volatile too, or the compiler might move an octet behind the index that says that it is there.
 */
struct ring {
    volatile uint32_t written, read;
};

static struct ring rx, tx;
static volatile uint8_t rx_octets[RX_RING], tx_octets[TX_RING];

/* 12.5 MHz / (16 · 115 200) = 6.782: 6 and 50/64. */
void uart_start(void) {
    SYSCTL_RCGC1 |= 1U << 0;
    SYSCTL_RCGC2 |= 1U << 0;
    (void)SYSCTL_RCGC2;
    GPIO_AFSEL(GPIO_A) = 0x03;
    GPIO_DEN(GPIO_A) = 0x03;
    UART_CTL = 0;
    UART_IBRD = 6;
    UART_FBRD = 50;
    UART_LCRH = 0x70; /* 8 bits, FIFOs */
    UART_IFLS = 0x09; /* receive at a quarter (the time-out takes what is less), send at a quarter */
    UART_ICR = 0x7FF;
    UART_IMSC = UART_INT_RX | UART_INT_RT | UART_INT_TX;
    UART_CTL = 0x301; /* UART, transmitter, receiver */
    NVIC_PRIORITY(IRQ_UART0) = 2U << 5;
    NVIC_ISER0 = 1U << IRQ_UART0;
}

/* From the ring into the FIFO, as much as fits. Interrupts are shut, or this is the interrupt. */
static void feed(void) {
    while (tx.read != tx.written && (UART_FR & UART_FR_TXFF) == 0) {
        UART_DR = tx_octets[tx.read % TX_RING];
        tx.read++;
    }
}

/* From the FIFO into the ring; what doesn't fit is lost, and the frame's CRC tells. */
static void fetch(void) {
    while ((UART_FR & UART_FR_RXFE) == 0) {
        const uint8_t octet = (uint8_t)UART_DR;
        if (rx.written - rx.read < RX_RING) {
            rx_octets[rx.written % RX_RING] = octet;
            rx.written++;
        }
    }
}

/* Something came, or there is room in the FIFO. */
void on_uart0(void) {
    UART_ICR = UART_INT_RX | UART_INT_RT | UART_INT_TX;
    UART_RSR = 0; /* overrun and framing errors: the CRC has them too */
    fetch();
    feed();
}

bool uart_waits(void) {
    return rx.read != rx.written;
}

/* What waits in the FIFO is fetched by hand, too: an interrupt that came while this was being set up is none any more. */
size_t board_uart_read(uint8_t *to, size_t room) {
    const uint32_t mask = critical_enter();
    fetch();
    critical_leave(mask);
    size_t count = 0;
    while (count < room && rx.read != rx.written) {
        to[count++] = rx_octets[rx.read % RX_RING];
        rx.read++;
    }
    return count;
}

size_t board_uart_room(void) {
    return TX_RING - (tx.written - tx.read);
}

/* The interrupt comes when the FIFO empties: the first octets go in by hand. */
void board_uart_write(const uint8_t *octets, size_t length) {
    for (size_t i = 0; i < length && board_uart_room() > 0; i++) {
        tx_octets[tx.written % TX_RING] = octets[i];
        tx.written++;
    }
    const uint32_t mask = critical_enter();
    feed();
    critical_leave(mask);
}

void uart_drain(void) {
    const uint64_t until = clock_us() + DRAIN_LIMIT_US;
    while ((tx.read != tx.written || (UART_FR & UART_FR_BUSY) != 0) && clock_us() < until) {
    }
}
