# The head as a Linux process.
HOST_OBJECTS := $(patsubst %.c,$(BUILD)/host/%.o,$(SOURCES) src/update_none.c $(sort $(wildcard board/host/*.c)))
HOST_FLAGS := $(WARNINGS) $(INCLUDES) -D_GNU_SOURCE -O2 -g -MMD

host: $(BUILD)/host/edged-head

$(BUILD)/host/edged-head: $(HOST_OBJECTS)
	$(CC) $(HOST_FLAGS) -o $@ $^

$(BUILD)/host/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(HOST_FLAGS) -c -o $@ $<

-include $(HOST_OBJECTS:.o=.d)
