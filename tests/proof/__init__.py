"""Proofs of delivery: kill loops, power cuts, bad networks, soaks, and the tests of these tests."""
