"""The audit trail: records of everything that rules and the runner do, in append-only files.

query         reads the records that match a filter
newest        reads the newest records that match a filter, a part at a time
chain         finds the causes and effects of a cause
observer      records each input and output of a rule
last_records  the last input and output at each path, in memory
recorder      passes records to the trail and to the log
trail         the open file: appends, cuts off a torn last line, begins the next file
tail          reads the lines after a position, across files
archive       the closed files beside it
frames        the compressed format of a closed file, with its index
lines         a record as a line of JSON with a checksum
earlier       translates records of earlier versions
records       the schema: a class for each event
redaction     removes secrets from records
actor         the rule that is running, in a context variable
"""
