"""The playground's page in a real browser, against the real playground server and a small app of our own."""
