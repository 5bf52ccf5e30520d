"""How strong should the penalty be, and how sure are the predictions: what the data say, by the evidence."""
