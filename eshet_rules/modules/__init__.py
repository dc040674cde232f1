"""Files of the rules folder as Python modules.

watcher            the content of the folder, again after each change
discovery          which files are modules
exclusion          which files and folders are left out
importer           versions of modules, imported beside each other
module_version     one imported version
module_objects     module objects as Python's own machinery expects them
child_processes    the same modules in processes that rules start
likely_mistakes    what Python accepts and the author hardly meant
"""
