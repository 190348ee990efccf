"""The path of a verification, step by step; each step is one transaction and safe to run twice.

    admit      verify, plan, authorise, store                         flow/admit.py
    wake       after the commit: tell the sources' workers            ports.Wake
    look_up    claim a batch, ask, record – and settle what is whole  flow/look_up.py
    settle     decide, sign the receipt (inside look_up's recording)  flow/settle.py
    deliver    signed callback to the approval system                 flow/deliver.py

and beside it

    consents   ask the holder before anyone is asked about them          flow/consents.py
    orders     a person of the source department answers                 flow/orders.py
    publish    a new edition of the sharing list                      flow/publish.py
    sequence   give entries their place in the Merkle log             flow/sequence.py
    probe      ask silent sources what was agreed with their owners   flow/probe.py
    sweep      wake what a lost message or a dead worker left behind  flow/sweep.py
"""
