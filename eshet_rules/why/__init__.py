"""Explains why a path has its value: for `eshet-rules why`.

answer         the answer about a path, for the command and the page
wording        an explanation as text, for people
about          who provides a path, or that nothing is there, as text
drives         who decides over a path with drivers, as text
times          times as text
explanation    an explanation as a tree: which outputs and inputs led to a value
memory         what a running runner remembers, for a message
asking         asks the runners of a cluster, for the command and the page
merging        merges what several runners remember
sources        where records come from: the memory of a running runner, a trail, or a test
backward       reads a trail backwards
windows        reads a trail of all runners of a cluster, in windows of time

Nothing is computed here while nobody asks. `eshet_rules.audit.last_records` keeps the memory.
"""
