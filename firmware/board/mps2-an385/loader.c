/* The boot loader: starts a verified image, or stays on the line until one is installed. */
#include "board.h"      /* board_watchdog_start */
#include "boot_board.h" /* boot_board_trust */
#include "boot_choose.h" /* boot_choose */
#include "flash.h"      /* mps2_flash */
#include "kept.h"       /* KEPT */
#include "loop.h"       /* the head's main loop */
#include "memory.h"     /* LOAD_ADDRESS */
#include "registers.h"  /* SCB_VTOR, … */
#include "set_up.h"     /* board_set_up, board_pass_on */

#include <string.h> /* memcpy, memcmp */

enum { FIRST_WATCHDOG_MS = 4000 }; /* until the image's own main loop feeds it */

static bool put_ram(void *board, uint32_t offset, const uint8_t *octets, uint32_t count) {
    (void)board;
    if (offset > LOAD_ROOM || count > LOAD_ROOM - offset) {
        return false;
    }
    memcpy((void *)(LOAD_ADDRESS + offset), octets, count);
    return true;
}

static bool get_ram(void *board, uint32_t offset, uint8_t *octets, uint32_t count) {
    (void)board;
    memcpy(octets, (const void *)(LOAD_ADDRESS + offset), count);
    return true;
}

/* Leave everything as a reset leaves it, and run the image. */
static void jump(void) {
    const uint32_t *image = (const uint32_t *)LOAD_ADDRESS;
    __asm volatile("cpsid i");
    SYST_CSR = 0;
    NVIC_ICER0 = 0xFFFFFFFFu;
    SCB_VTOR = LOAD_ADDRESS;
    __asm volatile("dsb\n isb\n msr msp, %0\n bx %1" : : "r"(image[0]), "r"(image[1]) : "memory");
}

/* Choose, say how, and run it if all that was found good still is. */
static void start_image(void) {
    static struct boot_choice choice;
    const struct boot_target target = {.put = put_ram, .get = get_ram};
    boot_choose(&choice, &mps2_flash, boot_board_trust(), &target);
    KEPT->slot = choice.slot;
    KEPT->trial = choice.trial ? 1u : 0u;
    if (boot_may_start(&choice)) {
        board_watchdog_start(FIRST_WATCHDOG_MS);
        board_pass_on();
        jump();
    }
    KEPT->slot = BOOT_NO_SLOT;
    KEPT->trial = 0;
    board_is_loader();
}

int main(void) {
    static struct head head;
    board_set_up();
    start_image();
    loop_start(&head);
    for (;;) {
        board_sleep(loop_turn(&head));
    }
}
