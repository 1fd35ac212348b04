/* The EEPROM behind `board_store_read` and `board_store_write`. */
#ifndef EDGED_LM3S6965_STORE_H
#define EDGED_LM3S6965_STORE_H

void store_start(void);

#endif
