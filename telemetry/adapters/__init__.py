"""One file format or vendor, one file."""
