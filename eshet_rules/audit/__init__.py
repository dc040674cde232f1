"""What happened, in records that can be filtered and trusted.

acting      which rule it is that acts
records     the schema: a class for each event
redaction   what is not to be told
recorder    where records go
witness     makes records of what rules hear and say
trail       the open file: append, repair, and when to begin the next
archive     the closed ones beside it
frames      how these are compressed, and indexed
chain       a cause, what led to it, and what followed
query       reads them back
"""
