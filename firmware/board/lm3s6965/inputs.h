/* Switches and slow analogue values. */
#ifndef EDGED_LM3S6965_INPUTS_H
#define EDGED_LM3S6965_INPUTS_H

void inputs_start(void);

#endif
