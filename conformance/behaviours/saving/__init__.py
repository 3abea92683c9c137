"""What is promised of torch.save and torch.load."""
