"""Where rows come from, how they are scaled, and how something is summed over them or predicted for them."""
