"""A recipient organisation's side: the reference subscriber, which trusts signatures and nothing else."""
