"""How the notebooks are made, and answers graded: nothing here is called by a learner."""
