"""Finds what would have to change for a path to have another value: for `eshet-rules why-not`.

answer       the answer about a path, for the command and the page
earlier      when a path had a value the last time, from the audit trail
wording      an answer as text, for people
answering    an answer about a path, from the running rules
asking       asks the runners of a cluster, for the command and the page
merging      merges the answers of several runners
driving      who decides before a driver of the path
writers      the rules that write a path, and the Values that they follow
plain        conditions as plain data for a message

The conditions themselves are read by `eshet.reactive.conditions`. Nothing is computed here while
nobody asks, and asking changes nothing.
"""
