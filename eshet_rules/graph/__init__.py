"""Draws the inputs and outputs of rules, and the inside of a rule, for `eshet-rules graph`.

drawing      a graph as a Mermaid or Graphviz diagram, or as data
paths        the graph of paths and rules
inside       the graph of the Values and Events of one rule, with its outputs
"""
