"""Trainer of the MRZ line reader: synthetic lines, network, training, export. Run `python -m
tools.train_mrz`."""
