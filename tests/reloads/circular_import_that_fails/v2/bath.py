from hall import light

warm = 2
