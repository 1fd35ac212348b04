# How much of each board's memory the firmware takes, against budget.toml.
#   make size    prints it, fails when something is over its budget
# A board adds its image: SIZE_IMAGES += name=path.elf, in its own part, before this one in the alphabet.

SIZE_IMAGES += lm3s6965=$(LM3S_BUILD)/edged-head.elf

.PHONY: size
size: $(foreach image,$(SIZE_IMAGES),$(lastword $(subst =, ,$(image))))
	$(PYTHON) mk/size.py budget.toml $(ARM)size $(SIZE_IMAGES)
