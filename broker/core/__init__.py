"""What the broker knows and decides: pure values and functions, no clock, no I/O, no framework."""
