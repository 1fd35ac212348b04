"""Trainer of the print reader (visual zones, card numbers): drawn lines, network, training, export. Run
`python -m tools.train_print`."""
