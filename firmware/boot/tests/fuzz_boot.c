/*
 * libFuzzer: arbitrary flash, and arbitrary octets over the line. No input is signed by the key, so nothing is ever started
 * and nothing becomes ready; no access leaves the flash (sim.c checks every one).
 */
#include "boot_update.h" /* what is fuzzed */
#include "sim.h"

#include <stdio.h>  /* fprintf in CHECK */
#include <stdlib.h> /* abort */
#include <string.h> /* memcpy */

/* The base point of P-256: a key whose private half nobody signs firmware with. */
static const struct boot_trust trust = {
    .key = {0x04, 0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63, 0xA4, 0x40, 0xF2,
            0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F,
            0xE3, 0x42, 0xE2, 0xFE, 0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE,
            0x33, 0x57, 0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5},
    .board = "host"};

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count);

/* Lay the input over the flash's beginning or a slot, start, and send the same octets as an update. */
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count) {
    static struct sim sim;
    static struct boot_choice choice;
    static struct boot_update update;
    sim_init(&sim);
    struct boot_flash flash = sim_flash(&sim);
    struct boot_target target = sim_target(&sim);
    uint32_t size = (uint32_t)(count < SIM_SLOT ? count : SIM_SLOT);
    if (size < 2) {
        return 0;
    }
    uint32_t at = octets[0] % 2 == 0 ? 0 : flash.slot[octets[0] / 2 % 2];
    memcpy(sim.octets + at, octets + 1, size - 1);
    boot_choose(&choice, &flash, &trust, &target);
    CHECK(choice.slot == BOOT_NO_SLOT && !boot_is_good(&choice.verdict));
    boot_update_init(&update, &flash, &trust, choice.slot, choice.trial);
    struct boot_answer told = boot_update_begin(&update, (size - 1) / 16 * 16, octets + 1);
    for (uint32_t sent = told.offset; told.status == BOOT_OK && sent < size - 1;) {
        uint32_t piece = 1 + octets[1 + sent % (size - 1)] % 224u;
        piece = piece < size - 1 - sent ? piece : size - 1 - sent;
        told = sim_data(&update, sent, octets + 1 + sent, piece);
        sent += piece;
    }
    told = boot_update_end(&update);
    while (told.status == BOOT_LATER) {
        told = boot_update_work(&update);
    }
    CHECK(told.status != BOOT_OK);
    return 0;
}
