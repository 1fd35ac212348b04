"""The parts of `benchmarks.chip`: a link's model, readings, passive authentication, the trust store, other projects."""
