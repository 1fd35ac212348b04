/* An image: the head, started by the loader. One for tests (-DUNHEALTHY) hangs at once, and the watchdog ends it. */
#include "loop.h"   /* the head's main loop */
#include "board.h"  /* board_sleep */
#include "set_up.h" /* board_set_up */

int main(void) {
    static struct head head;
    board_set_up();
#ifdef UNHEALTHY
    for (;;) {
    }
#endif
    loop_start(&head);
    for (;;) {
        board_sleep(loop_turn(&head));
    }
}
