"""The box's side of its fleet: what is pushed to it is verified, switched to, probed, and taken back if it fails."""
