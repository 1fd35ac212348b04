/* What both programs of this board do first, and what the loader does last. */
#ifndef MPS2_SET_UP_H
#define MPS2_SET_UP_H

/* Clock, line, why it started. */
void board_set_up(void);

/* Hand the reset's cause on to the image that is started now. */
void board_pass_on(void);

#endif
