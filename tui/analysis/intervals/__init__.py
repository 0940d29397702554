"""How far a figure can be off: quantiles, means, shares, ratios of paired batches."""
