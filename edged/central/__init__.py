"""The centre: archives what every device of a fleet has said, verbatim, and signs receipts for it."""
