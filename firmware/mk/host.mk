# The head as a Linux process.
HOST_OBJECTS := $(patsubst %.c,$(BUILD)/host/%.o,$(SOURCES) $(sort $(wildcard boot/*.c)) $(sort $(wildcard board/host/*.c)))
HOST_FLAGS := $(WARNINGS) $(INCLUDES) -Iboot -isystem vendor/bearssl/inc -D_GNU_SOURCE -O2 -g -MMD -MP

host: $(BUILD)/host/edged-head

$(BUILD)/host/edged-head: $(HOST_OBJECTS) $(BUILD)/boot/bearssl.a
	$(CC) $(HOST_FLAGS) -o $@ $^

$(BUILD)/host/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(HOST_FLAGS) -c -o $@ $<

-include $(HOST_OBJECTS:.o=.d)
