"""A session's data for others: our tables, and the result files of the field's own tools."""
