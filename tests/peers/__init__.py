"""The real peers that the tests talk to, and the runner that starts them and counts the results."""
