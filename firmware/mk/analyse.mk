# Static analysis: GCC's analyser over all our code, each part with its own compiler, and cppcheck. Clean, or it fails.
#   make analyse
# What is suppressed, and why, is in mk/cppcheck.txt; of the code that we vendor nothing is analysed.

CPPCHECK ?= cppcheck
ANALYSE_HOST := $(sort $(wildcard src/*.c boot/*.c board/host/*.c))
ANALYSE_ARM := $(sort $(wildcard src/*.c $(LM3S_DIR)/*.c $(LM3S_DIR)/misbehaving/*.c))
ANALYSE_DIRS := $(sort $(wildcard src board) $(wildcard boot/*.c))

.PHONY: analyse analyse-gcc analyse-cppcheck
analyse: analyse-gcc analyse-cppcheck

analyse-gcc:
	@for file in $(ANALYSE_HOST); do \
	    $(CC) $(WARNINGS) -fanalyzer $(INCLUDES) $(BOOT_INCLUDES) -D_GNU_SOURCE -O2 -c -o /dev/null $$file || exit 1; done
	@for file in $(ANALYSE_ARM); do \
	    $(ARM)gcc $(WARNINGS) -fanalyzer $(LM3S_CPU) $(INCLUDES) -I$(LM3S_DIR) -ffreestanding -Os -c -o /dev/null $$file || exit 1; done

analyse-cppcheck:
	$(CPPCHECK) --quiet --std=c11 --enable=warning,style,performance,portability --inconclusive --error-exitcode=1 \
	    --inline-suppr --suppressions-list=mk/cppcheck.txt $(INCLUDES) -Iboot -I$(LM3S_DIR) $(ANALYSE_DIRS)
