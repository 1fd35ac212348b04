"""Pages nobody has seen before: documents drawn and photographed from a seed, for measuring and never for training.

Shares nothing with `tools.train_mrz` and `tools.render_specimens` but the fonts Debian has: its own texts, drawing,
optics and faults, so that what was learnt there can't be recognised here. `page(set_name, seed, index)` makes one
page; `python -m tools.render_pages` writes some to look at.
"""

from .sets import SETS, Page, page

__all__ = ["SETS", "Page", "page"]
