light = = 1
