"""`jobyard run`: a job's tasks on this machine, as production renders them."""
