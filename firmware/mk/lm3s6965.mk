# The head on an LM3S6965: the product, and the same with a main that misbehaves when tests tell it to.
#   make lm3s6965    build/lm3s6965/edged-head.elf, build/lm3s6965/edged-head-misbehaving.elf, a map beside each

ARM ?= arm-none-eabi-
LM3S_DIR := board/lm3s6965
LM3S_BUILD := $(BUILD)/lm3s6965
LM3S_COMMON := $(SOURCES) src/update_none.c $(filter-out $(LM3S_DIR)/main.c,$(sort $(wildcard $(LM3S_DIR)/*.c)))
LM3S_MAINS := $(LM3S_DIR)/main.c $(LM3S_DIR)/misbehaving/main.c
LM3S_OBJECTS := $(patsubst %.c,$(LM3S_BUILD)/%.o,$(LM3S_COMMON))
LM3S_CPU := -mcpu=cortex-m3 -mthumb
LM3S_FLAGS := $(LM3S_CPU) $(WARNINGS) $(INCLUDES) -I$(LM3S_DIR) -ffreestanding -Os -g -ffunction-sections -fdata-sections -MMD -MP
# No start files and no heap: of newlib only memcpy and its like, and libgcc's arithmetic.
LM3S_LINK := $(LM3S_CPU) -nostartfiles --specs=nano.specs -Wl,--gc-sections -Wl,--fatal-warnings -T $(LM3S_DIR)/memory.ld

.PHONY: lm3s6965
lm3s6965: $(LM3S_BUILD)/edged-head.elf $(LM3S_BUILD)/edged-head-misbehaving.elf

$(LM3S_BUILD)/edged-head.elf: $(LM3S_OBJECTS) $(LM3S_BUILD)/$(LM3S_DIR)/main.o $(LM3S_DIR)/memory.ld
	$(ARM)gcc $(LM3S_LINK) -Wl,-Map=$(@:.elf=.map) -o $@ $(filter %.o,$^)

$(LM3S_BUILD)/edged-head-misbehaving.elf: $(LM3S_OBJECTS) $(LM3S_BUILD)/$(LM3S_DIR)/misbehaving/main.o $(LM3S_DIR)/memory.ld
	$(ARM)gcc $(LM3S_LINK) -Wl,-Map=$(@:.elf=.map) -o $@ $(filter %.o,$^)

$(LM3S_BUILD)/%.o: %.c
	@mkdir -p $(dir $@)
	$(ARM)gcc $(LM3S_FLAGS) -c -o $@ $<

-include $(LM3S_OBJECTS:.o=.d) $(patsubst %.c,$(LM3S_BUILD)/%.d,$(LM3S_MAINS))
