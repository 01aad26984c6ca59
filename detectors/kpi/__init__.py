"""Plain series: one number a minute, such as the plays of a region; thousands of series at once, point by point."""
