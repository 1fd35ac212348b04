/* What both programs of this board do first, and what the loader does last. */
#ifndef MPS2_SET_UP_H
#define MPS2_SET_UP_H

/* Clock, line, why it started. */
void board_set_up(void);

/* Hand the reset's cause on to the image that is started now. */
void board_pass_on(void);

/* There is nothing to start: say so to the host. */
void board_is_loader(void);

#endif
