"""All state that changes while the program runs: the sites, the buffer, and their reset."""
