# The boot loader's tests: power cuts and refusals on the host, and what a fuzzer finds.
BEARSSL := vendor/bearssl
BEARSSL_SOURCES := $(sort $(shell find $(BEARSSL)/src -name '*.c'))
BOOT_SOURCES := $(filter-out boot/update_slots.c,$(sort $(wildcard boot/*.c)))
BOOT_INCLUDES := -Iboot -Isrc -Iboard -isystem $(BEARSSL)/inc
BOOT_SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
BOOT_WRAP := -Wl,--wrap=br_ecdsa_i15_vrfy_raw

.PHONY: boot-test boot-fuzz
boot-test: $(BUILD)/boot/boot_cuts $(BUILD)/boot/boot_refusals

# A stranger's code, as it is: our warnings aren't its.
$(BUILD)/boot/bearssl.a: $(BEARSSL_SOURCES)
	@mkdir -p $(BUILD)/boot/objects
	cd $(BUILD)/boot/objects && $(CC) -std=c99 -O2 -g -c -I$(CURDIR)/$(BEARSSL)/inc -I$(CURDIR)/$(BEARSSL)/src $(addprefix $(CURDIR)/,$(BEARSSL_SOURCES))
	$(AR) rcs $@ $(BUILD)/boot/objects/*.o

$(BUILD)/boot/%: boot/tests/%.c boot/tests/sim.c boot/tests/sim.h $(BOOT_SOURCES) $(wildcard boot/*.h) $(BUILD)/boot/bearssl.a
	$(CC) $(WARNINGS) $(BOOT_INCLUDES) -Iboot/tests $(BOOT_SANITIZE) $(BOOT_WRAP) -o $@ $< boot/tests/sim.c $(BOOT_SOURCES) $(BUILD)/boot/bearssl.a

# make boot-fuzz: libFuzzer for FUZZ_SECONDS on the loader and on what an update says (clang).
FUZZ_SECONDS ?= 60
boot-fuzz: $(BUILD)/boot/fuzz_boot
	@mkdir -p $(BUILD)/boot/corpus
	$< -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(BUILD)/boot/corpus
$(BUILD)/boot/fuzz_boot: boot/tests/fuzz_boot.c boot/tests/sim.c boot/tests/sim.h $(BOOT_SOURCES) $(wildcard boot/*.h) $(BUILD)/boot/bearssl.a
	clang $(WARNINGS) $(BOOT_INCLUDES) -Iboot/tests -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(BOOT_WRAP) -o $@ $< boot/tests/sim.c $(BOOT_SOURCES) $(BUILD)/boot/bearssl.a
