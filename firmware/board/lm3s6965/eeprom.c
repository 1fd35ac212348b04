/*
 * The non-volatile store: a serial EEPROM (AT24C32 or larger, 32-octet pages) at address 0x50 of I2C 0, PB2 and PB3. The chip's
 * own flash is not used: a program that runs from it stands still while it is erased. Without an EEPROM every call says false.
 */

#include "eeprom.h"

#include "board.h"     /* board_store_read, board_store_write */
#include "clock.h"     /* clock_us */
#include "registers.h" /* I2C_…, GPIO_… */

#define DEVICE (0x50U << 1)
#define READ 1U

/* Orders and answers of the master. */
#define RUN 1U
#define START 2U
#define STOP 4U
#define ACK 8U
#define IS_BUSY 1U
#define HAS_FAILED 2U

enum {
    PAGE = 32,
    OCTET_LIMIT_US = 2000,  /* nine bits at 89 kHz are 0.1 ms; a device may hold the clock down for a while */
    WRITE_LIMIT_US = 10000, /* data sheets: 5 or 10 ms */
};

/* 12.5 MHz / (20 · (6 + 1)) = 89 kHz. */
void eeprom_start(void) {
    SYSCTL_RCGC1 |= 1U << 12;
    SYSCTL_RCGC2 |= 1U << 1;
    (void)SYSCTL_RCGC2;
    GPIO_AFSEL(GPIO_B) = 0x0C;
    GPIO_ODR(GPIO_B) = 0x0C;
    GPIO_DEN(GPIO_B) = 0x0C;
    I2C_MCR = 0x10;
    I2C_MTPR = 6;
}

/* One step on the bus; false when nobody acknowledged, or not in time. */
static bool step(uint32_t order) {
    I2C_MCS = order;
    const uint64_t until = clock_us() + OCTET_LIMIT_US;
    while ((I2C_MCS & IS_BUSY) != 0) {
        if (clock_us() > until) {
            return false;
        }
    }
    return (I2C_MCS & HAS_FAILED) == 0;
}

/* Let the bus go; always false. */
static bool give_up(void) {
    (void)step(STOP);
    return false;
}

/* Address the device and say where; the transfer stays open for what is written. */
static bool point_at(uint32_t address) {
    I2C_MSA = DEVICE;
    I2C_MDR = address >> 8;
    if (!step(START | RUN)) {
        return give_up();
    }
    I2C_MDR = address & 0xFFU;
    return step(RUN) || give_up();
}

/* Wait until the device answers again, which it doesn't while it writes. */
static bool written(void) {
    const uint64_t until = clock_us() + WRITE_LIMIT_US;
    do {
        if (point_at(0)) {
            return step(STOP);
        }
    } while (clock_us() < until);
    return false;
}

/* A part of one page. */
static bool write_page(uint32_t address, const uint8_t *octets, size_t length) {
    if (!point_at(address)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        I2C_MDR = octets[i];
        if (!step(RUN)) {
            return give_up();
        }
    }
    return step(STOP) && written();
}

static bool read_at(uint32_t address, uint8_t *to, size_t length) {
    if (!point_at(address) || !step(STOP)) {
        return false;
    }
    I2C_MSA = DEVICE | READ;
    for (size_t i = 0; i < length; i++) {
        const bool last = i + 1 == length;
        if (!step(RUN | (i == 0 ? START : 0U) | (last ? STOP : ACK))) {
            return give_up();
        }
        to[i] = (uint8_t)I2C_MDR;
    }
    return true;
}

static bool fits(unsigned record, size_t length) {
    return record < BOARD_STORE_RECORDS && length > 0 && length <= BOARD_STORE_SIZE;
}

bool board_store_read(unsigned record, uint8_t *to, size_t length) {
    return fits(record, length) && read_at(record * BOARD_STORE_SIZE, to, length);
}

/* Certain is what reads back. */
bool board_store_write(unsigned record, const uint8_t *octets, size_t length) {
    if (!fits(record, length)) {
        return false;
    }
    for (size_t done = 0; done < length; done += PAGE) {
        const size_t part = length - done < PAGE ? length - done : PAGE;
        if (!write_page(record * BOARD_STORE_SIZE + (uint32_t)done, octets + done, part)) {
            return false;
        }
    }
    uint8_t back[BOARD_STORE_SIZE];
    if (!read_at(record * BOARD_STORE_SIZE, back, length)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (back[i] != octets[i]) {
            return false;
        }
    }
    return true;
}
