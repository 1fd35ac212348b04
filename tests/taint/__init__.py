"""The taint test: people who don't exist go through every path of a real daemon, and whatever comes out is searched.

- `canaries`: whom the documents are about. Every value is eight characters or longer and belongs to nobody else.
- `world`: one daemon with everything attached: window, chip, swipe reader, ID-card module, broker, ears on every topic.
- `paths`: the table. One line a path: how it is driven, and what comes out of it.
- `planting`: the leaks. One for each path, put into the daemon's own process by `injected/sitecustomize.py`.
- `allowed`: where raw values may stand, and in which modules `reveal()` may be written, each with its reason.

A new way out of the box is a line of `paths.PATHS` and a function of `planting`; `tests/test_taint.py` does the rest.
"""
