"""What surrounds the broker in a city, simulated: authoritative sources, and real servers to run against."""
