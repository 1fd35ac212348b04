# Static analysis: GCC's analyser over all code that a head runs, each part with its own compiler, and cppcheck. Clean, or it fails.
#   make analyse
# What is suppressed, and why, is in mk/cppcheck.txt. Neither tests nor the code that we vendor are analysed.

CPPCHECK ?= cppcheck
ANALYSE_BUILD := $(BUILD)/analyse

.PHONY: analyse analyse-gcc analyse-cppcheck
analyse: analyse-gcc analyse-cppcheck

# $(call analyse,COMPILER AND FLAGS,FILES)
define analyse
@for file in $(2); do $(1) -fanalyzer -c -o $(ANALYSE_BUILD)/object.o $$file || exit 1; done
endef

analyse-gcc: $(ANALYSE_BUILD)/boot_key.h
	$(call analyse,$(CC) $(HOST_FLAGS),$(sort $(wildcard src/*.c boot/*.c board/host/*.c)))
	$(call analyse,$(ARM)gcc $(LM3S_FLAGS),$(sort $(wildcard src/*.c $(LM3S_DIR)/*.c $(LM3S_DIR)/misbehaving/*.c)))
	$(call analyse,$(ARM)gcc $(MPS2_FLAGS) -I$(ANALYSE_BUILD),$(sort $(wildcard boot/*.c $(MPS2_DIR)/*.c)))

# A board at a time: they have headers of the same name.
analyse-cppcheck: $(ANALYSE_BUILD)/boot_key.h
	$(call cppcheck,-Iboot -I$(ANALYSE_BUILD),src $(wildcard boot/*.c) board/host)
	$(call cppcheck,-I$(LM3S_DIR),$(LM3S_DIR))
	$(call cppcheck,-Iboot -I$(MPS2_DIR) -I$(ANALYSE_BUILD),$(MPS2_DIR))

# $(call cppcheck,FLAGS,DIRECTORIES)
define cppcheck
$(CPPCHECK) --quiet --std=c11 --enable=warning,style,performance,portability --inconclusive --error-exitcode=1 \
    -iboot/tests --inline-suppr --suppressions-list=mk/cppcheck.txt $(INCLUDES) $(1) $(2)
endef

# Any octets: nothing that is analysed depends on which.
$(ANALYSE_BUILD)/boot_key.h:
	@mkdir -p $(ANALYSE_BUILD)
	@echo '#define BOOT_KEY {4}' > $@
