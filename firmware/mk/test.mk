# Unit tests and vectors: small programs on the host, under ASan and UBSan.
TEST_FLAGS := $(WARNINGS) $(INCLUDES) -Itests -I$(BUILD)/test -D_GNU_SOURCE -O1 -g -MMD -MP \
              -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TEST_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/test/%,$(sort $(wildcard tests/test_*.c)))
TEST_OBJECTS := $(patsubst %.c,$(BUILD)/test/%.o,$(SOURCES) src/update_none.c tests/bench.c)

# Runs them all and fails with the number of those that failed.
test: $(TEST_PROGRAMS)
	@failed=0; for program in $(TEST_PROGRAMS); do $$program || failed=$$((failed + 1)); done; exit $$failed

$(BUILD)/test/vectors.h: vectors.json tests/vectors_header.py
	@mkdir -p $(dir $@)
	$(PYTHON) tests/vectors_header.py vectors.json $@

$(BUILD)/test/tests/test_vectors.o: $(BUILD)/test/vectors.h

$(BUILD)/test/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(TEST_FLAGS) -c -o $@ $<

# Only test_loop has a board; the others don't pull the loop out of the archive.
$(BUILD)/test/libhead.a: $(TEST_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/test/test_%: $(BUILD)/test/tests/test_%.o $(BUILD)/test/libhead.a
	$(CC) $(TEST_FLAGS) -o $@ $^

.PRECIOUS: $(BUILD)/test/%.o
-include $(TEST_OBJECTS:.o=.d) $(patsubst $(BUILD)/test/%,$(BUILD)/test/tests/%.d,$(TEST_PROGRAMS))
