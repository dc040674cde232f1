"""The graph of nodes, transactions on it, and the handles by which user code holds nodes.

tracing            reports each step of each transaction
apply              nodes that are a function of other nodes
unwrapping         calling a node's function with the contents of its arguments
value, event       the handles for user code
callbacks_first    callbacks that run before a node's function
handle             common base of Value and Event
heights            adding inputs later, and detecting loops
batch              many changes as one; transient values
subscription       callbacks
graph              nodes, edges, and the lifetime of nodes
transaction        one change, until everything has settled
pending            changes that wait for the running transaction
origin             where in the user's code a node was made
markers            NoValue, NoChange, and plain yarp's Value
"""
