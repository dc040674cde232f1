warm = 2700
