"""How well and how fast pages are read: where pictures come from, what is measured, how it is shown."""
