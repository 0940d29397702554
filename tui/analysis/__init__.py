"""Pure functions over rows and columns: segments, intervals, verdicts, goodput, fairness."""
