level = = 1
