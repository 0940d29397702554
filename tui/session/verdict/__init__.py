"""The verdicts and the ledger, folded a second at a time."""
