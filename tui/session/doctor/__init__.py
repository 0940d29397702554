"""May these two servers be compared?"""
