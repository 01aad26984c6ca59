"""The console's pages: one router a file. A page is read in one short transaction, and then rendered."""
