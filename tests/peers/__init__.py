"""The real peers that the tests talk to, one file a peer, and the runner that starts them and counts."""
