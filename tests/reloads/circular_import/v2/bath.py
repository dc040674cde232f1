import hall

warm = 2
