"""A city's database at full size, for the console's page times: a million verifications, millions of entries.

    models      some hundred real verifications of the shipped list, carried through the real flow   models.py
    multiply    their rows copied by PostgreSQL over a year, each copy a case of its own             multiply.py
    beside      what else fills the tables: deliveries, papers, objections, flags, figures …         beside.py
    log         the tiles and checkpoints that the copied entries make, signed by the log's keys     log.py

A copy differs from its model in its ids, case, system, operator, persons and times. What it does not have of its own is
the receipt's signature, which is the model's; and only the cases of the last month can be opened, since the others'
time is over and their keys are destroyed, as in a city.
"""
