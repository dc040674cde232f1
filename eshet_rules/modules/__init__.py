"""Files of the rules folder as Python modules.

watcher            watches the folder, and reads it again after each change
discovery          finds the files that are modules
exclusion          decides which files and folders are left out
strangers          finds modules that have nothing to do with rules
importer           imports versions of modules beside each other
module_version     one imported version
module_objects     module objects that satisfy Python's import machinery
child_processes    makes modules available in processes that rules start
process_end        reports code that ends the process at once
likely_mistakes    warns about valid Python that is probably a mistake
"""
