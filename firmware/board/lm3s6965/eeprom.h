/* The EEPROM behind `board_store_read` and `board_store_write`. */
#ifndef EDGED_LM3S6965_EEPROM_H
#define EDGED_LM3S6965_EEPROM_H

void eeprom_start(void);

#endif
