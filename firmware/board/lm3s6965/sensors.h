/* Switches and slow analogue values. */
#ifndef EDGED_LM3S6965_SENSORS_H
#define EDGED_LM3S6965_SENSORS_H

void sensors_start(void);

#endif
