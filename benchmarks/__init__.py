"""How fast it is: each benchmark prints a table for people and then one line of JSON for programs."""
