/* What this board is, found out once after a reset. */
#ifndef EDGED_LM3S6965_FACTS_H
#define EDGED_LM3S6965_FACTS_H

void facts_find(void);

#endif
