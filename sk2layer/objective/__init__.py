"""What is minimised: data, network, loss and penalty as functions of one flat vector theta."""
