"""Go programs built from source: the toolchain, and the modules whose versions `gomod/` pins."""
