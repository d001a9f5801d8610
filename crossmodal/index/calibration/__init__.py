"""How sure an answer is: what a gallery's probabilities are fitted on, the fit, and what a query is judged beside."""
