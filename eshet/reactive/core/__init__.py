"""The graph of nodes, transactions on it, and the handles by which user code holds nodes.

tracing            each step of each transaction
apply              nodes that are a function of other nodes
unwrapping         functions as such a node calls them
value, event       the handles of user code
callbacks_first    callbacks that run before a node's function
handle             what Value and Event share
heights            inputs that are added later, and loops
batch              many changes as one; transient values
subscription       callbacks
graph              nodes, edges, and how long they live
transaction        one change, until everything has settled
pending            changes that wait for the transaction
origin             where in the user's code a node was made
markers            NoValue, NoChange, and plain yarp's Value
"""
