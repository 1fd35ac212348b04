"""For whoever installs a box: what is attached to it and what is missing, and its acceptance, step by step."""
