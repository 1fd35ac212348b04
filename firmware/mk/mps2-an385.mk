# The boot loader and images on an MPS2 with AN385 (QEMU): RAM that survives a reset stands in for flash.
#   make mps2-an385 BOOT_KEY=04…   build/mps2-an385/loader.elf, head.bin (the payload of an image)
#   make mps2-an385-tests BOOT_KEY=04…   the same with power cuts that a test asks for, and an image that hangs
ARM ?= arm-none-eabi-
MPS2_DIR := board/mps2-an385
MPS2_BUILD := $(BUILD)/mps2-an385
MPS2_CPU := -mcpu=cortex-m3 -mthumb
MPS2_FLAGS := $(MPS2_CPU) $(WARNINGS) $(INCLUDES) $(BOOT_INCLUDES) -I$(MPS2_DIR) -I$(MPS2_BUILD) -ffreestanding -Os -g -ffunction-sections -fdata-sections -MMD -MP
MPS2_LINK := $(MPS2_CPU) -nostartfiles --specs=nano.specs -Wl,--gc-sections -L$(MPS2_DIR)
MPS2_SOURCES := $(SOURCES) $(sort $(wildcard boot/*.c)) $(filter-out %/loader.c %/app.c %/flash.c,$(sort $(wildcard $(MPS2_DIR)/*.c)))
MPS2_OBJECTS := $(patsubst %.c,$(MPS2_BUILD)/%.o,$(MPS2_SOURCES)) $(patsubst $(BEARSSL)/%.c,$(MPS2_BUILD)/bearssl/%.o,$(BEARSSL_SOURCES))

.PHONY: mps2-an385 mps2-an385-tests
mps2-an385: $(MPS2_BUILD)/loader.elf $(MPS2_BUILD)/head.bin
mps2-an385-tests: $(MPS2_BUILD)/loader-cuts.elf $(MPS2_BUILD)/head-cuts.bin $(MPS2_BUILD)/head-hangs.bin

# A key that changes is written anew; one that doesn't leaves the objects alone.
$(MPS2_BUILD)/boot_key.h: FORCE
	@test $(words $(BOOT_KEY)) = 1 || { echo "BOOT_KEY=04… is missing: the public key that images are signed for (edged head key show FILE)" >&2; exit 1; }
	@mkdir -p $(MPS2_BUILD)
	@$(PYTHON) -c 'import sys; k = bytes.fromhex(sys.argv[1]); assert len(k) == 65 and k[0] == 4, "BOOT_KEY must be 65 octets in hex that begin with 04"; print("#define BOOT_KEY {%s}" % ", ".join("0x%02X" % o for o in k))' $(BOOT_KEY) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
FORCE:

$(MPS2_BUILD)/loader.elf: $(MPS2_OBJECTS) $(MPS2_BUILD)/$(MPS2_DIR)/flash.o $(MPS2_BUILD)/$(MPS2_DIR)/loader.o
	$(ARM)gcc $(MPS2_LINK) -T $(MPS2_DIR)/loader.ld -Wl,-Map=$(@:.elf=.map) -o $@ $^
$(MPS2_BUILD)/loader-cuts.elf: $(MPS2_OBJECTS) $(MPS2_BUILD)/flash-cuts.o $(MPS2_BUILD)/$(MPS2_DIR)/loader.o
	$(ARM)gcc $(MPS2_LINK) -T $(MPS2_DIR)/loader.ld -o $@ $^
$(MPS2_BUILD)/head.elf: $(MPS2_OBJECTS) $(MPS2_BUILD)/$(MPS2_DIR)/flash.o $(MPS2_BUILD)/$(MPS2_DIR)/app.o
	$(ARM)gcc $(MPS2_LINK) -T $(MPS2_DIR)/app.ld -Wl,-Map=$(@:.elf=.map) -o $@ $^
$(MPS2_BUILD)/head-cuts.elf: $(MPS2_OBJECTS) $(MPS2_BUILD)/flash-cuts.o $(MPS2_BUILD)/$(MPS2_DIR)/app.o
	$(ARM)gcc $(MPS2_LINK) -T $(MPS2_DIR)/app.ld -o $@ $^
$(MPS2_BUILD)/head-hangs.elf: $(MPS2_OBJECTS) $(MPS2_BUILD)/$(MPS2_DIR)/flash.o $(MPS2_BUILD)/app-hangs.o
	$(ARM)gcc $(MPS2_LINK) -T $(MPS2_DIR)/app.ld -o $@ $^
$(MPS2_BUILD)/%.bin: $(MPS2_BUILD)/%.elf
	$(ARM)objcopy -O binary $< $@

$(MPS2_BUILD)/flash-cuts.o: $(MPS2_DIR)/flash.c $(MPS2_BUILD)/boot_key.h
	$(ARM)gcc $(MPS2_FLAGS) -DCUT_POWER -c -o $@ $<
$(MPS2_BUILD)/app-hangs.o: $(MPS2_DIR)/app.c $(MPS2_BUILD)/boot_key.h
	$(ARM)gcc $(MPS2_FLAGS) -DUNHEALTHY -c -o $@ $<
$(MPS2_BUILD)/bearssl/%.o: $(BEARSSL)/%.c
	@mkdir -p $(dir $@)
	$(ARM)gcc $(MPS2_CPU) -std=c99 -Os -ffreestanding -ffunction-sections -fdata-sections -I$(BEARSSL)/inc -I$(BEARSSL)/src -c -o $@ $<
$(MPS2_BUILD)/%.o: %.c $(MPS2_BUILD)/boot_key.h
	@mkdir -p $(dir $@)
	$(ARM)gcc $(MPS2_FLAGS) -c -o $@ $<

-include $(MPS2_OBJECTS:.o=.d)
