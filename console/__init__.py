"""What people sit at: the command line and the pages it opens."""
