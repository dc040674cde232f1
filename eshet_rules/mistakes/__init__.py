"""Finds code in rule files that is valid Python, but a mistake, from the source alone.

mistake     a mistake: a code, a line, and a text with the remedy
names       the meanings of the names of a file: functions of `yarp`, Values, Events
walking     walks through the statements of a function, with the names that are valid there
values      mistakes with Values: set, formatted, decided upon, changed in place, kept, unused
lifted      mistakes in functions of Values
awaiting    mistakes with coroutines: never awaited, or passed to a function that does not await
unmarked    functions that look like rules, without `@rule`
finder      finds all of these in a file

Nothing is executed here. The runner logs some of these mistakes, and `eshet-rules check` all.
"""
