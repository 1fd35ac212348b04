/* Everything between reset and the main loop. */
#ifndef EDGED_LM3S6965_SET_UP_H
#define EDGED_LM3S6965_SET_UP_H

void set_up(void);

#endif
