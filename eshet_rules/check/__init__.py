"""Checks a rules folder before it runs, for `eshet-rules check`.

finding     a finding: a place, a severity, a code, a text with the remedy
source      findings from the source of the files alone
stand_ins   stands in for nodes that only the house provides
loading     loads the rules beside the house: in virtual time, on a server of their own
kinds       findings of paths that are used as a node of another kind
records     findings from the log of the loaded rules
graph       findings from the graph of their Values
paths       findings from the paths that they use
checker     all of these together
"""
