# How much of each board's memory the firmware takes, against budget.toml.
#   make size    prints it, fails when something is over its budget
# The images are built apart from those that are used, with a stand-in for the key that images are signed for.

SIZE_BUILD := $(BUILD)/size
SIZE_KEY := 04$(subst .,00000000,................)
SIZE_IMAGES := lm3s6965=$(SIZE_BUILD)/lm3s6965/edged-head.elf \
               mps2-an385-loader=$(SIZE_BUILD)/mps2-an385/loader.elf \
               mps2-an385-head=$(SIZE_BUILD)/mps2-an385/head.elf

.PHONY: size
size:
	@$(MAKE) --no-print-directory -s BUILD=$(SIZE_BUILD) BOOT_KEY=$(SIZE_KEY) lm3s6965 mps2-an385
	@$(PYTHON) mk/size.py budget.toml $(ARM)size $(SIZE_IMAGES)
