"""The router: a table of weights, nginx configurations made of it, the agent that loads them."""
