"""Who is ahead, by how much, how sure: one figure, looked at once or all the time, alone or among others."""
