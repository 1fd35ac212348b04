# libFuzzer with ASan and UBSan (clang). Seeds that found something new, or something wrong, are kept in fuzz/corpus.
#   make fuzz                      ten seconds a target
#   make fuzz FUZZ_SECONDS=3600    for longer; what is found stays in build/fuzz
#   make fuzz-merge                keep of build/fuzz what the corpus doesn't reach yet

CLANG ?= clang
FUZZ_SECONDS ?= 10
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_TARGETS := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/*.c)))
FUZZ_FLAGS := $(WARNINGS) $(INCLUDES) -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
FUZZ_SANITIZERS := -fsanitize=fuzzer,address,undefined

.PHONY: fuzz fuzz-build fuzz-merge
fuzz-build: $(addprefix $(FUZZ_BUILD)/fuzz-,$(FUZZ_TARGETS))

$(FUZZ_BUILD)/fuzz-%: fuzz/%.c $(PURE) $(wildcard src/*.h)
	@mkdir -p $(FUZZ_BUILD)
	$(CLANG) $(FUZZ_FLAGS) $(FUZZ_SANITIZERS) -o $@ $< $(PURE) src/update_none.c

fuzz: fuzz-build
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_BUILD)/found/$$target && \
	    $(FUZZ_BUILD)/fuzz-$$target -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -timeout=5 -print_final_stats=1 \
	        -artifact_prefix=$(FUZZ_BUILD)/$$target- $(FUZZ_BUILD)/found/$$target fuzz/corpus/$$target || exit 1; \
	done

fuzz-merge: fuzz-build
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_BUILD)/found/$$target && \
	    $(FUZZ_BUILD)/fuzz-$$target -merge=1 -max_len=2048 fuzz/corpus/$$target $(FUZZ_BUILD)/found/$$target || exit 1; \
	done
