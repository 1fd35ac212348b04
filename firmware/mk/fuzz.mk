# libFuzzer with ASan and UBSan (clang). Seeds that found something new, or something wrong, are kept in fuzz/corpus.
#   make fuzz                      ten seconds a target: frame, link, head
#   make fuzz FUZZ_SECONDS=3600    for longer; what is found stays in build/fuzz
#   make fuzz-merge                keep of build/fuzz what the corpus doesn't reach yet

CLANG ?= clang
FUZZ_SECONDS ?= 10
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_SOURCES ?= src
FUZZ_TARGETS := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/*.c)))
FUZZ_FLAGS := $(WARNINGS) -I$(FUZZ_SOURCES) -Iboard -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -MMD -MP
FUZZ_OBJECTS := $(patsubst src/%.c,$(FUZZ_BUILD)/objects/%.o,$(PURE) src/update_none.c)
FUZZ_FOUND := $(FUZZ_BUILD)/found

.PHONY: fuzz fuzz-build fuzz-merge
.PRECIOUS: $(FUZZ_BUILD)/objects/%.o
fuzz-build: $(addprefix $(FUZZ_BUILD)/fuzz-,$(FUZZ_TARGETS))

$(FUZZ_BUILD)/objects/%.o: $(FUZZ_SOURCES)/%.c
	@mkdir -p $(dir $@)
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

$(FUZZ_BUILD)/fuzz-%: fuzz/%.c $(FUZZ_OBJECTS)
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< $(FUZZ_OBJECTS)

fuzz: fuzz-build
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_FOUND)/$$target && \
	    $(FUZZ_BUILD)/fuzz-$$target -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -timeout=20 -print_final_stats=1 \
	        -artifact_prefix=$(FUZZ_BUILD)/$$target- $(FUZZ_FOUND)/$$target fuzz/corpus/$$target || exit 1; \
	done

fuzz-merge: fuzz-build
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_FOUND)/$$target && \
	    $(FUZZ_BUILD)/fuzz-$$target -merge=1 -max_len=2048 fuzz/corpus/$$target $(FUZZ_FOUND)/$$target || exit 1; \
	done

-include $(FUZZ_OBJECTS:.o=.d) $(patsubst %,$(FUZZ_BUILD)/fuzz-%.d,$(FUZZ_TARGETS))
