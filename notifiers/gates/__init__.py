"""The gates: each asks one question about one case, and answers with the channels left or with a reason.

`notifiers.decide` has them in their order.
"""
