"""Records of what happened: written to an append-only trail, and read back.

query        reads the records that were asked for
chain        a cause, what led to it and what followed
observer     makes a record of each input and output of a rule
recorder     passes records to the trail and to the log, without secrets
trail        the open file: appends, repairs, and begins the next one
archive      the closed files beside it
frames       the compressed format of a closed file, with its index
lines        a record as a line of JSON with a checksum
earlier      translates records of earlier versions
records      the schema: a class for each event
redaction    takes secrets out of records
actor        the rule that acts, in a context variable
"""
