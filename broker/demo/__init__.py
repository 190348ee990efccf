"""``make run``: a city in one machine – simulated sources, the broker, and an approval system asking it."""
