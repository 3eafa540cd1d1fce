"""What one stage hands to the next: class list, image shards, preparation, vocabulary, label vectors, places."""
