"""``python -m broker.cli``: the same as ``broker``."""

from broker.cli import main

main()
