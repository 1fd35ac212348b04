/* Lamps, strobe line, buzzer, LED: all outputs are on port D, so that one look sees them all. */
#ifndef EDGED_LM3S6965_OUTPUTS_H
#define EDGED_LM3S6965_OUTPUTS_H

void outputs_start(void);

/* Lamps, strobe and buzzer off. Works in every state, from any handler. */
void outputs_all_off(void);

#endif
