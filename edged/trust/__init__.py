"""The trust store: certificates of issuing states and revocation lists on the box's disk, and how they got there.

What a chip's signature is worth is decided by whom we believe, so every object keeps its provenance: which import,
when, which list, signed by whom. `store` is the directory, `importing` decides what an import changes, `coverage` tells
what the store is good for, `loading` hands the judging its anchors.
"""
