"""Runs rules again on the recorded inputs of a house, in virtual time.

recording    the inputs and outputs in a part of an audit trail
runs         the runs of a runner in its trail
alignment    merges the inputs that several modules have received at a path
devices      the owners of states and actions, which answer as recorded
replaying    feeds a recording into rules, and collects their outputs
comparison   the differences between two lists of outputs
extent       how much was compared
revisions    the rules of a git revision
versions     the rules with earlier versions of modules, as they are kept
needed       which inputs of an explained output were needed: replays without each of them
changes      the process that replays a saved change for the runner
"""
