"""What pages know: the open galleries, the view in the address, answers, jobs, what was made once and kept."""
