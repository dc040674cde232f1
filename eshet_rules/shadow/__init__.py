"""Runs rules on the real inputs of a house, without any effect there.

mirror     the nodes of a server, on a server of this process
running    a runner with rules that see the mirror
diff       the outputs of such a runner beside those of the real one
"""
