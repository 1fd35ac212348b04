/* The head on an LM3S6965. */

#include "board.h"  /* board_sleep */
#include "head.h"   /* struct head */
#include "loop.h"   /* loop_start, loop_turn */
#include "set_up.h" /* set_up */

static struct head head;

int main(void) {
    set_up();
    loop_start(&head);
    for (;;) {
        board_sleep(loop_turn(&head));
    }
}
